// TiledBlocks: products by AMX of what is no tile as it lies, included by Micro.h where PEFT_TILES is 1: f32, and bf16 whose rows are adjacent (a weight's gradient).
//
// Of bf16 a block has one part, and nothing below is needed.
//
// An f32 is the sum of three bf16 to within 2⁻²⁵ of it: high, middle, low. Of the nine products of two numbers' parts the six that count are summed in f32
// (high·low, middle·middle, middle·high, low·high, high·middle, high·high); the other three are below 2⁻²⁴ of the product, where f32 itself rounds. Six products of
// tiles take two fifths of the cycles of f32's own multiplications. (Known from oneMKL as FLOAT_TO_BF16X3.)
//
// In     A as it lies, by rows or turned; B in blocks; C f32
// Order  a chunk of A's rows becomes blocks on the stack, a stretch of depth at a time; then 32 columns of B, 32 rows
// Numerics  an element's sum is one chain a stretch of depth, whatever part is asked for. A number above bf16's largest (3.39e38) and an infinity make NaN. What is
//         below 2⁻¹²⁶ counts as zero, and so do the parts below it of numbers under 2⁻¹⁰⁹.
namespace peftrt::products {
namespace {

constexpr int64_t kBlockRows = 192, kStretch = 512; ///< A's blocks of a chunk's stretch stay in the second-level cache (590 kB of f32)
constexpr int kHigh = 0, kMiddle = 1, kLow = 2, kParts = 3;
static_assert(kBlockRows % kSide == 0 && kStretch % kSide == 0);

/// A step along depth of f32: from one pair of parts to the next only one side is loaded. The small products come first.
template <bool Bottom, bool Right> inline void addStep(const Block<kParts> *a, const Block<kParts> *b) {
  constexpr int kPart = sizeof a->parts[0];
  loadA<Bottom>(a->parts[kHigh]), loadB<Right>(b->parts[kLow]);
  fetch<kPart>(a[1].parts[kHigh]);
  addTiles<Bottom, Right>();
  loadB<Right>(b->parts[kMiddle]);
  fetch<kPart>(b[1].parts[kLow]);
  addTiles<Bottom, Right>();
  loadA<Bottom>(a->parts[kMiddle]);
  fetch<kPart>(b[1].parts[kMiddle]);
  addTiles<Bottom, Right>();
  loadB<Right>(b->parts[kHigh]);
  fetch<kPart>(a[1].parts[kMiddle]);
  addTiles<Bottom, Right>();
  loadA<Bottom>(a->parts[kLow]);
  fetch<kPart>(b[1].parts[kHigh]);
  addTiles<Bottom, Right>();
  loadA<Bottom>(a->parts[kHigh]);
  fetch<kPart>(a[1].parts[kLow]);
  addTiles<Bottom, Right>();
}

template <bool Bottom, bool Right, int Parts> void multiplyBlock(const BlockFactors<Parts> &in, const BlockFactors<Parts> &branch, int64_t rows, const Target &target) {
  zeroTiles<Bottom, Right>();
  const BlockFactors<Parts> both[] = {in, branch};
  for (const BlockFactors<Parts> &factors : both)
    for (int64_t step = 0; step < factors.steps; ++step)
      addStep<Bottom, Right>(factors.a + step, factors.b + step);
  finishBlock<Bottom, Right>(rows, target);
}

/// Rows whose stretch of depth is in blocks.
template <int Parts> struct Chunk {
  const Block<Parts> *blocks;
  int64_t first, rows, start;
};

/// By all columns of a part; `branchOf(row, column)`: what else is summed there.
template <int Parts, typename BranchOf> void multiplyChunk(const Call &call, const Part &part, const Chunk<Parts> &chunk, const BranchOf &branchOf) {
  const int64_t steps = blocksOf(least(kStretch, call.depth - chunk.start));
  for (int64_t column = part.firstPanel * kPanel; column < least(part.lastPanel * kPanel, call.columns); column += kSide) {
    const Block<Parts> *b = static_cast<const Block<Parts> *>(call.packed) + column / kSide * blocksOf(call.depth) + chunk.start / kSide;
    Target target = targetOf(call, chunk.first, column, chunk.start == 0);
    for (int64_t row = 0; row < chunk.rows; row += kSide, advance(target, kSide * call.cRow)) {
      const int64_t here = least(kSide, chunk.rows - row);
      const BlockFactors<Parts> in{chunk.blocks + row / kSide * steps, b, steps}, branch = branchOf(row, column);
      byShape(here, target, [&](auto bottom, auto right) { multiplyBlock<bottom.value, right.value>(in, branch, here, target); });
    }
  }
}

template <typename Source, int Parts> void multiplyBlocks(const Call &call, const Part &part) {
  Block<Parts> blocks[kBlockRows / kSide * (kStretch / kSide)];
  TileShapes shapes;
  shapes.configure(2 * kTile); // rows that are not there are zeros
  BranchBlocks<Source, Parts, kBlockRows> branch(call.branch);
  for (int64_t chunk = part.firstRow; chunk < part.lastRow; chunk += kBlockRows) {
    branch.make(chunk, least(kBlockRows, part.lastRow - chunk));
    for (int64_t start = 0; start < call.depth; start += kStretch) {
      const int64_t rows = least(kBlockRows, part.lastRow - chunk), depth = least(kStretch, call.depth - start);
      const Source *a = static_cast<const Source *>(call.a) + chunk * call.aRow + start * call.aDepth;
      for (int64_t row = 0; row < rows; row += kSide)
        BlockMaker<Source, Parts, true>::make({a + row * call.aRow, call.aRow, call.aDepth, rows - row, depth}, blocks + row / kSide * blocksOf(depth));
      const bool isLast = start + depth == call.depth;
      multiplyChunk<Parts>(call, part, {blocks, chunk, rows, start}, [&](int64_t row, int64_t column) { return isLast ? branch.at(row, column) : BlockFactors<Parts>{}; });
    }
  }
  _tile_release();
}

} // namespace
} // namespace peftrt::products
