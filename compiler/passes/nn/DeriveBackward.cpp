// DeriveBackward (nn-derive-backward): reverse mode over @train.
//
// In     @train with result `loss` (one number an example); nn.parameter declarations
// Out    @train_step: @train's results and `grad.<parameter>` for every trainable parameter, the sum over the batch's examples
//        of the derivative of their losses
// Why here  after hooks are inlined and structure is exposed, so that a weight expression is differentiated in its cheap form
//
// Only values that depend on a trainable parameter and reach the loss get a cotangent: nothing in front of the first
// trainable layer is differentiated, and no frozen weight gets a gradient.
#include "compiler/passes/nn/Passes.h"
#include "dialects/nn/Nn.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/MapVector.h"

using namespace mlir;
using namespace mlir::nn;

namespace {
NNType typeOf(Value value) { return cast<NNType>(value.getType()); }

/// Sums a cotangent down to its operand's shape and level.
Value sumTo(OpBuilder &b, Location loc, Value ct, NNType type) {
  NNType from = typeOf(ct);
  bool over = from.getExample() && !type.getExample();
  SmallVector<int64_t> leading, kept;
  int64_t extra = from.rank() - type.rank();
  for (int64_t i = 0; i < from.rank(); ++i)
    if (i < extra)
      leading.push_back(i);
    else if (type.getDims()[i - extra] != from.getDims()[i])
      kept.push_back(i - extra);
  if (!leading.empty() || (over && kept.empty()))
    ct = ReduceOp::create(b, loc, ct, b.getStringAttr("sum"), b.getDenseI64ArrayAttr(leading), b.getBoolAttr(false),
                          b.getBoolAttr(over && kept.empty()));
  if (!kept.empty())
    ct = ReduceOp::create(b, loc, ct, b.getStringAttr("sum"), b.getDenseI64ArrayAttr(kept), b.getBoolAttr(true), b.getBoolAttr(over));
  // A cotangent of the whole run for a value of each example.
  if (type.getExample() && !typeOf(ct).getExample())
    ct = BroadcastOp::create(b, loc, type, ct);
  assert(typeOf(ct).sameShape(type) && typeOf(ct).getExample() == type.getExample());
  return ct;
}

class Reverse {
public:
  Reverse(func::FuncOp func, const llvm::StringMap<ParameterOp> &parameters) : func(func), parameters(parameters), b(func.getContext()) {}

  void run() {
    Block &block = func.getBody().front();
    markActive(block);
    auto ret = cast<func::ReturnOp>(block.getTerminator());
    Value loss;
    for (auto [i, value] : llvm::enumerate(ret.getOperands()))
      if (func.getResultAttrOfType<StringAttr>(i, "nn.name").getValue() == "loss")
        loss = value;
    b.setInsertionPoint(ret);
    Location loc = loss.getLoc();
    auto scalar = NNType::get(b.getContext(), false, {}, b.getF32Type());
    Value one = ConstantOp::create(b, loc, scalar, b.getF64FloatAttr(1.0));
    cotangents[loss] = BroadcastOp::create(b, loc, loss.getType(), one);
    SmallVector<Operation *> ops;
    for (Operation &op : block.without_terminator())
      ops.push_back(&op);
    for (Operation *op : llvm::reverse(ops))
      visit(op);
    addResults(ret);
  }

private:
  void markActive(Block &block) {
    for (Operation &op : block.without_terminator()) {
      if (auto param = dyn_cast<ParamOp>(op)) {
        auto it = parameters.find(param.getName());
        if (it != parameters.end() && ParameterOp(it->second).getTrainable())
          active.insert(param.getResult());
        continue;
      }
      if (!isa<Differentiable>(op) || !typeOf(op.getResult(0)).isFloat())
        continue;
      if (llvm::any_of(op.getOperands(), [&](Value v) { return active.contains(v); }))
        active.insert(op.getResult(0));
    }
  }

  void visit(Operation *op) {
    if (op->getNumResults() != 1 || !active.contains(op->getResult(0)))
      return;
    auto it = cotangents.find(op->getResult(0));
    if (it == cotangents.end())
      return;
    if (isa<ParamOp>(op))
      return;
    auto differentiable = cast<Differentiable>(op);
    SmallVector<bool> wanted;
    for (Value operand : op->getOperands())
      wanted.push_back(active.contains(operand));
    SmallVector<Value> operands;
    differentiable.vjp(b, it->second, wanted, operands);
    for (auto [operand, ct, want] : llvm::zip(op->getOperands(), operands, wanted)) {
      if (!want || !ct)
        continue;
      Value summed = sumTo(b, op->getLoc(), ct, typeOf(operand));
      Value &total = cotangents[operand];
      total = total ? AddOp::create(b, op->getLoc(), total, summed).getResult() : summed;
    }
  }

  void addResults(func::ReturnOp ret) {
    llvm::MapVector<StringRef, Value> grads;
    for (Operation &op : func.getBody().front())
      if (auto param = dyn_cast<ParamOp>(op))
        if (auto it = cotangents.find(param.getResult()); it != cotangents.end() && active.contains(param.getResult())) {
          Value &total = grads[param.getName()];
          total = total ? AddOp::create(b, param.getLoc(), total, it->second).getResult() : it->second;
        }
    SmallVector<Value> values(ret.getOperands());
    SmallVector<StringRef> names;
    SmallVector<Attribute> unreached;
    auto module = func->getParentOfType<ModuleOp>();
    for (auto parameter : module.getOps<ParameterOp>()) {
      if (!parameter.getTrainable())
        continue;
      Value grad = grads.lookup(parameter.getSymName());
      if (!grad) {
        // Trained, yet the loss does not depend on it: an honest zero, and a note for `info`.
        auto scalar = NNType::get(b.getContext(), false, {}, b.getF32Type());
        Value zero = ConstantOp::create(b, parameter.getLoc(), scalar, b.getF64FloatAttr(0.0));
        grad = BroadcastOp::create(b, parameter.getLoc(), parameter.getType(), zero);
        unreached.push_back(parameter.getSymNameAttr());
      }
      values.push_back(grad);
      names.push_back(parameter.getSymName());
    }
    SmallVector<DictionaryAttr> attributes;
    func.getAllResultAttrs(attributes);
    ret->setOperands(values);
    func.setFunctionType(b.getFunctionType(func.getBody().front().getArgumentTypes(), TypeRange(ValueRange(values))));
    for (StringRef name : names)
      attributes.push_back(b.getDictionaryAttr(b.getNamedAttr("nn.name", b.getStringAttr("grad." + name))));
    func.setAllResultAttrs(attributes);
    func.setName("train_step");
    module->setAttr("nn.unreached", b.getArrayAttr(unreached));
  }

  func::FuncOp func;
  const llvm::StringMap<ParameterOp> &parameters;
  OpBuilder b;
  llvm::DenseSet<Value> active;
  llvm::DenseMap<Value, Value> cotangents;
};
} // namespace

LogicalResult mlir::nn::deriveBackward(ModuleOp module) {
  auto func = module.lookupSymbol<func::FuncOp>("train");
  if (!func)
    return module.emitError("nn-derive-backward: there is no function @train");
  llvm::StringMap<ParameterOp> parameters;
  for (auto op : module.getOps<ParameterOp>())
    parameters[op.getSymName()] = op;
  Reverse(func, parameters).run();
  // stop_grad has done its work. In the step it stays, as a view: whoever compares the gradient with finite differences must
  // know what it took for a constant.
  module.walk([&](StopGradOp op) {
    if (op->getParentOp() == func)
      return;
    op.getResult().replaceAllUsesWith(op.getX());
    op.erase();
  });
  return success();
}
