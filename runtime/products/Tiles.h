// Tiles: products of bf16 by AMX, included by Micro.h where PEFT_TILES is 1.
//
// In     A's adjacent columns, B in panels of pairs: 16 places of a panel's 16 columns are a tile as they lie
// Blocks  32 rows by 32 columns of C are summed in four tiles; each load of a tile serves two products of tiles. A half panel of B stays in the first-level
//         cache for all rows of a chunk.
// Numerics  an element's sum is one chain over pairs of depth, whatever part is asked for. Tiles flush denormals to zero.
//
// Which products are done so depends on depth and columns alone, never on rows: a part of them has the same bits.
namespace peftrt::products {
namespace {

constexpr int64_t kTile = 16, kTileDepth = 32; ///< rows, or columns of C; depth of a tile of A

bool fitsTiles(const Call &call) { return call.depth % kTileDepth == 0 && call.columns >= kTile; }

/// What `_tile_loadconfig` reads: the shapes of C's tiles 0 … 3, A's 4 and 5, B's 6 and 7.
struct alignas(64) TileShapes {
  uint8_t palette = 1, startRow = 0, reserved[14] = {};
  uint16_t bytes[16] = {};
  uint8_t rows[16] = {};

  void configure(int64_t rowsOfC) {
    const int64_t top = least(rowsOfC, kTile), bottom = rowsOfC - top;
    for (int tile = 0; tile < 6; ++tile)
      shape(tile, tile == 2 || tile == 3 || tile == 5 ? bottom : top);
    shape(6, kTile), shape(7, kTile);
    _tile_loadconfig(this);
  }

private:
  void shape(int tile, int64_t height) {
    rows[tile] = static_cast<uint8_t>(height);
    bytes[tile] = height ? 64 : 0;
  }
};

struct TileFactors {
  const Bf16 *a;
  const Pair *b;
  int64_t aRow, bDepth, depth; ///< aRow: elements; bDepth: pairs from one place to the next
};

/// A block of C as sums; Bottom: more than 16 rows, Right: more than 16 columns.
template <bool Bottom, bool Right> void sumTiles(const TileFactors &in, float (&sums)[2 * kTile][2 * kTile]) {
  const int64_t aPitch = in.aRow * static_cast<int64_t>(sizeof(Bf16)), bPitch = in.bDepth * static_cast<int64_t>(sizeof(Pair));
  constexpr int64_t kPitch = sizeof sums[0];
  _tile_zero(0);
  if constexpr (Right)
    _tile_zero(1);
  if constexpr (Bottom)
    _tile_zero(2);
  if constexpr (Bottom && Right)
    _tile_zero(3);
  for (int64_t place = 0; place < in.depth; place += kTileDepth) {
    const Bf16 *a = in.a + place;
    const Pair *b = in.b + place / 2 * in.bDepth;
    _tile_loadd(6, b, bPitch);
    _tile_loadd(4, a, aPitch);
    _tile_dpbf16ps(0, 4, 6);
    if constexpr (Right) {
      _tile_loadd(7, b + kTile, bPitch);
      _tile_dpbf16ps(1, 4, 7);
    }
    if constexpr (Bottom) {
      _tile_loadd(5, a + kTile * in.aRow, aPitch);
      _tile_dpbf16ps(2, 5, 6);
    }
    if constexpr (Bottom && Right)
      _tile_dpbf16ps(3, 5, 7);
  }
  _tile_stored(0, sums[0], kPitch);
  if constexpr (Right)
    _tile_stored(1, &sums[0][kTile], kPitch);
  if constexpr (Bottom)
    _tile_stored(2, sums[kTile], kPitch);
  if constexpr (Bottom && Right)
    _tile_stored(3, &sums[kTile][kTile], kPitch);
}

template <int V, typename C> void finishRows(const float (&sums)[2 * kTile][2 * kTile], int64_t rows, const Target &target) {
  for (int64_t row = 0; row < rows; ++row) {
    Floats<kLanes> line[V];
    for (int v = 0; v < V; ++v)
      line[v] = load<kLanes>(&sums[row][v * kLanes]);
    finish<kLanes, V>(line, static_cast<C *>(target.c) + row * target.row, target);
  }
}

template <bool Right> void tileBlock(const TileFactors &in, int64_t rows, const Target &target) {
  alignas(64) float sums[2 * kTile][2 * kTile];
  rows > kTile ? sumTiles<true, Right>(in, sums) : sumTiles<false, Right>(in, sums);
  constexpr int kAcross = Right ? 2 : 1;
  target.isBf16 ? finishRows<kAcross, Bf16>(sums, rows, target) : finishRows<kAcross, float>(sums, rows, target);
}

/// A panel's columns from `half` on, for the rows of a chunk.
void tileColumns(TileFactors in, int64_t half, int64_t width, int64_t rows, Target target, TileShapes &shapes, int64_t &shaped) {
  in.b += half;
  target.width -= half;
  advance(target, half * target.column);
  for (int64_t row = 0; row < rows; row += 2 * kTile, in.a += 2 * kTile * in.aRow, advance(target, 2 * kTile * target.row)) {
    const int64_t here = least(2 * kTile, rows - row);
    if (shaped != here)
      shapes.configure(shaped = here);
    width - half > kTile ? tileBlock<true>(in, here, target) : tileBlock<false>(in, here, target);
  }
}

void multiplyTiles(const Call &call, const Part &part) {
  TileShapes shapes;
  int64_t shaped = 0;
  for (int64_t chunk = part.firstRow; chunk < part.lastRow; chunk += kChunk)
    for (int64_t column = part.firstPanel * kPanel; column < least(part.lastPanel * kPanel, call.columns); column += kPanel) {
      const int64_t width = widthAt(column, call.columns), rows = least(kChunk, part.lastRow - chunk);
      const Bf16 *a = static_cast<const Bf16 *>(call.a) + chunk * call.aRow;
      const Pair *b = static_cast<const Pair *>(call.packed) + column * (call.depth / 2);
      Target target{call.c, call.cRow, call.cColumn, call.columns - column, call.cIsBf16, call.adds};
      advance(target, chunk * call.cRow + column * call.cColumn);
      if (width < kTile) { // narrower than a tile
        panel(Factors<Bf16, Pair>{a, b, call.aRow, call.aDepth, width, call.depth}, rows, width, target);
        continue;
      }
      for (int64_t half = 0; half < width; half += 2 * kTile)
        tileColumns({a, b, call.aRow, width, call.depth}, half, width, rows, target, shapes, shaped);
    }
  _tile_release();
}

} // namespace
} // namespace peftrt::products
