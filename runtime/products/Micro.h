// Micro: the inner loops of matrix products, C = A B or C += A B, for one instruction set; included by a source file a set (Code*.cpp).
//
// In     PEFT_PRODUCTS_NAME (an identifier), PEFT_LANES (f32 of a register), PEFT_VECTORS (registers of a full panel's row), PEFT_DOTS (0, or 1 where there is
//        AVX512_BF16)
// Out    `const Code &PEFT_PRODUCTS_NAME()`
//
// Panels  B is cut into blocks of rows (blockOf), a block into panels of PEFT_VECTORS registers, the last one maybe narrower, zeros beyond the last column. A row
//         of a panel is floats, or pairs of bf16: rows 2i and 2i + 1 of a column beside each other.
// Blocks  R rows of C by V registers are summed in registers; R V is what fits beside a row of the panel.
// Order   chunks of rows (their A stays in the second-level cache), blocks of depth, panels, blocks of rows.
// Numerics  every element of C is one chain of fused multiply-adds a block of depth, whatever part is asked for: threads change nothing.
//
// Only plain types here: a template of the standard library that was made with these flags might be linked into code for every CPU.
#include "runtime/products/Code.h"
#if PEFT_DOTS
#include <immintrin.h>
#endif

namespace peftrt::products {
namespace {

constexpr int kLanes = PEFT_LANES, kVectors = PEFT_VECTORS;
constexpr int64_t kDepth = 512, kChunk = 192, kPanel = kVectors * kLanes;
static_assert(kDepth % 2 == 0 && kChunk % 24 == 0);

int64_t least(int64_t x, int64_t y) { return x < y ? x : y; }

using Bf16 = uint16_t;
struct Pair {
  uint32_t bits; ///< the earlier row's in the low half
};
typedef float Floats __attribute__((vector_size(PEFT_LANES * 4)));
typedef uint32_t Words __attribute__((vector_size(PEFT_LANES * 4)));
typedef Bf16 Halves __attribute__((vector_size(PEFT_LANES * 2)));
typedef float FloatsAnywhere __attribute__((vector_size(PEFT_LANES * 4), aligned(4)));
typedef Bf16 HalvesAnywhere __attribute__((vector_size(PEFT_LANES * 2), aligned(2)));

inline float widen(float x) { return x; }
inline float widen(Bf16 x) { return __builtin_bit_cast(float, static_cast<uint32_t>(x) << 16); }
/// To nearest, ties to even; a NaN stays one.
inline Bf16 rounded(float x) {
  const uint32_t bits = __builtin_bit_cast(uint32_t, x);
  return x != x ? 0x7fc0 : static_cast<Bf16>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}
inline Floats splat(float x) { return x - Floats{}; }
inline Floats load(const float *from) { return *reinterpret_cast<const FloatsAnywhere *>(from); }
inline Floats load(const Bf16 *from) { return (Floats)(__builtin_convertvector((Halves) * reinterpret_cast<const HalvesAnywhere *>(from), Words) << 16); }
inline void store(Floats x, float *to) { *reinterpret_cast<FloatsAnywhere *>(to) = x; }
inline void store(Floats x, Bf16 *to) {
#if PEFT_DOTS
  *reinterpret_cast<HalvesAnywhere *>(to) = (Halves)_mm512_cvtneps_pbh((__m512)x);
#else
  const Words bits = (Words)x, near = (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
  *reinterpret_cast<HalvesAnywhere *>(to) = __builtin_convertvector(x == x ? near : Words{} + 0x7fc0, Halves);
#endif
}

/// A block's place in C.
struct Target {
  void *c;
  int64_t row, column; ///< from one to the next, in elements
  int64_t width; ///< columns that are there
  bool isBf16, adds;
};

template <typename C, int V> inline void finish(const Floats (&sums)[V], C *to, const Target &target) {
  if (target.width >= V * kLanes && target.column == 1) {
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v)
      store(target.adds ? load(to + v * kLanes) + sums[v] : sums[v], to + v * kLanes);
    return;
  }
  float line[V * kLanes];
  __builtin_memcpy(line, sums, sizeof line);
  for (int64_t column = 0; column < least(target.width, V * kLanes); ++column) {
    C &place = to[column * target.column];
    const float sum = target.adds ? widen(place) + line[column] : line[column];
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

template <typename A, typename B, int R, int V> inline void sum(const Factors<A, B> &in, Floats (&sums)[R][V]) {
  const A *a = in.a;
  const B *b = in.b;
  for (int64_t place = 0; place < in.depth; ++place, a += in.aDepth, b += in.bDepth) {
    Floats parts[V];
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v)
      parts[v] = load(b + v * kLanes);
#pragma GCC unroll 12
    for (int r = 0; r < R; ++r) {
      const Floats factor = splat(widen(a[r * in.aRow]));
#pragma GCC unroll 4
      for (int v = 0; v < V; ++v)
        sums[r][v] += factor * parts[v];
    }
  }
}

#if PEFT_DOTS
template <int R, int V> inline void sum(const Factors<Bf16, Pair> &in, Floats (&sums)[R][V]) {
  const auto step = [&](int64_t pair, const uint32_t (&factors)[R]) {
    __m512bh parts[V];
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v)
      parts[v] = (__m512bh)_mm512_loadu_si512(in.b + pair * in.bDepth + v * kLanes);
#pragma GCC unroll 12
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
      for (int v = 0; v < V; ++v)
        sums[r][v] = (Floats)_mm512_dpbf16_ps((__m512)sums[r][v], (__m512bh)_mm512_set1_epi32(factors[r]), parts[v]);
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
#endif

template <typename A, typename B, int R, int V> __attribute__((noinline)) void block(const Factors<A, B> &in, const Target &target) {
  Floats sums[R][V] = {};
  sum(in, sums);
#pragma GCC unroll 12
  for (int r = 0; r < R; ++r)
    target.isBf16 ? finish(sums[r], static_cast<Bf16 *>(target.c) + r * target.row, target) : finish(sums[r], static_cast<float *>(target.c) + r * target.row, target);
}

inline void advance(Target &target, int64_t elements) {
  target.c = static_cast<char *>(target.c) + elements * (target.isBf16 ? sizeof(Bf16) : sizeof(float));
}

/// `rows` rows in blocks of R, what is left in smaller ones.
template <typename A, typename B, int R, int V> void blocks(Factors<A, B> in, int64_t rows, Target target) {
  const bool byFour = R == 6 && rows % R == 2; // two rows alone would read all of B for little
  for (; rows >= R && !(byFour && rows == R + 2); rows -= R, in.a += R * in.aRow, advance(target, R * target.row))
    block<A, B, R, V>(in, target);
  if constexpr (R > 1)
    if (rows > 0)
      blocks<A, B, R == 6 ? 4 : R == 4 ? 3 : R / 2, V>(in, rows, target);
}

/// By the panel's width.
template <typename A, typename B, int V = kVectors> void panel(const Factors<A, B> &in, int64_t rows, int64_t width, const Target &target) {
  if constexpr (V > 1)
    if (width < V * kLanes)
      return panel<A, B, V / 2>(in, rows, width, target);
  constexpr int kRows = kLanes == 16 && V > 1 ? 24 / V : 12 / V; // of 32 or 16 registers
  blocks<A, B, kRows, V>(in, rows, target);
}

/// Rows of B that are summed before C is touched; all of them in bf16, since C might round what is summed so far.
int64_t blockOf(const Call &call) { return call.aIsBf16 ? call.depth : kDepth; }
/// Columns of the panel that begins at a column.
int64_t widthAt(int64_t column, int64_t columns) {
  int64_t width = kLanes;
  while (width < kPanel && width < columns - column)
    width *= 2;
  return width;
}
/// Columns of all panels.
int64_t widthOf(int64_t columns) {
  const int64_t last = (columns - 1) / kPanel * kPanel;
  return last + widthAt(last, columns);
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
        Target target{call.c, call.cRow, call.cColumn, call.columns - column, call.cIsBf16, call.adds || start > 0};
        advance(target, chunk * call.cRow + column * call.cColumn);
        panel(Factors<A, B>{static_cast<const A *>(call.a) + chunk * call.aRow + start * call.aDepth, from, call.aRow, call.aDepth, lies ? call.bDepth : here, depth},
              least(kChunk, part.lastRow - chunk), here, target);
      }
    }
}

void multiply(const Call &call, const Part &part) {
#if PEFT_DOTS
  if (call.layout == Layout::pairs)
    return multiplyAs<Bf16, Pair>(call, part);
#endif
  if (!call.aIsBf16)
    return multiplyAs<float, float>(call, part);
  call.layout == Layout::asItLies ? multiplyAs<Bf16, Bf16>(call, part) : multiplyAs<Bf16, float>(call, part);
}

/// Panels of floats or of pairs; 16 rows of a transposed B at a time: what is written meanwhile stays in the first-level cache.
template <int kRows, typename Place> void packPanel(const Call &call, Place *to, int64_t start, int64_t depth, int64_t first, int64_t width) {
  constexpr int64_t kLine = 16;
  const auto at = [&](int64_t row, int64_t column) -> float {
    if (row >= depth || first + column >= call.columns)
      return 0;
    const int64_t index = (start + row) * call.bDepth + (first + column) * call.bColumn;
    const float value = call.bIsBf16 ? widen(static_cast<const Bf16 *>(call.b)[index]) : static_cast<const float *>(call.b)[index];
    return call.aIsBf16 ? widen(rounded(value)) : value; // the same number, however this set multiplies
  };
  for (int64_t line = 0; line < depth; line += kLine)
    for (int64_t column = 0; column < width; ++column)
      for (int64_t row = line; row < least(depth, line + kLine); row += kRows)
        if constexpr (kRows == 1) {
          to[row * width + column] = at(row, column);
        } else {
          to[row / kRows * width + column].bits = static_cast<uint32_t>(rounded(at(row, column))) | static_cast<uint32_t>(rounded(at(row + 1, column))) << 16;
        }
}

void pack(const Call &call, int64_t firstPanel, int64_t lastPanel) {
  const bool pairs = call.layout == Layout::pairs;
  const int64_t width = widthOf(call.columns), rowsAPlace = pairs ? 2 : 1;
  for (int64_t first = firstPanel * kPanel; first < least(lastPanel * kPanel, call.columns); first += kPanel)
    for (int64_t start = 0; start < call.depth; start += blockOf(call)) {
      const int64_t depth = least(blockOf(call), call.depth - start), place = start / rowsAPlace * width + first * ((depth + rowsAPlace - 1) / rowsAPlace);
      if (pairs)
        packPanel<2>(call, static_cast<Pair *>(call.packed) + place, start, depth, first, widthAt(first, call.columns));
      else
        packPanel<1>(call, static_cast<float *>(call.packed) + place, start, depth, first, widthAt(first, call.columns));
    }
}

} // namespace

const Code &PEFT_PRODUCTS_NAME() {
  static constexpr Code code{pack, multiply, kPanel, kLanes, PEFT_DOTS != 0};
  return code;
}

} // namespace peftrt::products
