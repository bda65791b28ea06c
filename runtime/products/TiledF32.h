// TiledF32: products of f32 by AMX, included by Micro.h where PEFT_TILES is 1.
//
// An f32 is the sum of three bf16 to within 2⁻²⁵ of it: high, middle, low. Of the nine products of two numbers' parts the six that count are summed in f32
// (high·low, middle·middle, middle·high, low·high, high·middle, high·high); the other three are below 2⁻²⁴ of the product, where f32 itself rounds. Six products of
// tiles take two fifths of the cycles of f32's own multiplications. (Known from oneMKL as FLOAT_TO_BF16X3.)
//
// In     A as it lies, by rows or turned; B in blocks of three parts
// Order  a chunk of A's rows is split on the stack, a stretch of depth at a time; then 32 columns of B, 32 rows
// Numerics  an element's sum is one chain a stretch of depth, whatever part is asked for. A number above bf16's largest (3.39e38) and an infinity make NaN. What is
//         below 2⁻¹²⁶ counts as zero, and so do the parts below it of numbers under 2⁻¹⁰⁹.
namespace peftrt::products {
namespace {

constexpr int64_t kSplitRows = 96, kSplitDepth = 512; ///< A's parts of a chunk's stretch stay in the second-level cache
constexpr int kHigh = 0, kMiddle = 1, kLow = 2, kParts = 3;
static_assert(kSplitRows % kSide == 0 && kSplitDepth % kSide == 0);
using SplitBlock = Block<kParts>;

template <bool Bottom> inline void loadA(const Tile (&tiles)[2]) {
  _tile_loadd(4, &tiles[0], sizeof(Words<16>));
  if constexpr (Bottom)
    _tile_loadd(5, &tiles[1], sizeof(Words<16>));
}

/// From one pair of parts to the next only one side is loaded. The small products come first.
template <bool Bottom, bool Right> void sumSplit(const SplitBlock *a, const SplitBlock *b, int64_t steps, TileSums &sums) {
  constexpr int kPart = sizeof a->parts[0];
  zeroTiles<Bottom, Right>();
  for (int64_t step = 0; step < steps; ++step, ++a, ++b) {
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
  storeTiles<Bottom, Right>(sums);
}

template <bool Right> void splitBlock(const SplitBlock *a, const SplitBlock *b, int64_t steps, int64_t rows, const Target &target) {
  alignas(64) TileSums sums;
  rows > kTile ? sumSplit<true, Right>(a, b, steps, sums) : sumSplit<false, Right>(a, b, steps, sums);
  finishRows<Right ? 2 : 1, float>(sums, rows, target);
}

/// `rows` rows from `first` on, whose stretch of depth from `start` on is split, by all columns of a part.
void multiplyChunk(const Call &call, const Part &part, const SplitBlock *a, int64_t first, int64_t rows, int64_t start) {
  const int64_t steps = blocksOf(least(kSplitDepth, call.depth - start));
  for (int64_t column = part.firstPanel * kPanel; column < least(part.lastPanel * kPanel, call.columns); column += kSide) {
    const SplitBlock *b = static_cast<const SplitBlock *>(call.packed) + column / kSide * blocksOf(call.depth) + start / kSide;
    Target target{call.c, call.cRow, call.cColumn, call.columns - column, false, call.adds || start > 0};
    advance(target, first * call.cRow + column * call.cColumn);
    for (int64_t row = 0; row < rows; row += kSide, advance(target, kSide * call.cRow)) {
      const SplitBlock *block = a + row / kSide * steps;
      target.width > kTile ? splitBlock<true>(block, b, steps, least(kSide, rows - row), target) : splitBlock<false>(block, b, steps, least(kSide, rows - row), target);
    }
  }
}

void multiplySplit(const Call &call, const Part &part) {
  SplitBlock split[kSplitRows / kSide * (kSplitDepth / kSide)];
  TileShapes shapes;
  shapes.configure(2 * kTile); // rows that are not there are zeros
  for (int64_t chunk = part.firstRow; chunk < part.lastRow; chunk += kSplitRows)
    for (int64_t start = 0; start < call.depth; start += kSplitDepth) {
      const int64_t rows = least(kSplitRows, part.lastRow - chunk), depth = least(kSplitDepth, call.depth - start);
      const float *a = static_cast<const float *>(call.a) + chunk * call.aRow + start * call.aDepth;
      for (int64_t row = 0; row < rows; row += kSide)
        BlockMaker<float, kParts, true>::make({a + row * call.aRow, call.aRow, call.aDepth, rows - row, depth}, split + row / kSide * blocksOf(depth));
      multiplyChunk(call, part, split, chunk, rows, start);
    }
  _tile_release();
}

} // namespace
} // namespace peftrt::products
