// DeriveGradients (nn-derive-gradients): what a method asks of its own pass by `gradient(value, x)`, as operations.
//
// In     whole functions; nn.gradient, whose operands are values of the function
// Out    the same without nn.gradient: reverse mode from the value back to x, in the function at the place where the gradient is asked for, under nn.stop_grad
// Errs   none
// Why here  right behind nn-inline-hooks: x is the very value that the network was given, and nothing has been written in other words yet. Before the step is
//        differentiated, to which the gradient is a constant; what both walks back share is shared when nn-prune-to-trainable looks for equal ops
#include "compiler/passes/nn/Passes.h"
#include "compiler/passes/nn/Reverse.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

using namespace mlir;
using namespace mlir::nn;

static void derive(GradientOp op) {
  OpBuilder b(op);
  Reverse reverse(b, op.getX());
  reverse.run(op.getValue());
  Value by = reverse.by(op.getX());
  if (!by) // stop_grad or whole numbers stand between
    by = zeroOf(b, op.getLoc(), op.getType());
  auto constant = StopGradOp::create(b, op.getLoc(), by);
  constant->setAttr(kWayBack, b.getUnitAttr());
  op.getResult().replaceAllUsesWith(constant.getResult());
  op.erase();
}

LogicalResult mlir::nn::deriveGradients(ModuleOp module) {
  for (auto func : module.getOps<func::FuncOp>())
    for (auto op : llvm::to_vector(func.getOps<GradientOp>()))
      derive(op);
  return success();
}
