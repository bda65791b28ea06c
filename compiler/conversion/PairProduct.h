// PairProduct: C = A B, or C += A B, of bf16, two steps of the sum at a time, for CPUs that multiply pairs of bf16 (Machine::pairs).
//
// A pair is a word: two bf16, the earlier step's in the low half. Numerics: products of bf16 are exact in f32; sums are f32.
#pragma once
#include "compiler/conversion/Product.h"

namespace peftc::conversion {

constexpr int64_t kPairLanes = 16; ///< words that an instruction takes

/// Word (i, j) lies `i * rowStride + j * columnStride` words behind the pointer.
struct Pairs {
  mlir::Value pointer, rowStride;
  mlir::Value columnStride; ///< null: 1
};

/// Functions that may do it instead of loops: their table (products::PairFunctions of the runtime), which is null on CPUs that have none.
struct PairFunctions {
  mlir::Value table;
  /// Emits both ways: a call of function `index`, and what is to be done without.
  void orElse(Code &code, int64_t index, llvm::ArrayRef<mlir::Value> arguments, const std::function<void()> &otherwise) const;
};
constexpr int64_t kMultiplyPairs = 0, kTurnPairs = 1; ///< places in the table

/// A: [rows, depth] pairs, B: [depth, columns] pairs, readable up to a whole vector; shape.depth: pairs. `columns`, where not known, is a multiple of 2 kPairLanes.
void emitPairProduct(Code &code, const Matrix &c, const Pairs &a, const Pairs &b, const ProductShape &shape, bool accumulate,
                     const PairFunctions &functions);

/// Word (i, j) of `from`, [rows, words], becomes (j, i) of `to`, [words, rows].
void emitTurnedPairs(Code &code, const Pairs &from, mlir::Value rows, int64_t words, const Pairs &to, const PairFunctions &functions);

/// Rows 2p and 2p + 1 of `from`, which lies in memory as bf16, as pairs: row p of `to`, [(rows + 1) / 2, columns]. A row that is not there is 0. Columns beyond
/// `knownColumns` are 0 up to a whole vector; where `columns` are not known, they are a multiple of kPairLanes.
void emitPairedRows(Code &code, const Matrix &from, mlir::Value rows, mlir::Value columns, std::optional<int64_t> knownColumns, const Pairs &to);

} // namespace peftc::conversion
