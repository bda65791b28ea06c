// Reverse: reverse mode over a block, from one value to those that it is differentiated by.
#pragma once
#include "dialects/nn/Nn.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/DenseSet.h"

namespace mlir::nn {
/// On an nn.stop_grad: what lies in front of it is a way back, which a method has asked for.
inline constexpr StringLiteral kWayBack = "nn.way_back";

/// Only values that depend on a leaf and reach the value get a cotangent.
class Reverse {
public:
  /// `leaves`: what is differentiated by; nothing in front of them is looked at.
  Reverse(OpBuilder &builder, ArrayRef<Value> leaves) : b(builder), leaves(leaves.begin(), leaves.end()), active(this->leaves) {}

  /// Builds where the builder stands, behind `value`, the derivative of the sum of `value` over the batch's examples.
  void run(Value value);

  /// By this leaf; null where the value does not depend on it.
  Value by(Value leaf) const { return cotangents.lookup(leaf); }

private:
  void markActive(Operation &op);
  void visit(Operation *op);

  OpBuilder &b;
  const llvm::DenseSet<Value> leaves;
  llvm::DenseSet<Value> active;
  llvm::DenseMap<Value, Value> cotangents;
};

/// Zero, in that type.
Value zeroOf(OpBuilder &builder, Location loc, NNType type);

} // namespace mlir::nn
