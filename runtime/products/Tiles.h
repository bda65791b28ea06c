// Tiles: what products by AMX are made of, included by Micro.h where PEFT_TILES is 1: tiles of bf16 in blocks, sums of four tiles, and how they come from memory.
//
// A tile is sixteen lines of sixteen pairs: rows of A with pairs of depth, or pairs of depth with columns of B. A block is 32 rows (or columns) by 32 of depth: two
// tiles of each of its parts. Of bf16 there is one part. An f32 is the sum of three (TiledBlocks.h): each is what the parts before it leave, rounded to bf16.
//
// Registers  C's tiles are 0 and 1, under them 2 and 3; A's 4 and 5; B's 6 and 7. Each load of a tile serves two products of tiles.
// Memory   blocks along depth follow one another, so that tiles are loaded from adjacent lines. A block that is needed next is asked for while one is multiplied: what
//          tiles load from the second-level cache is not hidden behind their products, a load from the first is.
namespace peftrt::products {
namespace {

constexpr int64_t kTile = 16, kSide = 32; ///< lines of a tile; rows, columns or depth of a block

struct alignas(64) Tile {
  Words<16> lines[kTile];
};
template <int Parts> struct Block {
  Tile parts[Parts][2]; ///< the first sixteen rows or columns, and the others
};
/// 32 rows of A by 32 columns of B, each in blocks along depth.
template <int Parts> struct BlockFactors {
  const Block<Parts> *a, *b;
  int64_t steps;
};
inline int64_t blocksOf(int64_t length) { return (length + kSide - 1) / kSide; }

/// What `_tile_loadconfig` reads.
struct alignas(64) TileShapes {
  uint8_t palette = 1, startRow = 0, reserved[14] = {};
  uint16_t bytes[16] = {};
  uint8_t rows[16] = {};

  /// `depth`: of a tile of A, even.
  void configure(int64_t rowsOfC, int64_t depth = kSide) {
    const int64_t top = least(rowsOfC, kTile), bottom = rowsOfC - top;
    for (int tile = 0; tile < 6; ++tile)
      shape(tile, tile == 2 || tile == 3 || tile == 5 ? bottom : top, tile < 4 ? kTile : depth / 2);
    shape(6, depth / 2, kTile), shape(7, depth / 2, kTile);
    _tile_loadconfig(this);
  }

private:
  void shape(int tile, int64_t height, int64_t words) {
    rows[tile] = static_cast<uint8_t>(height);
    bytes[tile] = static_cast<uint16_t>(height ? 4 * words : 0);
  }
};

// Bottom: C's block has more than 16 rows; Right: more than 16 columns.

template <bool Bottom, bool Right> inline void zeroTiles() {
  _tile_zero(0);
  if constexpr (Right)
    _tile_zero(1);
  if constexpr (Bottom)
    _tile_zero(2);
  if constexpr (Bottom && Right)
    _tile_zero(3);
}

template <bool Bottom, bool Right> inline void addTiles() {
  _tile_dpbf16ps(0, 4, 6);
  if constexpr (Right)
    _tile_dpbf16ps(1, 4, 7);
  if constexpr (Bottom)
    _tile_dpbf16ps(2, 5, 6);
  if constexpr (Bottom && Right)
    _tile_dpbf16ps(3, 5, 7);
}

template <bool Right> inline void loadB(const Tile (&tiles)[2]) {
  _tile_loadd(6, &tiles[0], sizeof(Words<16>));
  if constexpr (Right)
    _tile_loadd(7, &tiles[1], sizeof(Words<16>));
}

/// Lines of memory that will be read.
template <int Bytes> inline void fetch(const void *from) {
#pragma GCC unroll 32
  for (int line = 0; line < Bytes; line += 64)
    __builtin_prefetch(static_cast<const char *>(from) + line);
}

/// A's tiles that lie together.
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

template <bool Value> struct Is {
  static constexpr bool value = Value;
};
/// `body` for the tiles that a block has below and to the right of its first.
template <typename Body> inline void byShape(int64_t rows, const Target &target, const Body &body) {
  const bool right = target.width > kTile;
  if (rows > kTile)
    right ? body(Is<true>(), Is<true>()) : body(Is<true>(), Is<false>());
  else
    right ? body(Is<false>(), Is<true>()) : body(Is<false>(), Is<false>());
}

using TileSums = float[2 * kTile][2 * kTile];

/// `row`: numbers from one to the next.
template <bool Bottom, bool Right> inline void storeTiles(float *to, int64_t row) {
  const int64_t pitch = row * static_cast<int64_t>(sizeof(float));
  _tile_stored(0, to, pitch);
  if constexpr (Right)
    _tile_stored(1, to + kTile, pitch);
  if constexpr (Bottom)
    _tile_stored(2, to + kTile * row, pitch);
  if constexpr (Bottom && Right)
    _tile_stored(3, to + kTile * row + kTile, pitch);
}

template <int V, typename C> void finishRows(const TileSums &sums, int64_t rows, const Target &target) {
  for (int64_t row = 0; row < rows; ++row) {
    Floats<kLanes> line[V];
    for (int v = 0; v < V; ++v)
      line[v] = load<kLanes>(&sums[row][v * kLanes]);
    finish<kLanes, V, C>(line, row, target);
  }
}
/// From C's tiles to their place, by the stack: from there C's lines need not be near.
template <bool Bottom, bool Right> inline void finishBlock(int64_t rows, const Target &target) {
  constexpr int kAcross = Right ? 2 : 1;
  alignas(64) TileSums sums;
  storeTiles<Bottom, Right>(sums[0], 2 * kTile);
  target.isBf16 ? finishRows<kAcross, Bf16>(sums, rows, target) : finishRows<kAcross, float>(sums, rows, target);
}
/// The first `count` of sixteen lanes.
inline __mmask16 lanesThere(int64_t count) { return static_cast<__mmask16>(count >= kTile ? 0xffff : count <= 0 ? 0 : (1 << count) - 1); }

/// Of two lines that lie `width` apart: the words whose place has that bit clear, and those that have it set.
struct alignas(64) TurnOrder {
  uint32_t clear[kTile] = {}, set[kTile] = {};
  constexpr explicit TurnOrder(uint32_t width) {
    for (uint32_t place = 0; place < kTile; ++place) {
      clear[place] = place & width ? kTile + (place ^ width) : place;
      set[place] = place & width ? kTile + place : place | width;
    }
  }
};

template <int Width> inline void turnBit(Words<16> *lines) {
  static constexpr TurnOrder kOrder(Width);
  const __m512i clear = _mm512_load_si512(kOrder.clear), set = _mm512_load_si512(kOrder.set);
#pragma GCC unroll 16
  for (int line = 0; line < kTile; ++line)
    if (!(line & Width)) {
      const __m512i first = (__m512i)lines[line], second = (__m512i)lines[line | Width];
      lines[line] = (Words<16>)_mm512_permutex2var_epi32(first, clear, second);
      lines[line | Width] = (Words<16>)_mm512_permutex2var_epi32(first, set, second);
    }
}

/// Lines become columns, word by word.
inline void turn(Tile &tile) {
  Words<16> lines[kTile];
  __builtin_memcpy(lines, &tile, sizeof tile);
  turnBit<1>(lines), turnBit<2>(lines), turnBit<4>(lines), turnBit<8>(lines);
  __builtin_memcpy(&tile, lines, sizeof tile);
}

/// Rows of A, or columns of B, by depth: `row` and `depth` are from one to the next, in elements; one of them is 1.
template <typename Source> struct Strip {
  const Source *from;
  int64_t row, depth, rows, places;
};

/// Strips to blocks. LinesAreRows: A's tiles; else B's.
template <typename Source, int Parts, bool LinesAreRows> class BlockMaker {
public:
  /// All blocks along depth of the strip's first 32 rows; zeros where there is none, but no tiles of a second half that has no rows.
  static void make(Strip<Source> in, Block<Parts> *to) {
    for (; in.places > 0; in.places -= kSide, in.from += kSide * in.depth, ++to)
      for (int half = 0; half < 2 && half * kTile < in.rows; ++half)
        makeHalf({in.from + half * kTile * in.row, in.row, in.depth, in.rows - half * kTile, in.places}, *to, half);
  }

private:
  static void makeHalf(const Strip<Source> &in, Block<Parts> &to, int half) {
    const bool alongDepth = in.depth == 1;
    alongDepth ? readAlongDepth(in, to, half) : readAlongRows(in, to, half);
    if (alongDepth != LinesAreRows)
      for (int part = 0; part < Parts; ++part)
        turn(to.parts[part][half]);
  }

  static void readAlongDepth(const Strip<Source> &in, Block<Parts> &to, int half) {
    alignas(64) static constexpr uint32_t kEven[16] = {0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30};
    const __m512i even = _mm512_load_si512(kEven), odd = _mm512_add_epi32(even, _mm512_set1_epi32(1));
    const __mmask16 first = lanesThere(in.places), last = lanesThere(in.places - kTile);
    for (int64_t row = 0; row < kTile; ++row) {
      const Source *from = in.from + row * in.row;
      const bool isThere = row < in.rows;
      const __m512 x = floatsAt(isThere ? first : 0, from), y = floatsAt(isThere ? last : 0, from + kTile);
      put(_mm512_permutex2var_ps(x, even, y), _mm512_permutex2var_ps(x, odd, y), to, half, row);
    }
  }
  static void readAlongRows(const Strip<Source> &in, Block<Parts> &to, int half) {
    const __mmask16 mask = lanesThere(in.rows);
    for (int64_t pair = 0; pair < kTile; ++pair) {
      const Source *from = in.from + 2 * pair * in.depth;
      __builtin_prefetch(from + kSide * in.depth); // the next block's: no page holds many of them, so the CPU doesn't guess
      __builtin_prefetch(from + (kSide + 1) * in.depth);
      put(floatsAt(2 * pair < in.places ? mask : 0, from), floatsAt(2 * pair + 1 < in.places ? mask : 0, from + in.depth), to, half, pair);
    }
  }

  /// The parts of sixteen pairs, (even[i], odd[i]).
  static void put(__m512 even, __m512 odd, Block<Parts> &to, int half, int64_t line) {
    for (int part = 0; part < Parts; ++part) {
      const Words<16> pairs = pairsOf(even, odd);
      to.parts[part][half].lines[line] = pairs;
      even = _mm512_sub_ps(even, (__m512)(pairs << 16));
      odd = _mm512_sub_ps(odd, (__m512)(pairs & 0xffff0000u));
    }
  }
  static Words<16> pairsOf(__m512 even, __m512 odd) {
    alignas(64) static constexpr Bf16 kInTurn[32] = {0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31};
    return (Words<16>)_mm512_permutexvar_epi16(_mm512_load_si512(kInTurn), (__m512i)_mm512_cvtne2ps_pbh(odd, even));
  }
  static __m512 floatsAt(__mmask16 mask, const float *from) { return _mm512_maskz_loadu_ps(mask, from); }
  static __m512 floatsAt(__mmask16 mask, const Bf16 *from) {
    return (__m512)(__builtin_convertvector((Registers<16>::Halves)_mm256_maskz_loadu_epi16(mask, from), Words<16>) << 16);
  }
};

/// A chunk's rows of a call's branch, in blocks, and where the other side's are.
template <typename Source, int Parts, int64_t Rows> class BranchBlocks {
public:
  explicit BranchBlocks(const Branch &branch) : branch_(branch), steps_(blocksOf(branch.depth)) {}
  void make(int64_t first, int64_t rows) {
    const Source *a = static_cast<const Source *>(branch_.a) + first * branch_.aRow;
    for (int64_t row = 0; row < rows && steps_ > 0; row += kSide)
      BlockMaker<Source, Parts, true>::make({a + row * branch_.aRow, branch_.aRow, branch_.aDepth, rows - row, branch_.depth}, blocks_ + row / kSide * steps_);
  }
  /// 32 rows from `row` of the chunk on, by 32 columns.
  BlockFactors<Parts> at(int64_t row, int64_t column) const {
    return {blocks_ + row / kSide * steps_, static_cast<const Block<Parts> *>(branch_.packed) + column / kSide * steps_, steps_};
  }

private:
  static_assert(Rows % kSide == 0);
  const Branch branch_;
  const int64_t steps_;
  Block<Parts> blocks_[Rows / kSide * (kMostBranchDepth / kSide)];
};

/// B's blocks of panels first … last - 1: those along depth of 32 columns, then those of the next.
template <typename Source, int Parts> void packBlocks(const Call &call, int64_t firstPanel, int64_t lastPanel) {
  for (int64_t column = firstPanel * kPanel; column < least(lastPanel * kPanel, call.columns); column += kSide)
    BlockMaker<Source, Parts, false>::make({static_cast<const Source *>(call.b) + column * call.bColumn, call.bColumn, call.bDepth, call.columns - column, call.depth},
                                           static_cast<Block<Parts> *>(call.packed) + column / kSide * blocksOf(call.depth));
}

} // namespace
} // namespace peftrt::products
