// Micro: the inner loops of matrix products, C = A B or C += A B, for one instruction set; included by a source file a set (Code*.cpp).
//
// In     PEFT_PRODUCTS_NAME (an identifier), PEFT_LANES (f32 of a register), PEFT_VECTORS (registers of a full panel's row), PEFT_DOTS (0, or 1 where there is
//        AVX512_BF16), PEFT_TILES (1 where there is AMX; else absent)
// Out    `const Code &PEFT_PRODUCTS_NAME()`
//
// Blocks  R rows of C by V registers are summed in registers; R V is what fits beside a row of the panel.
// Order   chunks of rows (their A stays in the second-level cache), blocks of depth, panels, blocks of rows.
// Numerics  every element of C is one chain of fused multiply-adds a block of depth, whatever part is asked for: threads change nothing.
//
// Only plain types here: a template of the standard library that was made with these flags might be linked into code for every CPU.
#include "runtime/products/Pack.h"

namespace peftrt::products {
namespace {

constexpr int64_t kChunk = 192;
static_assert(kChunk % 24 == 0);

/// A block's place in C.
struct Target {
  void *c;
  const void *sum; ///< what the block is added to, as C lies; or null
  int64_t row, column; ///< from one to the next, in elements
  int64_t width; ///< columns that are there
  bool isBf16;
};

/// A line of the block, `row` rows below its first.
template <int L, int V, typename C> inline void finish(const Floats<L> (&sums)[V], int64_t row, const Target &target) {
  C *to = static_cast<C *>(target.c) + row * target.row;
  const C *from = target.sum ? static_cast<const C *>(target.sum) + row * target.row : nullptr;
  if (target.width >= V * L && target.column == 1) {
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v)
      store<L>(from ? load<L>(from + v * L) + sums[v] : sums[v], to + v * L);
    return;
  }
  float line[V * L];
  __builtin_memcpy(line, sums, sizeof line);
  for (int64_t column = 0; column < least(target.width, V * L); ++column) {
    C &place = to[column * target.column];
    const float sum = from ? widen(from[column * target.column]) + line[column] : line[column];
    if constexpr (sizeof(C) == sizeof(float))
      place = sum;
    else
      place = rounded(sum);
  }
}

/// What a block of rows multiplies: its part of A, and rows of a panel or of B as it lies.
template <typename A, typename B> struct Factors {
  const A *a;
  const B *b;
  int64_t aRow, aDepth, bDepth, depth;
};

constexpr int64_t kAhead = 16; ///< rows of B that are asked for before they are read

template <int L, int R, int V, typename A, typename B> inline void sumFloats(const Factors<A, B> &in, Floats<L> (&sums)[R][V]) {
  const A *a = in.a;
  const B *b = in.b;
  for (int64_t place = 0; place < in.depth; ++place, a += in.aDepth, b += in.bDepth) {
    Floats<L> parts[V];
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) {
      if constexpr (L == 16 && V == 2 && sizeof(B) == sizeof(float)) // a line of memory
        __builtin_prefetch(b + kAhead * in.bDepth + v * L);
      parts[v] = load<L>(b + v * L);
    }
#pragma GCC unroll 12
    for (int r = 0; r < R; ++r) {
      const Floats<L> factor = splat<L>(widen(a[r * in.aRow]));
#pragma GCC unroll 4
      for (int v = 0; v < V; ++v)
        sums[r][v] += factor * parts[v];
    }
  }
}

#if !PEFT_DOTS
/// Adds one row of a place of a panel of pairs times one column of A: `pairOf` is a row's number of it, and the number beside that.
template <int L, int R, int V, bool later, typename PairOf> inline void sumHalves(const Pair *b, PairOf pairOf, Floats<L> (&sums)[R][V]) {
  Floats<L> parts[V];
#pragma GCC unroll 4
  for (int v = 0; v < V; ++v)
    parts[v] = widen<L, later>(loadPairs<L>(b + v * L));
#pragma GCC unroll 12
  for (int r = 0; r < R; ++r) {
    const Floats<L> factor = widen<L, later>(Words<L>{} + pairOf(r));
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v)
      sums[r][v] += factor * parts[v];
  }
}

/// Panels of pairs: halves are widened as they are read, so that panels take half the bytes of floats; sums are those of panels of floats.
template <int L, int R, int V> inline void sumPairs(const Factors<Bf16, Pair> &in, Floats<L> (&sums)[R][V]) {
  const Bf16 *a = in.a;
  const Pair *b = in.b;
  const auto pairOf = [&](int64_t r) {
    uint32_t pair;
    __builtin_memcpy(&pair, a + r * in.aRow, sizeof pair);
    return pair;
  };
  for (int64_t pair = 0; pair < in.depth / 2; ++pair, a += 2, b += in.bDepth) {
    sumHalves<L, R, V, false>(b, pairOf, sums);
    sumHalves<L, R, V, true>(b, pairOf, sums);
  }
  if (in.depth % 2) // what lies behind A's last column is nobody's
    sumHalves<L, R, V, false>(b, [&](int64_t r) { return static_cast<uint32_t>(a[r * in.aRow]); }, sums);
}
#else
/// Panels of pairs.
template <int L, int R, int V> inline void sumPairs(const Factors<Bf16, Pair> &in, Floats<L> (&sums)[R][V]) {
  const auto step = [&](int64_t pair, const uint32_t (&factors)[R]) {
    Words<L> parts[V];
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v)
      parts[v] = loadPairs<L>(in.b + pair * in.bDepth + v * L);
#pragma GCC unroll 12
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
      for (int v = 0; v < V; ++v)
        sums[r][v] = dot<L>(sums[r][v], factors[r], parts[v]);
  };
  uint32_t factors[R];
  for (int64_t pair = 0; pair < in.depth / 2; ++pair) {
#pragma GCC unroll 12
    for (int r = 0; r < R; ++r)
      __builtin_memcpy(&factors[r], in.a + r * in.aRow + pair * 2, sizeof(Pair));
    step(pair, factors);
  }
  if (in.depth % 2) { // what lies behind A's last column is nobody's
    for (int r = 0; r < R; ++r)
      factors[r] = in.a[r * in.aRow + in.depth - 1];
    step(in.depth / 2, factors);
  }
}

/// Pairs of A's rows, and B's rows as they lie; aDepth: from one pair of A to the next.
template <int L, int R, int V> inline void sumPairs(const Factors<Pair, Bf16> &in, Floats<L> (&sums)[R][V]) {
  static_assert(L == 16 && V % 2 == 0);
  for (int64_t row = 0; row < in.depth; row += 2) {
    const Bf16 *b = in.b + row * in.bDepth, *later = row + 1 < in.depth ? b + in.bDepth : nullptr;
    const Pair *a = in.a + row / 2 * in.aDepth;
    if constexpr (V == 2) { // a line of memory a row: the next one of each
      __builtin_prefetch(b + V * L);
      __builtin_prefetch(b + in.bDepth + V * L);
    }
    PairedRows parts[V / 2];
#pragma GCC unroll 2
    for (int v = 0; v < V / 2; ++v)
      parts[v] = pairRows(b + v * 2 * L, later ? later + v * 2 * L : nullptr);
#pragma GCC unroll 12
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
      for (int v = 0; v < V; ++v)
        sums[r][v] = dot<L>(sums[r][v], a[r * in.aRow].bits, v % 2 ? parts[v / 2].second : parts[v / 2].first);
  }
}
#endif

template <int L, int R, int V, typename A, typename B> __attribute__((noinline)) void block(const Factors<A, B> &in, const Target &target) {
  Floats<L> sums[R][V] = {};
  if constexpr (__is_same(A, Pair) || __is_same(B, Pair))
    sumPairs<L, R, V>(in, sums);
  else
    sumFloats<L, R, V>(in, sums);
#pragma GCC unroll 12
  for (int r = 0; r < R; ++r)
    target.isBf16 ? finish<L, V, Bf16>(sums[r], r, target) : finish<L, V, float>(sums[r], r, target);
}

inline void advance(Target &target, int64_t elements) {
  const int64_t bytes = elements * static_cast<int64_t>(target.isBf16 ? sizeof(Bf16) : sizeof(float));
  target.c = static_cast<char *>(target.c) + bytes;
  if (target.sum)
    target.sum = static_cast<const char *>(target.sum) + bytes;
}

/// Where C's element (row, column) is. Behind the first stretch of depth what is there is added to.
inline Target targetOf(const Call &call, int64_t row, int64_t column, bool isFirst) {
  Target target{call.c, isFirst ? call.sum : call.c, call.cRow, call.cColumn, call.columns - column, call.cIsBf16};
  advance(target, row * call.cRow + column * call.cColumn);
  return target;
}

/// `rows` rows in blocks of R, what is left in smaller ones.
template <int L, int R, int V, typename A, typename B> void blocks(Factors<A, B> in, int64_t rows, Target target) {
  const bool byFour = R == 6 && rows % R == 2; // two rows alone would read all of B for little
  for (; rows >= R && !(byFour && rows == R + 2); rows -= R, in.a += R * in.aRow, advance(target, R * target.row))
    block<L, R, V>(in, target);
  if constexpr (R > 1)
    if (rows > 0)
      blocks<L, R == 6 ? 4 : R == 4 ? 3 : R / 2, V>(in, rows, target);
}

/// By the panel's width.
template <typename A, typename B, int V = kVectors> void panel(const Factors<A, B> &in, int64_t rows, int64_t width, const Target &target) {
  if constexpr (V > 1) {
    if (width < V * kLanes)
      return panel<A, B, V / 2>(in, rows, width, target);
  } else if constexpr (kLanes > kNarrow) {
    if (width < kLanes)
      return blocks<kNarrow, 12, 1>(in, rows, target);
  }
  constexpr int kRows = kLanes == 16 && V > 1 ? 24 / V : 12 / V; // of 32 or 16 registers
  blocks<kLanes, kRows, V>(in, rows, target);
}

template <typename A, typename B> void multiplyAs(const Call &call, const Part &part) {
  const bool lies = call.layout == Layout::asItLies;
  const int64_t width = widthOf(call.columns), rowsAPlace = call.layout == Layout::pairs ? 2 : 1;
  const B *b = static_cast<const B *>(lies ? call.b : call.packed);
  for (int64_t chunk = part.firstRow; chunk < part.lastRow; chunk += kChunk)
    for (int64_t start = 0; start < call.depth; start += blockOf(call)) {
      const int64_t depth = least(blockOf(call), call.depth - start), places = (depth + rowsAPlace - 1) / rowsAPlace;
      for (int64_t column = part.firstPanel * kPanel; column < least(part.lastPanel * kPanel, call.columns); column += kPanel) {
        const int64_t here = widthAt(column, call.columns);
        const B *from = lies ? b + start * call.bDepth + column : b + start / rowsAPlace * width + column * places;
        const Target target = targetOf(call, chunk, column, start == 0);
        panel(Factors<A, B>{static_cast<const A *>(call.a) + chunk * call.aRow + start * call.aDepth, from, call.aRow, call.aDepth, lies ? call.bDepth : here, depth},
              least(kChunk, part.lastRow - chunk), here, target);
      }
    }
}

} // namespace
} // namespace peftrt::products

#include "runtime/products/Turned.h"
#if PEFT_TILES
#include "runtime/products/Tiles.h"
// All are made of tiles:
#include "runtime/products/TiledBlocks.h"
#include "runtime/products/TiledPairs.h"
#include "runtime/products/TiledRows.h"
#include "runtime/products/TiledTurned.h"
#endif

namespace peftrt::products {
namespace {

void packPanels(const Call &call, int64_t firstPanel, int64_t lastPanel) {
#if PEFT_TILES
  if (call.layout == Layout::splitTiles)
    return packBlocks<float, kParts>(call, firstPanel, lastPanel);
  if (call.layout == Layout::tiles)
    return call.bIsBf16 ? packBlocks<Bf16, 1>(call, firstPanel, lastPanel) : packBlocks<float, 1>(call, firstPanel, lastPanel);
#endif
  pack(call, firstPanel, lastPanel);
}

void multiply(const Call &call, const Part &part) {
#if PEFT_TILES
  if (call.layout == Layout::splitTiles)
    return multiplyBlocks<float, kParts>(call, part);
  if (call.layout == Layout::tiles)
    return call.aDepth == 1 ? multiplyTiles(call, part) : multiplyBlocks<Bf16, 1>(call, part);
  if (call.layout == Layout::pairsAsItLies)
    return multiplyTurnedTiles(call, part);
#endif
  if (call.layout == Layout::pairs)
    return multiplyAs<Bf16, Pair>(call, part);
#if PEFT_DOTS
  if (call.layout == Layout::pairsAsItLies)
    return multiplyTurned<Bf16>(call, part);
#endif
#if PEFT_LANES == 16
  if (call.layout == Layout::asItLies && !call.aIsBf16 && call.aRow == 1)
    return multiplyTurned<float>(call, part);
#endif
  if (!call.aIsBf16)
    return multiplyAs<float, float>(call, part);
  call.layout == Layout::asItLies ? multiplyAs<Bf16, Bf16>(call, part) : multiplyAs<Bf16, float>(call, part);
}

#if PEFT_TILES
constexpr int64_t kTileSide = kSide;
constexpr PairFunctions kPairFunctions{multiplyPairs, turnPairs};
constexpr const PairFunctions *kPairs = &kPairFunctions;
#else
constexpr int64_t kTileSide = 0;
constexpr const PairFunctions *kPairs = nullptr;
#endif

} // namespace

const Code &PEFT_PRODUCTS_NAME() {
  static constexpr Code code{packPanels, multiply, kPanel, PEFT_DOTS != 0, kTileSide, kPairs};
  return code;
}

} // namespace peftrt::products
