// TiledTurned: what Turned.h does in bf16, by AMX; included by Micro.h where PEFT_TILES is 1.
//
// In     Aᵀ and B in bf16, row by row of what is summed; whole panels of columns; C f32. Few rows of C (more take blocks of B that are made once)
// Order  few rows of depth, 32 rows of C, 32 columns: B's tiles are made where they are multiplied, and never lie in memory
// Numerics  an element's sum is one chain over the pairs of a stretch of depth. Tiles flush denormals to zero.
namespace peftrt::products {
namespace {

/// 32 columns of B, a line of memory a row: depth's blocks of tiles. The next line of each row is asked for.
void pairStretch(const Bf16 *from, int64_t pitch, int64_t depth, Block<1> *to) {
  for (int64_t pair = 0; 2 * pair < blocksOf(depth) * kSide; ++pair, from += 2 * pitch) {
    const int64_t left = depth - 2 * pair;
    __builtin_prefetch(from + kSide);
    __builtin_prefetch(from + pitch + kSide);
    const PairedRows lines = left > 0 ? pairRows(from, left > 1 ? from + pitch : nullptr) : PairedRows{};
    to[pair / kTile].parts[0][0].lines[pair % kTile] = lines.first;
    to[pair / kTile].parts[0][1].lines[pair % kTile] = lines.second;
  }
}

void multiplyTurnedTiles(const Call &call, const Part &part) {
  Block<1> a[kTurnedDepth / kSide + 1], b[kTurnedDepth / kSide + 1]; // one more is asked for, not read
  TileShapes shapes;
  shapes.configure(2 * kTile); // rows that are not there are zeros
  for (int64_t start = 0; start < call.depth; start += kTurnedDepth)
    for (int64_t row = part.firstRow; row < part.lastRow; row += kSide) {
      const int64_t depth = least(kTurnedDepth, call.depth - start), rows = least(kSide, part.lastRow - row);
      BlockMaker<Bf16, 1, true>::make({static_cast<const Bf16 *>(call.a) + start * call.aDepth + row, 1, call.aDepth, rows, depth}, a);
      for (int64_t column = part.firstPanel * kPanel; column < least(part.lastPanel * kPanel, call.columns); column += kSide) {
        pairStretch(static_cast<const Bf16 *>(call.b) + start * call.bDepth + column, call.bDepth, depth, b);
        const Target target = targetOf(call, row, column, start == 0);
        byShape(rows, target, [&](auto bottom, auto right) { multiplyBlock<bottom.value, right.value>(BlockFactors<1>{a, b, blocksOf(depth)}, BlockFactors<1>{}, rows, target); });
      }
    }
  _tile_release();
}
static_assert(kTurnedDepth % kSide == 0 && kPanel % kSide == 0);

} // namespace
} // namespace peftrt::products
