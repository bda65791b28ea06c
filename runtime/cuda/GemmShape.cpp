// GemmShape: see the header.
#include "runtime/cuda/GemmShape.h"
#include <algorithm>

namespace peftrt::cuda {
namespace {

constexpr uintptr_t kMostAlignment = 256; ///< beyond which no algorithm asks

struct Lies {
  bool turned;
  int64_t pitch;
};

std::optional<Lies> liesAs(int64_t rows, int64_t columns, int64_t row, int64_t column) {
  if (column == 1 && (row >= columns || rows == 1))
    return Lies{false, std::max(row, columns)};
  if (row == 1 && (column >= rows || columns == 1))
    return Lies{true, std::max(column, rows)};
  return std::nullopt;
}

uint32_t alignmentOf(const void *data) {
  const auto address = reinterpret_cast<uintptr_t>(data);
  return static_cast<uint32_t>(address ? std::min(address & (~address + 1), kMostAlignment) : kMostAlignment);
}

} // namespace

std::optional<GemmShape> shapeOf(const products::Call &call) {
  if (call.rows <= 0 || call.columns <= 0 || call.depth <= 0 || call.aIsBf16 != call.bIsBf16 || (call.cIsBf16 && !call.aIsBf16))
    return std::nullopt;
  const auto a = liesAs(call.rows, call.depth, call.aRow, call.aDepth), b = liesAs(call.depth, call.columns, call.bDepth, call.bColumn), c = liesAs(call.rows, call.columns, call.cRow, call.cColumn);
  if (!a || !b || !c || c->turned)
    return std::nullopt;
  GemmShape shape{call.rows, call.columns, call.depth, a->turned, b->turned, a->pitch, b->pitch, c->pitch, call.aIsBf16, call.cIsBf16};
  shape.sum = !call.sum ? GemmShape::Sum::none : call.sum == call.c ? GemmShape::Sum::inPlace : GemmShape::Sum::apart;
  shape.aAlignment = alignmentOf(call.a), shape.bAlignment = alignmentOf(call.b), shape.cAlignment = alignmentOf(call.c);
  shape.sumAlignment = call.sum ? alignmentOf(call.sum) : shape.cAlignment;
  return shape;
}

std::string GemmShape::name() const {
  const auto type = [](bool isBf16) { return isBf16 ? "bf16" : "f32"; };
  const auto lies = [](bool turned, int64_t pitch, uint32_t alignment) { return (turned ? "turned " : "") + std::to_string(pitch) + " @" + std::to_string(alignment); };
  std::string text = std::to_string(rows) + "x" + std::to_string(columns) + "x" + std::to_string(depth) + " " + type(factorsAreBf16);
  if (factorsAreBf16 != resultIsBf16)
    text += std::string(" to ") + type(resultIsBf16);
  text += "; a " + lies(aTurned, aPitch, aAlignment) + "; b " + lies(bTurned, bPitch, bAlignment) + "; c " + lies(false, cPitch, cAlignment);
  return text + (sum == Sum::none ? "" : sum == Sum::inPlace ? "; added in place" : "; added to @" + std::to_string(sumAlignment));
}

} // namespace peftrt::cuda
