// Space: what a kernel iterates over, and which `nn` ops can be computed there.
//
// rows    every value is [rows, columns] flattened: the ragged first axis (or one row an example, or the first axis of a value of the run) by the
//         rest; beside it numbers of a row, vectors of columns and scalars of the run. A row may be done in parts, one a head or a group: then
//         columns are a part's, and a vector that all parts share, or a number of each part, may stand beside them
// tiles   per example and head a matrix [rows, keys] in scratch, its row numbers, and the products that make it of, or turn it into, packed
//         [rows or keys, heads, head size] values
// flat    elements of the run's vectors (optimizer programs)
#pragma once
#include "dialects/nn/Nn.h"
#include <optional>

namespace mlir::plan {

struct Space {
  enum Kind { rows, tiles, flat };
  Kind kind = rows;
  bool example = false;
  nn::Dim rowCount;      ///< rows: of an example, or of the run; tiles: query rows of an example
  int64_t columns = 1;   ///< rows: of a part; 1 fits any
  int64_t parts = 1;     ///< rows: of a row
  bool whole = false;    ///< rows: something needs a row in one part
  int64_t heads = 0;     ///< tiles
  nn::Dim keyCount;      ///< tiles; {0, 0} (only numbers of a row) fits any
};
/// The space that holds both, if there is one.
std::optional<Space> unite(const Space &a, const Space &b);
StringRef nameOf(Space::Kind kind);

/// A value as rows × columns.
struct RowShape {
  bool example = false;
  nn::Dim rowCount;
  int64_t columns = 1;
};
/// Absent for types that no row program walks over (two ragged axes, or a ragged axis behind another).
std::optional<RowShape> rowShapeOf(nn::NNType type);
/// [heads, rows, keys] with ragged keys; rows are ragged, or the newest one.
bool isQuadratic(nn::NNType type);
/// [heads, rows, 1]: what a reduction over keys leaves.
bool isRowOfTiles(nn::NNType type);

/// How an operand of an elementwise op meets the rows of its result.
enum class Meeting { full, row, column, scalar, shared, part, none }; // shared: by the parts of a row; part: a number of each part
Meeting meetingOf(nn::NNType operand, nn::NNType result);

/// [rows, 1, size]: what all parts of a row share.
bool isSharedByParts(nn::NNType type);
/// Whether the op makes a number of each part: it reduces the last axis of rows that have others before it.
bool reducesParts(nn::ReduceOp op);

/// A product inside `tiles`: one operand or the result is a matrix [heads, rows, keys].
struct TileProduct {
  enum Kind {
    scores,   ///< [i, j] = Σ_e left[i, e] right[j, e]
    overKeys, ///< [i, e] = Σ_j matrix[i, j] other[j, e]
    overRows  ///< [j, e] = Σ_i matrix[i, j] other[i, e]
  } kind;
  unsigned matrix = 0; ///< scores: which operand has the rows; else which operand is the matrix
};
std::optional<TileProduct> tileProductOf(nn::ContractOp op);

/// Whole numbers that a kernel counts out as it goes: places along an axis (`iota`), seen along other axes, and sums with constants.
bool isIndex(Value value);
/// What is true of a key wherever a row is: a comparison of places along the keys, [1, 1, keys]. Kernels count it out as well.
bool isKeyTruth(Value value);
/// Keys or values for more heads than they have: read where they lie.
bool isHeadsRepeat(Operation *op);
/// The transpose of that: the sum over heads that shared them, of a product `overRows`; null if `op` is none.
nn::ContractOp groupSummed(Operation *op);
/// The sum over all rows, column by column, if `value` is one: of a batch's rows, or of a table of the run. A kernel makes it beside what it makes of each row, but it is
/// there only when all rows are done.
nn::ReduceOp rowSum(Value value);
/// Rows that are summed one after the other, whoever does them: sums of stretches are added in their order. A part of a kernel that sums begins at a multiple of it.
inline constexpr int64_t kStretch = 24;
/// Made inside kernels, and by itself only where something else reads it.
bool isMadeWhereRead(Operation *op);

/// Where `op` can be computed inside a kernel; nothing, and why, where it cannot.
struct Fusable {
  std::optional<Space> space;
  StringRef reason;
};
Fusable fusableIn(Operation *op, bool flatProgram);
/// The same bytes under another shape.
bool isView(Operation *op);
/// New entries of what is kept from run to run, in its memory: nobody reads it as it was.
bool isUpdate(Operation *op);
/// Between a kernel's bf16 in memory and its f32 in registers: no op of its own.
bool isStorageCast(Operation *op);
/// The argument that a product of a head reads: behind a storage cast, or for more heads than it has.
Value readFrom(Value operand);
} // namespace mlir::plan
