// Vectors: registers of f32, and what bf16 in memory is to them; for one instruction set, included by Micro.h.
//
// In     PEFT_DOTS (0, or 1 where there is AVX512_BF16)
// Legend  L: f32 of a register. A half register serves panels of few columns: it does two operations where a whole one does one.
//
// Only plain types here: a template of the standard library that was made with these flags might be linked into code for every CPU.
#pragma once
#include <cstdint>
#if PEFT_DOTS
#include <immintrin.h>
#endif

namespace peftrt::products {
namespace {

using Bf16 = uint16_t;
/// Two rows of a column.
struct Pair {
  uint32_t bits; ///< the earlier row's in the low half
};

template <int L> struct Registers {
  typedef float Floats __attribute__((vector_size(L * 4)));
  typedef uint32_t Words __attribute__((vector_size(L * 4)));
  typedef Bf16 Halves __attribute__((vector_size(L * 2)));
  typedef float FloatsAnywhere __attribute__((vector_size(L * 4), aligned(4)));
  typedef uint32_t WordsAnywhere __attribute__((vector_size(L * 4), aligned(4)));
  typedef Bf16 HalvesAnywhere __attribute__((vector_size(L * 2), aligned(2)));
};
template <int L> using Floats = typename Registers<L>::Floats;
template <int L> using Words = typename Registers<L>::Words;

inline int64_t least(int64_t x, int64_t y) { return x < y ? x : y; }

inline float widen(float x) { return x; }
inline float widen(Bf16 x) { return __builtin_bit_cast(float, static_cast<uint32_t>(x) << 16); }
/// To nearest, ties to even; a NaN stays one.
inline Bf16 rounded(float x) {
  const uint32_t bits = __builtin_bit_cast(uint32_t, x);
  return x != x ? 0x7fc0 : static_cast<Bf16>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

template <int L> inline Floats<L> splat(float x) { return x - Floats<L>{}; }
template <int L> inline Floats<L> load(const float *from) { return *reinterpret_cast<const typename Registers<L>::FloatsAnywhere *>(from); }
/// Halves of words that hold nothing else.
template <int L> inline Words<L> loadWords(const Bf16 *from) {
  return __builtin_convertvector((typename Registers<L>::Halves) * reinterpret_cast<const typename Registers<L>::HalvesAnywhere *>(from), Words<L>);
}
template <int L> inline Floats<L> load(const Bf16 *from) { return (Floats<L>)(loadWords<L>(from) << 16); }
template <int L> inline void store(Words<L> x, uint32_t *to) { *reinterpret_cast<typename Registers<L>::WordsAnywhere *>(to) = x; }
template <int L> inline void store(Floats<L> x, float *to) { *reinterpret_cast<typename Registers<L>::FloatsAnywhere *>(to) = x; }
template <int L> inline void store(Floats<L> x, Bf16 *to) {
  using Halves = typename Registers<L>::Halves;
  Halves halves;
#if PEFT_DOTS
  if constexpr (L == 16)
    halves = (Halves)_mm512_cvtneps_pbh((__m512)x);
  else
    halves = (Halves)_mm256_cvtneps_pbh((__m256)x);
#else
  const Words<L> bits = (Words<L>)x, near = (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
  halves = __builtin_convertvector(x == x ? near : Words<L>{} + 0x7fc0, Halves);
#endif
  *reinterpret_cast<typename Registers<L>::HalvesAnywhere *>(to) = halves;
}

template <int L> inline Words<L> loadPairs(const Pair *from) { return *reinterpret_cast<const typename Registers<L>::WordsAnywhere *>(from); }
/// The earlier rows' halves of pairs, or the later ones'.
template <int L, bool later> inline Floats<L> widen(Words<L> pairs) { return (Floats<L>)(later ? pairs & 0xffff0000u : pairs << 16); }

#if PEFT_DOTS
/// sum += the pair's rows times the column's, both.
template <int L> inline Floats<L> dot(Floats<L> sum, uint32_t pair, Words<L> columns) {
  if constexpr (L == 16)
    return (Floats<L>)_mm512_dpbf16_ps((__m512)sum, (__m512bh)_mm512_set1_epi32(static_cast<int>(pair)), (__m512bh)columns);
  else
    return (Floats<L>)_mm256_dpbf16_ps((__m256)sum, (__m256bh)_mm256_set1_epi32(static_cast<int>(pair)), (__m256bh)columns);
}
/// Two rows of 32 columns as pairs: columns 0 … 15 and 16 … 31.
struct PairedRows {
  Words<16> first, second;
};
inline PairedRows pairRows(const Bf16 *earlier, const Bf16 *later) {
  alignas(64) static constexpr Bf16 kFirst[32] = {0, 32, 1, 33, 2, 34, 3, 35, 4, 36, 5, 37, 6, 38, 7, 39, 8, 40, 9, 41, 10, 42, 11, 43, 12, 44, 13, 45, 14, 46, 15, 47};
  const __m512i first = _mm512_load_si512(kFirst), second = _mm512_add_epi16(first, _mm512_set1_epi16(16));
  const __m512i x = _mm512_loadu_si512(earlier), y = later ? _mm512_loadu_si512(later) : _mm512_setzero_si512();
  return {(Words<16>)_mm512_permutex2var_epi16(x, first, y), (Words<16>)_mm512_permutex2var_epi16(x, second, y)};
}
#endif

} // namespace
} // namespace peftrt::products
