// Pack: panels of B; for one instruction set, included by Micro.h.
//
// Panels  B is cut into blocks of rows (blockOf), a block into panels of PEFT_VECTORS registers, the last one maybe narrower (half a register at the least, where a
//         register has 16 lanes), zeros beyond the last column. A place of a panel is a row's floats, or pairs of bf16: rows 2i and 2i + 1 of each column.
#pragma once
#include "runtime/products/Code.h"
#include "runtime/products/Vectors.h"

namespace peftrt::products {
namespace {

constexpr int kLanes = PEFT_LANES, kVectors = PEFT_VECTORS;
constexpr int kNarrow = 8; ///< columns of the narrowest panel
constexpr int64_t kDepth = 512, kPanel = kVectors * kLanes;
static_assert(kDepth % 2 == 0 && (kLanes == kNarrow || kLanes == 2 * kNarrow));

/// Rows of B that are summed before C is touched; all of them where C might round what is summed so far.
int64_t blockOf(const Call &call) { return call.aIsBf16 && call.layout != Layout::pairsAsItLies ? call.depth : kDepth; }
/// Columns of the panel that begins at a column.
int64_t widthAt(int64_t column, int64_t columns) {
  int64_t width = kNarrow;
  while (width < kPanel && width < columns - column)
    width *= 2;
  return width;
}
/// Columns of all panels.
int64_t widthOf(int64_t columns) {
  const int64_t last = (columns - 1) / kPanel * kPanel;
  return last + widthAt(last, columns);
}

/// A block of B, and the columns of it that make a panel: places as floats, or as pairs of bf16. What is multiplied with bf16 is rounded, however this set
/// multiplies.
template <typename Place, typename Source> class PanelOf {
public:
  PanelOf(const Call &call, int64_t start, int64_t depth, int64_t first, int64_t width)
      : from_(static_cast<const Source *>(call.b) + start * call.bDepth + first * call.bColumn), row_(call.bDepth), column_(call.bColumn), depth_(depth),
        width_(width), present_(least(width, call.columns - first)), rounds_(call.aIsBf16) {}

  void packInto(Place *to) const {
    if (column_ == 1)
      packRows(to);
    else
      packColumns(to);
  }

private:
  static constexpr int64_t kRows = __is_same(Place, Pair) ? 2 : 1; ///< of B, in a place

  float at(int64_t row, int64_t column) const {
    if (row >= depth_ || column >= present_)
      return 0;
    const float value = widen(from_[row * row_ + column * column_]);
    return rounds_ ? widen(rounded(value)) : value;
  }
  void put(Place &place, int64_t row, int64_t column) const {
    if constexpr (kRows == 2)
      place.bits = static_cast<uint32_t>(rounded(at(row, column))) | static_cast<uint32_t>(rounded(at(row + 1, column))) << 16;
    else
      place = at(row, column);
  }

  /// Adjacent columns are adjacent in memory.
  void packRows(Place *to) const {
    for (int64_t row = 0; row < depth_; row += kRows, to += width_) {
      int64_t column = 0;
      if (row + kRows <= depth_)
        for (; column + kNarrow <= present_; column += kNarrow)
          copy(from_ + row * row_ + column, to + column);
      for (; column < width_; ++column)
        put(to[column], row, column);
    }
  }
  /// kNarrow columns of a place's rows.
  void copy(const Source *from, Place *to) const {
    if constexpr (kRows == 2) {
      store<kNarrow>(wordsOf(from) | wordsOf(from + row_) << 16, &to->bits);
    } else {
      Floats<kNarrow> values = load<kNarrow>(from);
      if (rounds_)
        values = (Floats<kNarrow>)(wordsOf(from) << 16);
      store<kNarrow>(values, to);
    }
  }
  static Words<kNarrow> wordsOf(const Bf16 *from) { return loadWords<kNarrow>(from); }
  static Words<kNarrow> wordsOf(const float *from) {
    Bf16 halves[kNarrow];
    store<kNarrow>(load<kNarrow>(from), halves);
    return loadWords<kNarrow>(halves);
  }

  /// Adjacent rows are: kTile places by kTile columns at a time, through a table that stays in the first-level cache.
  void packColumns(Place *to) const {
    constexpr int64_t kTile = 16;
    for (int64_t first = 0; first < width_; first += kTile)
      for (int64_t row = 0; row < depth_; row += kTile * kRows) {
        Place tile[kTile][kTile];
        const int64_t columns = least(kTile, width_ - first), places = least(kTile, (depth_ - row + kRows - 1) / kRows);
        for (int64_t column = 0; column < columns; ++column)
          fill(tile[column], row, first + column, places);
        for (int64_t place = 0; place < places; ++place)
          for (int64_t column = 0; column < columns; ++column)
            to[(row / kRows + place) * width_ + first + column] = tile[column][place];
      }
  }
  /// Places of one column.
  void fill(Place *to, int64_t row, int64_t column, int64_t places) const {
    int64_t place = 0;
    if (column < present_ && row_ == 1) {
      const Source *from = from_ + row + column * column_;
      for (; (place + kNarrow) <= places && row + (place + kNarrow) * kRows <= depth_; place += kNarrow)
        copyColumn(from + place * kRows, to + place);
    }
    for (; place < places; ++place)
      put(to[place], row + place * kRows, column);
  }
  /// kNarrow places of adjacent rows: a pair's halves lie in memory as its rows do.
  void copyColumn(const Source *from, Place *to) const {
    if constexpr (kRows == 1) {
      Floats<kNarrow> values = load<kNarrow>(from);
      if (rounds_)
        values = (Floats<kNarrow>)(wordsOf(from) << 16);
      store<kNarrow>(values, to);
    } else if constexpr (sizeof(Source) == sizeof(Bf16)) {
      __builtin_memcpy(to, from, kNarrow * sizeof(Pair));
    } else {
      Bf16 halves[2 * kNarrow];
      store<kNarrow>(load<kNarrow>(from), halves);
      store<kNarrow>(load<kNarrow>(from + kNarrow), halves + kNarrow);
      __builtin_memcpy(to, halves, sizeof halves);
    }
  }

  const Source *from_;
  int64_t row_, column_, depth_, width_, present_;
  bool rounds_;
};

template <typename Place, typename Source> void packAs(const Call &call, int64_t firstPanel, int64_t lastPanel) {
  const int64_t width = widthOf(call.columns), rowsAPlace = call.layout == Layout::pairs ? 2 : 1;
  for (int64_t first = firstPanel * kPanel; first < least(lastPanel * kPanel, call.columns); first += kPanel)
    for (int64_t start = 0; start < call.depth; start += blockOf(call)) {
      const int64_t depth = least(blockOf(call), call.depth - start), place = start / rowsAPlace * width + first * ((depth + rowsAPlace - 1) / rowsAPlace);
      PanelOf<Place, Source>(call, start, depth, first, widthAt(first, call.columns)).packInto(static_cast<Place *>(call.packed) + place);
    }
}

void pack(const Call &call, int64_t firstPanel, int64_t lastPanel) {
  if (call.layout == Layout::pairs)
    return call.bIsBf16 ? packAs<Pair, Bf16>(call, firstPanel, lastPanel) : packAs<Pair, float>(call, firstPanel, lastPanel);
  call.bIsBf16 ? packAs<float, Bf16>(call, firstPanel, lastPanel) : packAs<float, float>(call, firstPanel, lastPanel);
}

} // namespace
} // namespace peftrt::products
