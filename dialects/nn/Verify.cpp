// Verify: ops that carry their result type hold what it says.
#include "dialects/nn/Nn.h"
#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/StringSet.h"

using namespace mlir;
using namespace mlir::nn;

LogicalResult ParamOp::verify() {
  return getResult().getType().getExample() ? emitOpError("a parameter is not one example's") : success();
}
LogicalResult ParamOp::verifySymbolUses(SymbolTableCollection &symbols) {
  auto parameter = symbols.lookupNearestSymbolFrom<ParameterOp>((*this)->getParentOfType<ModuleOp>(), getNameAttr());
  if (!parameter)
    return emitOpError("there is no parameter `") << getName() << "`";
  NNType declared = cast<NNType>(parameter.getType()), half = declared.isFloat() ? declared.withElement(BFloat16Type::get(getContext())) : declared;
  if (declared != getResult().getType() && half != getResult().getType()) // a plan may read one as the checkpoint has it
    return emitOpError("`") << getName() << "` is " << toString(cast<NNType>(parameter.getType()));
  return success();
}
LogicalResult ConstantOp::verify() {
  NNType type = getResult().getType();
  if (type.getExample() || type.rank() != 0)
    return emitOpError("a constant is a run-level scalar");
  bool fits = isa<FloatAttr>(getValue()) ? type.isFloat() : isa<BoolAttr>(getValue()) ? type.isBool() : type.isInteger();
  return fits ? success() : emitOpError("the value does not have the element type of the result");
}
LogicalResult LiteralOp::verify() {
  NNType type = getResult().getType();
  if (type.getExample() || !type.isStatic() || type.elements() != static_cast<int64_t>(getValues().size()))
    return emitOpError("holds ") << getValues().size() << " numbers for " << toString(type);
  return success();
}
LogicalResult RandomOp::verify() {
  static const llvm::StringSet<> rates = {"token", "example", "pass", "step", "init"};
  if (getDist() != "uniform" && getDist() != "uniform16" && getDist() != "normal")
    return emitOpError("distribution `") << getDist() << "` is none of uniform, uniform16, normal";
  if (!rates.contains(getRate()))
    return emitOpError("no such rate: `") << getRate() << "`";
  NNType type = getResult().getType();
  if (!getLike() && (*this)->getParentOp() && !(*this)->getParentOp()->hasTrait<OpTrait::AutomaticAllocationScope>())
    return success(); // in a kernel's body the type alone says the shape
  if (getLike() ? !type.sameShape(getLike().getType()) || type.getExample() != getLike().getType().getExample()
                : type.getExample() || !type.isStatic())
    return emitOpError("result is ") << toString(type);
  return success();
}
LogicalResult ReduceOp::verify() {
  return getKind() == "sum" || getKind() == "max" || getKind() == "min"
             ? success()
             : emitOpError("kind `") << getKind() << "` is none of sum, max, min";
}
LogicalResult ContractOp::verify() {
  if (getX().getType().getElement() != getY().getType().getElement())
    return emitOpError("operands of different element types");
  return success();
}
LogicalResult BroadcastOp::verify() {
  NNType from = getX().getType(), to = getResult().getType();
  auto both = broadcastDims(from.getDims(), to.getDims());
  if (failed(both) || ArrayRef<Dim>(*both) != to.getDims() || (from.getExample() && !to.getExample()) || from.getElement() != to.getElement())
    return emitOpError("cannot make ") << toString(to) << " of " << toString(from);
  return success();
}
LogicalResult PadOp::verify() {
  NNType from = getX().getType(), to = getResult().getType();
  if (from.rank() != to.rank())
    return emitOpError("changes the number of axes");
  if (static_cast<int64_t>(getAxis()) < 0 || static_cast<int64_t>(getAxis()) >= from.rank())
    return emitOpError("axis ") << getAxis() << " of a value with " << from.rank() << " axes";
  if (!equalBut(from, to, getAxis()) || from.getExample() != to.getExample())
    return emitOpError("cannot make ") << toString(to) << " of " << toString(from);
  return success();
}
