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

/// A row of dots: c [j] = Σ_e a [e] b [j, e], with `depth` elements e. `whole`: rows of a and b begin where a whole access may.
void emitDots(Code &code, const Matrix &c, const Matrix &a, const Matrix &b, mlir::Value columns, int64_t depth, bool whole);
/// Whether emitDeepRow has a form for so many columns: a team of several warps, which goes through rows of B by whole accesses.
bool hasDeepRow(const Code &code, int64_t columns, bool whole);
/// One row, C [1, columns] = a B, where B has many rows: a team's threads share its rows, and add up what each has.
void emitDeepRow(Code &code, const Matrix &c, const Matrix &a, const Matrix &b, mlir::Value depth, int64_t columns);

/// `columnStride` of B and C is 1. A team's threads do parts of C, which the others see when they have met.
void emitProduct(Code &code, const Matrix &c, const Matrix &a, const Matrix &b, const ProductShape &shape, bool accumulate);

} // namespace peftc::conversion
