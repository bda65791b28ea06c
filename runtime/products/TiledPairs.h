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

/// Lines of words; zeros where there is none.
inline void readTile(const uint32_t *from, int64_t pitch, int64_t lines, int64_t words, Tile &to) {
  for (int64_t line = 0; line < kTile; ++line)
    to.lines[line] = (Words<16>)_mm512_maskz_loadu_epi32(line < lines ? lanesThere(words) : 0, from + line * pitch);
}

/// Where a tile of A or B is loaded from, and bytes from a line to the next.
struct TileAt {
  const void *from;
  int64_t pitch;
};

/// Sixteen lines of sixteen words, where they lie; in `room` if not all are there.
inline TileAt tileAt(const uint32_t *from, int64_t pitch, int64_t lines, int64_t words, Tile &room) {
  if (lines >= kTile && words >= kTile)
    return {from, pitch * static_cast<int64_t>(sizeof(uint32_t))};
  readTile(from, pitch, lines, words, room);
  return {&room, sizeof room.lines[0]};
}

/// Rows of A are lines; where its words of a row lie apart, its rows do not, and the tile is turned.
inline TileAt tileOfA(const PairProduct &in, int64_t row, int64_t pair, Tile &room) {
  const uint32_t *from = in.a + row * in.aRow + pair * in.aPair;
  if (in.aPair == 1)
    return tileAt(from, in.aRow, in.rows - row, in.pairs - pair, room);
  readTile(from, in.aPair, in.pairs - pair, in.rows - row, room);
  turn(room);
  return {&room, sizeof room.lines[0]};
}

/// 32 rows by 32 columns, as far as they are there.
template <bool Bottom, bool Right> void pairBlock(const PairProduct &in, int64_t row, int64_t column, int64_t rows, const Target &target) {
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
  constexpr int kAcross = Right ? 2 : 1, kDown = Bottom ? 2 : 1;
  if (!target.isBf16 && !target.sum && target.width >= kAcross * kTile && rows == kDown * kTile)
    return storeTiles<Bottom, Right>(static_cast<float *>(target.c), target.row); // a kernel's scratch is near
  finishBlock<Bottom, Right>(rows, target);
}

void multiplyPairs(void *c, const uint32_t *a, const uint32_t *b, int64_t cRow, int64_t aRow, int64_t aPair, int64_t bPair, int64_t rows, int64_t pairs, int64_t columns, int64_t how) {
  const PairProduct in{a, b, aRow, aPair, bPair, rows, pairs, columns};
  TileShapes shapes;
  shapes.configure(2 * kTile); // rows that are not there are zeros
  for (int64_t row = 0; row < rows; row += kSide)
    for (int64_t column = 0; column < columns; column += kSide) {
      Target target{c, how & kAdds ? c : nullptr, cRow, 1, columns - column, (how & kCIsBf16) != 0};
      advance(target, row * cRow + column);
      const int64_t here = least(kSide, rows - row);
      byShape(here, target, [&](auto bottom, auto right) { pairBlock<bottom.value, right.value>(in, row, column, here, target); });
    }
  _tile_release();
}

/// `to` [words, rows] of `from` [rows, words].
void turnPairs(const uint32_t *from, int64_t fromRow, uint32_t *to, int64_t toRow, int64_t rows, int64_t words) {
  Tile tile;
  for (int64_t row = 0; row < rows; row += kTile)
    for (int64_t word = 0; word < words; word += kTile) {
      readTile(from + row * fromRow + word, fromRow, rows - row, words - word, tile);
      turn(tile);
      for (int64_t line = 0; line < least(kTile, words - word); ++line)
        _mm512_mask_storeu_epi32(to + (word + line) * toRow + row, lanesThere(rows - row), (__m512i)tile.lines[line]);
    }
}

} // namespace
} // namespace peftrt::products
