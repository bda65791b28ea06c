// Structure: matrices of the run that are cheaper to apply than to form.
//
// `x (W + s B A)ᵀ` is `x Wᵀ + s (x Aᵀ) Bᵀ`; a scale of rows moves to the product, one of columns to x; squared norms of rows come from
// Gram matrices. The rules stand with the ops (Structure.cpp): what has none is a dense matrix and is applied as it is.
#pragma once
#include "mlir/IR/Builders.h"
#include "mlir/IR/Value.h"
#include <string>

namespace mlir::nn {

/// Where rewritten products go.
struct StructureContext {
  OpBuilder &builder;
  Location location;
  std::string rows; ///< letters of x's axes in front of its features
};

/// One term of a sum of matrices [out, in]: a scalar times a dense matrix, or times `left right` of inner length below both.
struct Addend {
  Value factor; ///< null: 1
  bool negative = false;
  Value dense;               ///< [out, in]; or null:
  Value left, right;         ///< [out, r] and [r, in], each perhaps with its axes swapped:
  bool leftSwapped = false;  ///< `left` is [r, out]
  bool rightSwapped = false; ///< `right` is [in, r]
};

/// Whether a matrix of the run holds a part that is cheaper applied than formed.
bool isCheaperApplied(Value E);
/// `x Eᵀ` for E [out, in], `x E` if `transposed`; forms nothing that is cheaper applied.
Value applyTo(StructureContext &context, Value x, Value E, bool transposed);
/// Σ_in E ∘ E [out], without forming E; null where E is no sum of matrices.
Value rowNormSq(StructureContext &context, Value E);

} // namespace mlir::nn
