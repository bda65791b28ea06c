// Turned: gradients of weights whose Aᵀ and B lie alike, row by row of what is summed (tokens); included by Micro.h.
//
// In     A's adjacent rows and B's adjacent columns, both of one type; C f32. PEFT_DOTS for bf16, registers of 16 lanes for f32
// Order  few rows of depth, rows of C, two registers of columns: B comes from memory nearly in the order in which it lies there, from few pages at a time
namespace peftrt::products {
namespace {

#if PEFT_LANES == 16
constexpr int64_t kTurnedRows = 48; ///< of C; the pairs of their A lie on the stack
constexpr int64_t kTurnedDepth = 32;
constexpr int kTurnedVectors = 2;

#if PEFT_DOTS
/// `rows` columns of A, [depth, rows], as pairs of its rows: [depth / 2, kTurnedRows].
void pairColumns(const Bf16 *from, int64_t pitch, int64_t depth, int64_t rows, Pair *to) {
  for (int64_t row = 0; row < depth; row += 2, to += kTurnedRows) {
    const Bf16 *earlier = from + row * pitch, *later = row + 1 < depth ? earlier + pitch : nullptr;
    int64_t column = 0;
    for (; column + kNarrow <= rows; column += kNarrow)
      store<kNarrow>(loadWords<kNarrow>(earlier + column) | (later ? loadWords<kNarrow>(later + column) << 16 : Words<kNarrow>{}), &to[column].bits);
    for (; column < rows; ++column)
      to[column].bits = earlier[column] | (later ? static_cast<uint32_t>(later[column]) << 16 : 0);
  }
}
#endif

/// How a block's columns of A are multiplied with rows of B: f32 as it lies, bf16 in pairs of rows.
template <typename Source> struct TurnedColumns {
  Factors<float, float> factors;
  TurnedColumns(const float *a, const Call &call, int64_t depth, int64_t) : factors{a, nullptr, 1, call.aDepth, call.bDepth, depth} {}
};
#if PEFT_DOTS
template <> struct TurnedColumns<Bf16> {
  Factors<Pair, Bf16> factors;
  Pair pairs[kTurnedDepth / 2 * kTurnedRows];
  TurnedColumns(const Bf16 *a, const Call &call, int64_t depth, int64_t rows) : factors{pairs, nullptr, 1, kTurnedRows, call.bDepth, depth} { pairColumns(a, call.aDepth, depth, rows, pairs); }
};
#endif

template <typename Source> void multiplyTurned(const Call &call, const Part &part) {
  constexpr int64_t kColumns = kTurnedVectors * kLanes;
  for (int64_t start = 0; start < call.depth; start += kTurnedDepth)
    for (int64_t row = part.firstRow; row < part.lastRow; row += kTurnedRows) {
      const int64_t depth = least(kTurnedDepth, call.depth - start), rows = least(kTurnedRows, part.lastRow - row);
      TurnedColumns<Source> in(static_cast<const Source *>(call.a) + start * call.aDepth + row, call, depth, rows);
      for (int64_t column = part.firstPanel * kPanel; column < least(part.lastPanel * kPanel, call.columns); column += kColumns) {
        in.factors.b = static_cast<const Source *>(call.b) + start * call.bDepth + column;
        blocks<kLanes, 8, kTurnedVectors>(in.factors, rows, targetOf(call, row, column, start == 0));
      }
    }
}
#endif

} // namespace
} // namespace peftrt::products
