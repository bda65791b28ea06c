// TiledRows: products by AMX of bf16 whose columns are adjacent, included by Micro.h where PEFT_TILES is 1.
//
// In     A's adjacent columns, as they lie; B in blocks of one part. The depth is a multiple of 32, or even and less: a tile of A must not
//        reach into what lies behind a row.
// Order  chunks of A's rows, 32 columns of B, 32 rows: B's blocks stay in a cache for all rows of a chunk
// Numerics  an element's sum is one chain over pairs of depth, whatever part is asked for. Tiles flush denormals to zero.
namespace peftrt::products {
namespace {

/// 32 rows of A, as they lie, by 32 columns of B.
struct TiledFactors {
  const Bf16 *a;
  int64_t aRow;
  const Block<1> *b;
  int64_t steps; ///< blocks along depth
};

template <bool Bottom, bool Right> void tiledBlock(TiledFactors in, const BlockFactors<1> &branch, int64_t rows, const Target &target) {
  const int64_t pitch = in.aRow * static_cast<int64_t>(sizeof(Bf16));
  zeroTiles<Bottom, Right>();
  for (int64_t step = 0; step < in.steps; ++step, in.a += kSide, ++in.b) {
    loadB<Right>(in.b->parts[0]);
    _tile_loadd(4, in.a, pitch);
    if constexpr (Bottom)
      _tile_loadd(5, in.a + kTile * in.aRow, pitch);
    fetch<sizeof(Block<1>)>(in.b + 1);
    addTiles<Bottom, Right>();
  }
  for (int64_t step = 0; step < branch.steps; ++step)
    addStep<Bottom, Right>(branch.a + step, branch.b + step);
  finishBlock<Bottom, Right>(rows, target);
}

void multiplyTiles(const Call &call, const Part &part) {
  TileShapes shapes;
  int64_t shaped = 0;
  BranchBlocks<Bf16, 1, kChunk> branch(call.branch);
  for (int64_t chunk = part.firstRow; chunk < part.lastRow; chunk += kChunk) {
    branch.make(chunk, least(kChunk, part.lastRow - chunk));
    for (int64_t column = part.firstPanel * kPanel; column < least(part.lastPanel * kPanel, call.columns); column += kSide)
      for (int64_t row = chunk; row < least(chunk + kChunk, part.lastRow); row += kSide) {
        const int64_t rows = least(kSide, part.lastRow - row), steps = blocksOf(call.depth); // a chunk is whole blocks of rows
        if (shaped != rows)
          shapes.configure(shaped = rows, least(kSide, call.depth));
        const TiledFactors in{static_cast<const Bf16 *>(call.a) + row * call.aRow, call.aRow, static_cast<const Block<1> *>(call.packed) + column / kSide * steps, steps};
        const Target target = targetOf(call, row, column, true);
        const BlockFactors<1> more = branch.at(row - chunk, column);
        byShape(rows, target, [&](auto bottom, auto right) { tiledBlock<bottom.value, right.value>(in, more, rows, target); });
      }
  }
  _tile_release();
}
static_assert(kChunk % kSide == 0);

} // namespace
} // namespace peftrt::products
