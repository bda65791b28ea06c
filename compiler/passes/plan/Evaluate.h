// Evaluate: what a kernel's body makes of numbers, in fp64. For a pass that must know what a body computes, in whatever words it says it: it asks for the results on a
// few small examples instead of looking for one form of them.
#pragma once
#include "dialects/nn/Nn.h"
#include "llvm/ADT/DenseMap.h"
#include <vector>

namespace mlir::plan {

/// Row-major; truth is 1 or 0.
struct Numbers {
  SmallVector<int64_t> shape;
  std::vector<double> data;
  static Numbers of(SmallVector<int64_t> shape);
};

/// A type's shape for an example whose sequences have these lengths.
SmallVector<int64_t> shapeOf(nn::NNType type, ArrayRef<int64_t> lengths);

/// The results of a body, for one example. `given`: its arguments'; those without data are asked for their shape alone. `random`: what every random op draws. Failure where
/// the body has an op that is not known here.
FailureOr<SmallVector<Numbers>> evaluate(Block &body, ArrayRef<Numbers> given, const Numbers &random, ArrayRef<int64_t> lengths);

} // namespace mlir::plan
