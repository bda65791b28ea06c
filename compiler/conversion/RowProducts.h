// RowProducts: products of rows with a matrix of the run that has few rows, made by tensor cores beside the rows: y = s · x Aᵀ.
//
// Layout  eight rows are done in the same warps, each by four neighbouring threads of every warp (Machine::warps). So what threads have of rows is what an `mma` wants
//         of its second factor [16, 8]: a column is a row's, and four threads have sixteen of its elements. Which sixteen does not matter to a sum: a thread's four
//         neighbouring ones stand where the fragment has two pairs, in both factors. The result is yᵀ, a tile of sixteen columns of y by eight rows. Each warp has
//         a sum over its own part of the rows' columns; they are added up in shared memory.
// Source  fragments of mma.m16n8k16: PTX ISA, 9.7.14.5.8
#pragma once
#include "compiler/conversion/Code.h"

namespace peftc::conversion {

/// A matrix A of bf16: rows lie `pitch` elements apart.
struct RowFactor {
  mlir::Value pointer;
  int64_t rows, pitch;
};
/// Where y goes, as bf16: rows lie `pitch` elements apart; of the eight from `first` on those before `end`.
struct RowProductResult {
  mlir::Value pointer, first, end;
  int64_t pitch;
  double scale;
};

/// How many numbers a thread sums, and sums of nothing.
size_t sumsOf(const RowFactor &a);
inline llvm::SmallVector<mlir::Value> emptySums(Code &code, const RowFactor &a) { return llvm::SmallVector<mlir::Value>(sumsOf(a), code.number(0)); }
/// Adds what x has at columns `column` … (a thread's lanes of f32, which are rounded), by all threads of a warp at once.
void accumulate(Code &code, const RowFactor &a, mlir::Value x, mlir::Value column, llvm::MutableArrayRef<mlir::Value> sums);
void finish(Code &code, const RowFactor &a, llvm::ArrayRef<mlir::Value> sums, const RowProductResult &y);

} // namespace peftc::conversion
