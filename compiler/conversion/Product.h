// Product: C = A B, or C += A B, as register blocks of rows by one vector of columns; A is read a number at a time, so that any strides serve.
#pragma once
#include "compiler/conversion/Code.h"
#include <optional>

namespace peftc::conversion {

/// Element (i, j) lies `i * rowStride + j * columnStride` elements behind the pointer.
struct Matrix {
  mlir::Value pointer, rowStride;
  mlir::Value columnStride; ///< null: 1
  bool isHalf = false;      ///< bf16 in memory
};

struct ProductShape {
  mlir::Value rows, depth;             ///< i64
  mlir::Value columns;                 ///< i64; of B and C
  std::optional<int64_t> knownColumns; ///< the same, where it is known; else both matrices may be touched up to a whole vector
};

/// `columnStride` of B and C is 1. A team's threads do parts of C, which the others see when they have met.
void emitProduct(Code &code, const Matrix &c, const Matrix &a, const Matrix &b, const ProductShape &shape, bool accumulate);

} // namespace peftc::conversion
