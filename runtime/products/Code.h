// Code: matrix products for one instruction set, as functions on a call and a part of its result.
#pragma once
#include <cstdint>

namespace peftrt::products {

/// How B is read.
enum class Layout {
  asItLies, ///< its columns are adjacent and fill whole panels
  floats,   ///< panels of f32
  pairs,    ///< panels of pairs of bf16, which A's adjacent bf16 columns are multiplied with
  tiles,      ///< blocks of tiles of bf16; one stride of B is 1. A is bf16: its columns are adjacent and the depth is whole blocks (32) or
              ///< even and less, or its rows are and C is f32
  splitTiles, ///< blocks of tiles of f32 in three parts (TiledBlocks.h); A, B and C are f32, and of A and of B one stride is 1
  pairsAsItLies ///< bf16, columns adjacent and whole panels; A's rows are adjacent too, and C is f32: both are paired as they are read
};

/// H [rows, depth] of A's type; what it is multiplied with is in blocks of the product's layout. A thin depth, H's blocks are made anew for each chunk of rows.
struct Branch {
  const void *a, *packed;
  int64_t aRow, aDepth;
  int64_t depth; ///< 0: there is none; kMostBranchDepth at most
};
constexpr int64_t kMostBranchDepth = 128;

/// C [rows, columns] = A [rows, depth] B [depth, columns]. Strides are in elements. Element (i, k) of A lies i * aRow + k * aDepth behind `a`, (k, j) of B
/// k * bDepth + j * bColumn behind `b`, (i, j) of C i * cRow + j * cColumn behind `c`.
struct Call {
  const void *a, *b;
  void *packed; ///< B's panels, from the beginning of a cache line
  void *c;
  int64_t aRow, aDepth, bDepth, bColumn, cRow, cColumn, rows, depth, columns;
  const void *sum; ///< what A B is added to, by C's strides: C itself, or bytes that C has none of; or null
  bool aIsBf16, bIsBf16, cIsBf16;
  Layout layout;
  Branch branch; ///< whose product is added too; of layouts of tiles only
  double alpha = 1; ///< what A B is multiplied by: of a device's products, this code knows no other
};

/// Rows and panels of C, or of B.
struct Part {
  int64_t firstRow, lastRow, firstPanel, lastPanel; ///< last: one beyond
};

/// Bits of `how`.
constexpr int64_t kCIsBf16 = 1, kAdds = 2;

/// Products of words of two bf16, which generated kernels may ask for instead of their own loops (runtime/cpu/Kernels.h: KernelCall::pairs).
struct PairFunctions {
  /// C [rows, columns] = A [rows, pairs] B [pairs, columns], or C += A B; C is f32 or bf16. Word (i, p) of A lies i * aRow + p * aPair behind `a`, one of which is 1;
  /// (p, j) of B p * bPair + j behind `b`; number (i, j) of C i * cRow + j behind `c`. `columns`: a multiple of 16.
  void (*multiply)(void *c, const uint32_t *a, const uint32_t *b, int64_t cRow, int64_t aRow, int64_t aPair, int64_t bPair, int64_t rows, int64_t pairs, int64_t columns, int64_t how);
  /// `to` [words, rows] of `from` [rows, words]; fromRow, toRow: words from a row to the next.
  void (*turn)(const uint32_t *from, int64_t fromRow, uint32_t *to, int64_t toRow, int64_t rows, int64_t words);
};

struct Code {
  void (*pack)(const Call &, int64_t firstPanel, int64_t lastPanel);
  void (*multiply)(const Call &, const Part &);
  int64_t panel; ///< columns of a full panel
  bool dots;     ///< whether pairs of bf16 are multiplied at once, and read as they lie; else those of panels are widened
  int64_t side;  ///< columns and depth of a block of tiles; 0 where there are none
  const PairFunctions *pairs; ///< where there are
};

const Code &codeV3();     ///< AVX2, FMA
const Code &codeV4();     ///< AVX-512 F, BW, DQ, VL
const Code &codeV4Bf16(); ///< the same and AVX512_BF16
const Code &codeV4Amx();  ///< the same and AMX of bf16; the system must have been asked for its registers (mayUseTiles)
/// Asks the system for AMX's registers, which it gives to processes that ask. False: this CPU or system has none.
bool mayUseTiles();

} // namespace peftrt::products
