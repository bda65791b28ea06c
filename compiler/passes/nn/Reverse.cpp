// Reverse: see the header.
#include "compiler/passes/nn/Reverse.h"

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

Value number(OpBuilder &b, Location loc, double value) {
  auto scalar = NNType::get(b.getContext(), false, {}, b.getF32Type());
  return ConstantOp::create(b, loc, scalar, b.getF64FloatAttr(value));
}
} // namespace

Value mlir::nn::zeroOf(OpBuilder &b, Location loc, NNType type) { return BroadcastOp::create(b, loc, type, number(b, loc, 0.0)); }

void Reverse::run(Value value) {
  SmallVector<Operation *> ops;
  for (Operation &op : llvm::make_range(b.getInsertionBlock()->begin(), b.getInsertionPoint())) {
    markActive(op);
    ops.push_back(&op);
  }
  cotangents[value] = BroadcastOp::create(b, value.getLoc(), value.getType(), number(b, value.getLoc(), 1.0));
  for (Operation *op : llvm::reverse(ops))
    visit(op);
}

void Reverse::markActive(Operation &op) {
  if (!isa<Differentiable>(op) || !typeOf(op.getResult(0)).isFloat())
    return;
  if (llvm::any_of(op.getOperands(), [&](Value v) { return active.contains(v); }))
    active.insert(op.getResult(0));
}

void Reverse::visit(Operation *op) {
  if (op->getNumResults() != 1 || !active.contains(op->getResult(0)) || leaves.contains(op->getResult(0)))
    return;
  auto it = cotangents.find(op->getResult(0));
  if (it == cotangents.end())
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
