// DeriveImport (nn-derive-import): the way back from the tensors of other software's files to the parameters that they are made of.
//
// In     @export, if the program has such files: their tensors by key, as functions of parameters
// Out    @import: the parameters by name, as functions of the file's tensors; or the module attribute `nn.import`: which tensor does not tell its
//        parameters, by which operation, with its place
//
// A parameter that is in several tensors is a result for each, from the second on as `<parameter> in <key>`: both must hold the same, which the runtime looks at.
//
// Each operation between a tensor and its parameter is undone, last first. What only moves elements, or scales them by a number, can be.
#include "compiler/passes/nn/Passes.h"
#include "dialects/nn/Nn.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/MapVector.h"

using namespace mlir;
using namespace mlir::nn;

namespace {
NNType typeOf(Value value) { return cast<NNType>(value.getType()); }

class Undo {
public:
  explicit Undo(OpBuilder &b) : b(b) {}
  llvm::MapVector<StringAttr, Value> parameters;
  std::string reason;
  std::string key; ///< of the tensor that is undone

  /// `value` of @export is `known` of @import: so are the parameters behind it.
  LogicalResult visit(Value value, Value known) {
    Operation *op = value.getDefiningOp();
    b.setInsertionPointToEnd(known.getParentBlock());
    const Location loc = op->getLoc();
    if (auto param = dyn_cast<ParamOp>(op)) {
      if (auto declared = op->getParentOfType<ModuleOp>().lookupSymbol<ParameterOp>(param.getName()); declared && declared.getRole() == "frozen") {
        reason = ("`" + param.getName() + "` is drawn from the run's seed, and a file may hold others").str();
        return failure();
      }
      if (!parameters.insert({param.getNameAttr(), known}).second)
        parameters.insert({b.getStringAttr(param.getName() + " in " + key), known});
      return success();
    }
    if (auto concat = dyn_cast<ConcatOp>(op)) {
      int64_t start = 0;
      for (Value part : concat.getXs()) {
        const int64_t length = typeOf(part).getDims()[concat.getAxis()].constant;
        b.setInsertionPointToEnd(known.getParentBlock());
        Value slice = SliceOp::create(b, loc, known, concat.getAxis(), DimAttr::get(b.getContext(), Dim{start, 0}), DimAttr::get(b.getContext(), Dim{start + length, 0}), 1);
        if (failed(visit(part, slice)))
          return failure();
        start += length;
      }
      return success();
    }
    if (Value before = undone(op, known))
      return visit(op->getOperand(operandOf(op)), before);
    reason = ("it is made by " + op->getName().getStringRef() + " at " + toString(loc)).str();
    return failure();
  }

private:
  /// The operand that is not a number.
  static unsigned operandOf(Operation *op) { return isa<MulOp>(op) && op->getOperand(0).getDefiningOp<ConstantOp>() ? 1 : 0; }

  /// What the operation was given, if it gave `known`; null if that does not tell.
  Value undone(Operation *op, Value known) {
    const Location loc = op->getLoc();
    if (auto transpose = dyn_cast<TransposeOp>(op)) {
      SmallVector<int64_t> inverse(transpose.getPerm().size());
      for (auto [to, from] : llvm::enumerate(transpose.getPerm()))
        inverse[from] = to;
      return TransposeOp::create(b, loc, known, inverse);
    }
    if (auto expand = dyn_cast<ExpandDimsOp>(op))
      return SqueezeOp::create(b, loc, known, expand.getAxis());
    if (auto squeeze = dyn_cast<SqueezeOp>(op))
      return ExpandDimsOp::create(b, loc, known, squeeze.getAxis());
    if (auto split = dyn_cast<SplitOp>(op))
      return MergeOp::create(b, loc, known, split.getAxis(), static_cast<int64_t>(split.getSizes().size()));
    if (auto merge = dyn_cast<MergeOp>(op)) {
      SmallVector<int64_t> sizes;
      for (Dim dim : typeOf(merge.getX()).getDims().slice(merge.getAxis(), merge.getCount()))
        sizes.push_back(dim.constant);
      return SplitOp::create(b, loc, known, merge.getAxis(), sizes);
    }
    if (isa<StopGradOp>(op))
      return known;
    if (isa<NegOp>(op))
      return NegOp::create(b, loc, known);
    return unscaled(op, known);
  }

  Value unscaled(Operation *op, Value known) {
    if (!isa<MulOp, DivOp>(op))
      return {};
    const unsigned x = operandOf(op);
    auto factor = op->getOperand(1 - x).getDefiningOp<ConstantOp>();
    auto number = factor ? dyn_cast<FloatAttr>(factor.getValue()) : FloatAttr();
    if (!number || number.getValueAsDouble() == 0 || typeOf(op->getOperand(x)) != typeOf(op->getResult(0)))
      return {};
    Value same = ConstantOp::create(b, op->getLoc(), factor.getType(), factor.getValue());
    return isa<MulOp>(op) ? DivOp::create(b, op->getLoc(), known, same).getResult() : MulOp::create(b, op->getLoc(), known, same).getResult();
  }

  OpBuilder &b;
};
} // namespace

LogicalResult mlir::nn::deriveImport(ModuleOp module) {
  auto exported = module.lookupSymbol<func::FuncOp>("export");
  if (!exported)
    return success();
  OpBuilder b(module.getContext());
  b.setInsertionPointAfter(exported);
  auto import = func::FuncOp::create(b, exported.getLoc(), "import", b.getFunctionType(exported.getResultTypes(), {}));
  Block *body = import.addEntryBlock();
  Undo undo(b);
  for (auto [i, value] : llvm::enumerate(exported.getBody().front().getTerminator()->getOperands())) {
    Attribute key = exported.getResultAttr(i, "nn.name");
    import.setArgAttr(i, "nn.name", key);
    undo.key = cast<StringAttr>(key).str();
    if (failed(undo.visit(value, body->getArgument(i)))) {
      module->setAttr("nn.import", b.getStringAttr("`" + cast<StringAttr>(key).getValue() + "` does not tell its parameters: " + undo.reason));
      import.erase();
      return success();
    }
  }
  SmallVector<Value> values;
  for (auto &entry : undo.parameters)
    values.push_back(entry.second);
  b.setInsertionPointToEnd(body);
  func::ReturnOp::create(b, exported.getLoc(), values);
  import.setFunctionType(b.getFunctionType(exported.getResultTypes(), TypeRange(ValueRange(values))));
  for (auto [i, entry] : llvm::enumerate(undo.parameters))
    import.setResultAttr(i, "nn.name", entry.first);
  return success();
}
