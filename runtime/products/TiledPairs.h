// TiledPairs: products of pairs of bf16 that a kernel makes in its scratch, by AMX; included by Micro.h where PEFT_TILES is 1.
//
// A generated kernel has loops of its own for them (compiler/conversion/PairProduct). Where the call that it gets says so, it comes here instead: the code of a
// trainer is compiled before its CPU is known, and tiles need a state that is set and given back.
//
// In     A [rows, pairs], B [pairs, columns] as words of two bf16, the earlier one's in the low half; columns: a multiple of 16
// Numerics  an element's sum is one chain over the pairs. Tiles flush denormals to zero.
namespace peftrt::products {
namespace {

struct PairProduct {
  const uint32_t *a, *b;
  int64_t aRow, aPair, bPair; ///< words from one to the next
  int64_t rows, pairs, columns;
};

inline __mmask16 wordsThere(int64_t count) { return static_cast<__mmask16>(count >= kTile ? 0xffff : (1 << count) - 1); }

/// Where a tile of A or B is loaded from, and bytes from a line to the next.
struct TileAt {
  const void *from;
  int64_t pitch;
};

/// Sixteen lines of sixteen words; what is not there is made zero in `room`.
inline TileAt tileAt(const uint32_t *from, int64_t pitch, int64_t lines, int64_t words, Tile &room) {
  if (lines >= kTile && words >= kTile)
    return {from, pitch * static_cast<int64_t>(sizeof(uint32_t))};
  for (int64_t line = 0; line < kTile; ++line)
    room.lines[line] = (Words<16>)_mm512_maskz_loadu_epi32(line < lines ? wordsThere(words) : 0, from + line * pitch);
  return {&room, sizeof room.lines[0]};
}

/// Rows of A are lines; where its words of a row lie apart, its rows do not, and the tile is turned.
inline TileAt tileOfA(const PairProduct &in, int64_t row, int64_t pair, Tile &room) {
  const uint32_t *from = in.a + row * in.aRow + pair * in.aPair;
  if (in.aPair == 1)
    return tileAt(from, in.aRow, in.rows - row, in.pairs - pair, room);
  const TileAt lies = tileAt(from, in.aPair, in.pairs - pair, in.rows - row, room);
  if (lies.from != &room)
    for (int64_t line = 0; line < kTile; ++line)
      room.lines[line] = (Words<16>)_mm512_loadu_si512(from + line * in.aPair);
  turn(room);
  return {&room, sizeof room.lines[0]};
}

/// 32 rows by 32 columns, as far as they are there.
template <bool Bottom, bool Right> void pairBlock(const PairProduct &in, int64_t row, int64_t column, TileSums &sums) {
  Tile rooms[4];
  zeroTiles<Bottom, Right>();
  for (int64_t pair = 0; pair < in.pairs; pair += kTile) {
    const uint32_t *b = in.b + pair * in.bPair + column;
    const TileAt a0 = tileOfA(in, row, pair, rooms[0]), b0 = tileAt(b, in.bPair, in.pairs - pair, kTile, rooms[1]);
    _tile_loadd(4, a0.from, a0.pitch);
    _tile_loadd(6, b0.from, b0.pitch);
    if constexpr (Bottom) {
      const TileAt a1 = tileOfA(in, row + kTile, pair, rooms[2]);
      _tile_loadd(5, a1.from, a1.pitch);
    }
    if constexpr (Right) {
      const TileAt b1 = tileAt(b + kTile, in.bPair, in.pairs - pair, kTile, rooms[3]);
      _tile_loadd(7, b1.from, b1.pitch);
    }
    addTiles<Bottom, Right>();
  }
  storeTiles<Bottom, Right>(sums);
}

void multiplyPairs(void *c, const uint32_t *a, const uint32_t *b, int64_t cRow, int64_t aRow, int64_t aPair, int64_t bPair, int64_t rowCount, int64_t pairs, int64_t columns, int64_t how) {
  const PairProduct in{a, b, aRow, aPair, bPair, rowCount, pairs, columns};
  TileShapes shapes;
  shapes.configure(2 * kTile);
  alignas(64) TileSums sums;
  for (int64_t row = 0; row < in.rows; row += kSide)
    for (int64_t column = 0; column < in.columns; column += kSide) {
      const int64_t rows = least(kSide, in.rows - row);
      const bool bottom = rows > kTile, right = in.columns - column > kTile;
      if (right)
        bottom ? pairBlock<true, true>(in, row, column, sums) : pairBlock<false, true>(in, row, column, sums);
      else
        bottom ? pairBlock<true, false>(in, row, column, sums) : pairBlock<false, false>(in, row, column, sums);
      Target target{c, cRow, 1, in.columns - column, (how & kCIsBf16) != 0, (how & kAdds) != 0};
      advance(target, row * cRow + column);
      if (right)
        target.isBf16 ? finishRows<2, Bf16>(sums, rows, target) : finishRows<2, float>(sums, rows, target);
      else
        target.isBf16 ? finishRows<1, Bf16>(sums, rows, target) : finishRows<1, float>(sums, rows, target);
    }
  _tile_release();
}

/// `to` [words, rows] of `from` [rows, words].
void turnPairs(const uint32_t *from, int64_t fromRow, uint32_t *to, int64_t toRow, int64_t rows, int64_t words) {
  Tile tile;
  for (int64_t row = 0; row < rows; row += kTile)
    for (int64_t word = 0; word < words; word += kTile) {
      for (int64_t line = 0; line < kTile; ++line)
        tile.lines[line] = (Words<16>)_mm512_maskz_loadu_epi32(row + line < rows ? wordsThere(words - word) : 0, from + (row + line) * fromRow + word);
      turn(tile);
      for (int64_t line = 0; line < least(kTile, words - word); ++line)
        _mm512_mask_storeu_epi32(to + (word + line) * toRow + row, wordsThere(rows - row), (__m512i)tile.lines[line]);
    }
}

} // namespace
} // namespace peftrt::products
