// Beside: functions of the run that methods write beside the network: @export, @on_grad.
//
// In     an expression that was evaluated at the end of such a function; it may read values of the instance's own region
// Out    what those are computed from is copied there, a site's weight becomes the parameter
// Errs   what the function says (`Beside::refuse`) of values that depend on a text
#include "compiler/import/Elaborator.h"
#include "mlir/IR/IRMapping.h"

namespace peftc::import {

/// The parameter that a read of the site's own weight stands for; "" if it is none.
std::string Elaborator::weightRead(mlir::Operation *op) const {
  auto read = llvm::dyn_cast_or_null<mlir::peft::ReadOp>(op);
  if (!read || read.getSite() != (instance_->site->path.empty() ? "model" : instance_->site->path))
    return "";
  auto weight = instance_->site->weights.find(read.getPoint().str());
  return weight == instance_->site->weights.end() ? "" : weight->second;
}

/// Whether a function of the run can compute it again.
static bool isOfTheRun(mlir::Operation *op, bool training) {
  if (!op || op->getNumResults() != 1 || op->getNumRegions() || !llvm::isa<mlir::nn::NNDialect>(op->getDialect()))
    return false;
  auto random = llvm::dyn_cast<mlir::nn::RandomOp>(op);
  return !random || (training && random.getRate() == "step" && !random.getLike());
}

/// The value as one of that function.
mlir::Value Elaborator::copiedTo(const Beside &to, mlir::Value value, Range range) {
  mlir::OpBuilder::InsertionGuard guard(builder_);
  llvm::DenseMap<mlir::Value, mlir::Value> made; // a recurrence reads its state many times over
  std::function<mlir::Value(mlir::Value)> copy = [&](mlir::Value from) -> mlir::Value {
    mlir::Operation *op = from.getDefiningOp();
    if (from.getParentBlock() == to.block && !llvm::isa_and_nonnull<mlir::peft::ReadOp>(op))
      return from;
    if (mlir::Value before = made.lookup(from))
      return before;
    if (auto mode = llvm::dyn_cast_or_null<mlir::nn::ByModeOp>(op))
      return made[from] = copy(to.training ? mode.getTrain() : mode.getInfer());
    if (const std::string weight = weightRead(op); !weight.empty())
      return made[from] = mlir::nn::ParamOp::create(builder_, op->getLoc(), from.getType(), weight);
    if (!isOfTheRun(op, to.training))
      to.refuse(range, op);
    mlir::IRMapping mapping;
    for (mlir::Value operand : op->getOperands())
      mapping.map(operand, copy(operand));
    return made[from] = builder_.clone(*op, mapping)->getResult(0);
  };
  return copy(value);
}

/// Its ops that read values of an instance read copies of them.
void Elaborator::settle(const Beside &to, Range range) {
  for (mlir::Operation &op : llvm::make_early_inc_range(*to.block)) {
    if (auto read = llvm::dyn_cast<mlir::peft::ReadOp>(op)) {
      const std::string weight = weightRead(read);
      if (weight.empty())
        to.refuse(reads_.lookup(&op), &op);
      mlir::OpBuilder at(&op);
      op.getResult(0).replaceAllUsesWith(mlir::nn::ParamOp::create(at, op.getLoc(), op.getResult(0).getType(), weight).getResult());
      reads_.erase(&op);
      op.erase();
      continue;
    }
    mlir::OpBuilder::InsertionGuard guard(builder_);
    builder_.setInsertionPoint(&op);
    for (mlir::OpOperand &operand : op.getOpOperands())
      operand.set(copiedTo(to, operand.get(), range));
  }
}

} // namespace peftc::import
