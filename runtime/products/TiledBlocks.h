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

template <bool Bottom> inline void loadA(const Tile (&tiles)[2]) {
  _tile_loadd(4, &tiles[0], sizeof(Words<16>));
  if constexpr (Bottom)
    _tile_loadd(5, &tiles[1], sizeof(Words<16>));
}

/// A step along depth of bf16.
template <bool Bottom, bool Right> inline void addStep(const Block<1> *a, const Block<1> *b) {
  loadA<Bottom>(a->parts[0]), loadB<Right>(b->parts[0]);
  fetch<sizeof(Block<1>)>(a + 1);
  fetch<sizeof(Block<1>)>(b + 1);
  addTiles<Bottom, Right>();
}
/// And of f32: from one pair of parts to the next only one side is loaded. The small products come first.
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

template <bool Bottom, bool Right, int Parts> void sumBlocks(const Block<Parts> *a, const Block<Parts> *b, int64_t steps, TileSums &sums) {
  zeroTiles<Bottom, Right>();
  for (int64_t step = 0; step < steps; ++step)
    addStep<Bottom, Right>(a + step, b + step);
  storeTiles<Bottom, Right>(sums);
}

template <bool Right, int Parts> void multiplyBlock(const Block<Parts> *a, const Block<Parts> *b, int64_t steps, int64_t rows, const Target &target) {
  alignas(64) TileSums sums;
  rows > kTile ? sumBlocks<true, Right>(a, b, steps, sums) : sumBlocks<false, Right>(a, b, steps, sums);
  finishBlock<Right>(sums, rows, target);
}

/// `rows` rows from `first` on, whose stretch of depth from `start` on is in blocks, by all columns of a part.
template <int Parts> void multiplyChunk(const Call &call, const Part &part, const Block<Parts> *a, int64_t first, int64_t rows, int64_t start) {
  const int64_t steps = blocksOf(least(kStretch, call.depth - start));
  for (int64_t column = part.firstPanel * kPanel; column < least(part.lastPanel * kPanel, call.columns); column += kSide) {
    const Block<Parts> *b = static_cast<const Block<Parts> *>(call.packed) + column / kSide * blocksOf(call.depth) + start / kSide;
    Target target{call.c, call.cRow, call.cColumn, call.columns - column, false, call.adds || start > 0};
    advance(target, first * call.cRow + column * call.cColumn);
    for (int64_t row = 0; row < rows; row += kSide, a += steps, advance(target, kSide * call.cRow)) {
      const int64_t here = least(kSide, rows - row);
      target.width > kTile ? multiplyBlock<true>(a, b, steps, here, target) : multiplyBlock<false>(a, b, steps, here, target);
    }
    a -= blocksOf(rows) * steps;
  }
}

template <typename Source, int Parts> void multiplyBlocks(const Call &call, const Part &part) {
  Block<Parts> blocks[kBlockRows / kSide * (kStretch / kSide)];
  TileShapes shapes;
  shapes.configure(2 * kTile); // rows that are not there are zeros
  for (int64_t chunk = part.firstRow; chunk < part.lastRow; chunk += kBlockRows)
    for (int64_t start = 0; start < call.depth; start += kStretch) {
      const int64_t rows = least(kBlockRows, part.lastRow - chunk), depth = least(kStretch, call.depth - start);
      const Source *a = static_cast<const Source *>(call.a) + chunk * call.aRow + start * call.aDepth;
      for (int64_t row = 0; row < rows; row += kSide)
        BlockMaker<Source, Parts, true>::make({a + row * call.aRow, call.aRow, call.aDepth, rows - row, depth}, blocks + row / kSide * blocksOf(depth));
      multiplyChunk(call, part, blocks, chunk, rows, start);
    }
  _tile_release();
}

} // namespace
} // namespace peftrt::products
