// Affine: values as affine maps of one input, with coefficients that are the same for the whole run.
//
// A site's output `M x + c` folds into its weight and bias. M of x itself is the identity and stays symbolic, so `W + s B A`
// costs one product. The rules are those of linear algebra and stand with the ops (Affine.cpp): what has none ends the map.
#pragma once
#include "mlir/IR/Builders.h"
#include "mlir/IR/Value.h"
#include <string>

namespace mlir::nn {

/// `M x + c` for each token of a value [seq, f…]: M [f…, in], c [f…]. A null M with `identity` is x itself, without it no x at all; a null c is zero.
struct Affine {
  bool identity = false;
  Value M, c;
};

/// An operand of an op: an affine map of x, or a value of the run.
struct AffineOperand {
  bool dependsOnX = false;
  Affine map;
  Value run;
};

/// Where an op writes the mathematics of its result's map, and why it could not.
struct AffineContext {
  OpBuilder &builder;
  int64_t features; ///< entries of x, its last axis
  std::string reason;
  std::nullopt_t reject(const Twine &why) {
    reason = why.str();
    return std::nullopt;
  }
};

} // namespace mlir::nn
