// PruneToTrainable (nn-prune-to-trainable): drop what no result needs, share what is computed twice, fold trivial algebra.
//
// In     whole functions, backward included
// Out    a length read off a row of data rather than off what was made of it, or off one place (so that equal ones are shared);
//        the same results from fewer ops: x·1, x+0, -(-x) folded; equal ops shared; dead ops gone
// Numerics  exact: only identities that hold for every float (x+0 for x = -0 gives -0 instead of +0)
#include "compiler/passes/nn/Passes.h"
#include "dialects/nn/Nn.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Dominance.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/Transforms/CSE.h"

using namespace mlir;
using namespace mlir::nn;

static std::optional<double> constantOf(Value value) {
  auto op = value.getDefiningOp<ConstantOp>();
  if (!op)
    return std::nullopt;
  if (auto number = dyn_cast<FloatAttr>(op.getValue()))
    return number.getValueAsDouble();
  return std::nullopt;
}

/// The operand that an op merely passes on, if it does.
static Value passedOn(Operation *op) {
  auto fits = [&](Value value) { return value.getType() == op->getResult(0).getType() ? value : Value(); };
  if (isa<MulOp>(op)) {
    if (constantOf(op->getOperand(0)) == 1.0)
      return fits(op->getOperand(1));
    if (constantOf(op->getOperand(1)) == 1.0)
      return fits(op->getOperand(0));
  }
  if (isa<DivOp>(op) && constantOf(op->getOperand(1)) == 1.0)
    return fits(op->getOperand(0));
  if (isa<AddOp>(op)) {
    if (constantOf(op->getOperand(0)) == 0.0)
      return fits(op->getOperand(1));
    if (constantOf(op->getOperand(1)) == 0.0)
      return fits(op->getOperand(0));
  }
  if (auto neg = dyn_cast<NegOp>(op))
    if (auto inner = neg.getX().getDefiningOp<NegOp>())
      return inner.getX();
  if (auto broadcast = dyn_cast<BroadcastOp>(op))
    return fits(broadcast.getX());
  return {};
}

/// `iota` and `dim` want a length only: any row of data that has it will do, and then whatever had it first.
static void readLengthsOffRows(func::FuncOp func) {
  struct Axis {
    Dim length;
    Value value;
    int64_t axis;
  };
  SmallVector<Axis> known; // a few: lengths of the example
  auto firstOf = [&](Axis axis) {
    auto found = llvm::find_if(known, [&](const Axis &other) { return other.length == axis.length; });
    return found == known.end() ? known.emplace_back(axis) : *found;
  };
  auto isWrittenOn = [](Operation *user) { return isa<PutLastOp>(user); }; // in place, if nobody else reads it
  for (BlockArgument argument : func.getArguments())
    if (auto type = cast<NNType>(argument.getType()); type.getExample() && type.rank() > 0 && !type.getDims()[0].isStatic() && llvm::none_of(argument.getUsers(), isWrittenOn))
      firstOf({type.getDims()[0], argument, 0});
  for (Operation &op : func.getBody().front()) {
    if (!isa<IotaOp, DimOp>(op))
      continue;
    const int64_t axis = op.getAttrOfType<IntegerAttr>("axis").getInt();
    auto type = cast<NNType>(op.getOperand(0).getType());
    if (!type.getExample() || axis < 0 || type.getDims()[axis].isStatic())
      continue;
    const Axis first = firstOf({type.getDims()[axis], op.getOperand(0), axis});
    op.setOperand(0, first.value);
    op.setAttr("axis", Builder(func.getContext()).getI64IntegerAttr(first.axis));
  }
}

LogicalResult mlir::nn::pruneToTrainable(ModuleOp module) {
  IRRewriter rewriter(module.getContext());
  for (auto func : module.getOps<func::FuncOp>()) {
    Block &block = func.getBody().front();
    readLengthsOffRows(func);
    for (Operation &op : llvm::make_early_inc_range(block.without_terminator()))
      if (op.getNumResults() == 1)
        if (Value value = passedOn(&op)) {
          op.getResult(0).replaceAllUsesWith(value);
          op.erase();
        }
    DominanceInfo dominance(func);
    eliminateCommonSubExpressions(rewriter, dominance, func);
    for (Operation &op : llvm::make_early_inc_range(llvm::reverse(block)))
      if (isOpTriviallyDead(&op))
        op.erase();
  }
  return success();
}
