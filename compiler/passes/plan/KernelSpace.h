// KernelSpace: over what a kernel goes, and which of its values are whole rows of that.
#pragma once
#include "compiler/passes/plan/Space.h"
#include "dialects/plan/Plan.h"

namespace mlir::plan {

/// The space that holds all ops of the kernel.
Space spaceOf(KernelOp op);
/// In a space of rows: a vector that all parts of a row share, or rows share where it is the run's.
bool isShared(const Space &space, nn::NNType type);
/// In a space of rows: a number of each part, of the row's or of any row's where it is the run's.
bool isOfPart(const Space &space, nn::NNType type);
/// In a space of rows: all parts of each row, one behind the other.
bool isWholeRow(const Space &space, nn::NNType type);

/// A product that a kernel of rows makes beside a row's vector: cast(scale · x · matrixᵀ), with a matrix of the run that has few rows.
struct RowProduct {
  nn::ContractOp product;
  Value x;               ///< f32: what memory holds rounded
  unsigned matrix = 0;   ///< argument [columns, row's length]
  int64_t columns = 0;   ///< of the result
  double scale = 1;
};
/// What the kernel yields for one, if `yielded` is that.
std::optional<RowProduct> rowProductOf(Value yielded);
SmallVector<std::pair<unsigned, RowProduct>> rowProductsOf(KernelOp op); ///< by result
inline constexpr StringLiteral kRowProduct = "ay,zy->az";
/// Warps that share such a row on a GPU, of which each takes 32 elements at a time; 0 where a row is no multiple of what two take.
inline int64_t warpsOfRowProduct(int64_t columns) { return columns % 128 == 0 ? 4 : columns % 64 == 0 ? 2 : 0; }
inline constexpr int64_t kProductBlock = 512; ///< threads of a block there, of which four of each warp have a row: so many rows read a matrix at the same time
inline int64_t rowsOfProductBlock(int64_t columns) { return kProductBlock / (4 * warpsOfRowProduct(columns)); }
inline constexpr int64_t kMostColumns = 64; ///< of a kernel's row products in all: their sums lie in registers

} // namespace mlir::plan
