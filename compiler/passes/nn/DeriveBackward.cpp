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
#include "compiler/passes/nn/Reverse.h"
#include "dialects/nn/Nn.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/MapVector.h"

using namespace mlir;
using namespace mlir::nn;

namespace {
SmallVector<ParamOp> trainedIn(func::FuncOp func, const llvm::StringMap<ParameterOp> &parameters) {
  SmallVector<ParamOp> trained;
  for (auto param : func.getOps<ParamOp>())
    if (auto it = parameters.find(param.getName()); it != parameters.end() && ParameterOp(it->second).getTrainable())
      trained.push_back(param);
  return trained;
}

Value lossOf(func::FuncOp func) {
  for (auto [i, value] : llvm::enumerate(func.getBody().front().getTerminator()->getOperands()))
    if (func.getResultAttrOfType<StringAttr>(i, "nn.name").getValue() == "loss")
      return value;
  return nullptr;
}

/// The function's results, and behind them a gradient for every parameter that is trained.
void addResults(func::FuncOp func, const Reverse &reverse, ArrayRef<ParamOp> trained, OpBuilder &b) {
  llvm::MapVector<StringRef, Value> grads;
  for (ParamOp param : trained)
    if (Value by = reverse.by(param.getResult())) {
      Value &total = grads[param.getName()];
      total = total ? AddOp::create(b, param.getLoc(), total, by).getResult() : by;
    }
  auto ret = cast<func::ReturnOp>(func.getBody().front().getTerminator());
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
      grad = zeroOf(b, parameter.getLoc(), cast<NNType>(parameter.getType()));
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
} // namespace

LogicalResult mlir::nn::deriveBackward(ModuleOp module) {
  auto func = module.lookupSymbol<func::FuncOp>("train");
  if (!func)
    return module.emitError("nn-derive-backward: there is no function @train");
  llvm::StringMap<ParameterOp> parameters;
  for (auto op : module.getOps<ParameterOp>())
    parameters[op.getSymName()] = op;
  OpBuilder b(func.getBody().front().getTerminator());
  const SmallVector<ParamOp> trained = trainedIn(func, parameters);
  Reverse reverse(b, llvm::map_to_vector(trained, [](ParamOp param) { return Value(param.getResult()); }));
  reverse.run(lossOf(func));
  addResults(func, reverse, trained, b);
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
