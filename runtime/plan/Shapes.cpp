// Shapes: see Shapes.h.
#include "runtime/plan/Shapes.h"
#include "runtime/bundle/Errors.h"
#include <bit>
#include <numeric>

namespace peftrt {
namespace {

bool standsForAnyLength(const Value &value, const BatchSize &size) {
  return size.flat && !value.perExample && value.dims.size() == 1 && value.dims[0] == Dim{1, 0};
}

} // namespace

BatchSize sizeOf(const Program &program, const Batch &batch, const std::map<std::string, at::Tensor> &tensors) {
  BatchSize size;
  size.lengths = {batch.lengths};
  size.rooms = {batch.rooms.empty() ? batch.lengths : batch.rooms};
  for (const Batch::Sequence &sequence : batch.others) {
    if (sequence.lengths.size() != batch.lengths.size())
      failBundle("a batch has " + std::to_string(batch.lengths.size()) + " and " + std::to_string(sequence.lengths.size()) + " examples");
    size.lengths.push_back(sequence.lengths);
    size.rooms.push_back(sequence.rooms.empty() ? sequence.lengths : sequence.rooms);
  }
  for (size_t sequence = 0; sequence < size.rooms.size(); ++sequence) {
    const std::vector<int64_t> &own = size.rooms[sequence];
    size.tokens.push_back(std::accumulate(own.begin(), own.end(), int64_t{0}));
    for (size_t other = 0; other <= sequence; ++other) // in the order of `pairOf`
      size.squares.push_back(std::inner_product(own.begin(), own.end(), size.rooms[other].begin(), int64_t{0}));
  }
  size.flat = program.flat;
  if (!program.flat)
    return size;
  size.flatLength = -1;
  for (const NamedValue &input : program.inputs) {
    const auto found = tensors.find(input.name);
    if (found == tensors.end() || program.values[input.value].dims.size() != 1)
      continue;
    const int64_t length = found->second.numel();
    if (size.flatLength >= 0 && size.flatLength != length)
      failBundle("`" + program.name + "`: its vectors have " + std::to_string(size.flatLength) + " and " + std::to_string(length) + " elements");
    size.flatLength = length;
  }
  if (size.flatLength < 0)
    size.flatLength = 1;
  return size;
}

namespace {

/// The next multiple of a part of the power of two below, of `least` at least; what is not more than that is left as it is.
int64_t roomOf(int64_t count, int64_t parts, int64_t least) {
  if (count <= least)
    return count;
  const int64_t unit = std::max(least, static_cast<int64_t>(std::bit_floor(static_cast<uint64_t>(count))) / parts);
  return (count + unit - 1) / unit * unit;
}

} // namespace

/// Tokens are most of the work: a sixteenth of them at most is for nothing, of fewer than 256 up to 15. Of examples there is little to be done.
BatchSize withRoom(const BatchSize &size) {
  constexpr int64_t kPartsOfTokens = 16, kLeastTokens = 16, kParts = 4, kLeast = 4;
  BatchSize room = size;
  for (Lengths *lengths : {&room.lengths, &room.rooms})
    for (std::vector<int64_t> &own : *lengths)
      own.resize(static_cast<size_t>(roomOf(size.examples(), kParts, kLeast)));
  for (int64_t &tokens : room.tokens)
    tokens = roomOf(tokens, kPartsOfTokens, kLeastTokens);
  for (int64_t &squares : room.squares)
    squares = roomOf(squares, kParts, kLeast);
  return room;
}

int64_t BatchSize::bytesOf(const SlotSize &slot) const {
  int64_t bytes = slot.c + slot.e * examples() + slot.t * tokens[0] + slot.q * squares[0];
  for (size_t other = 0; other < slot.ts.size(); ++other)
    bytes += slot.ts[other] * tokens.at(other + 1);
  for (size_t other = 0; other < slot.qs.size(); ++other)
    bytes += slot.qs[other] * squares.at(other + 1);
  return bytes;
}

std::vector<int64_t> blockShape(const Value &value, const Lengths &lengths, int64_t example) {
  std::vector<int64_t> shape;
  shape.reserve(value.dims.size());
  for (const Dim &dim : value.dims)
    shape.push_back(dim.at(lengths, example));
  return shape;
}

std::vector<int64_t> runShape(const Value &value, const BatchSize &size) {
  if (standsForAnyLength(value, size))
    return {size.flatLength};
  std::vector<int64_t> shape;
  for (const Dim &dim : value.dims)
    shape.push_back(dim.c);
  return shape;
}

int64_t product(const std::vector<int64_t> &shape) {
  int64_t elements = 1;
  for (const int64_t length : shape)
    elements *= length;
  return elements;
}

int64_t elementsOf(const Value &value, const BatchSize &size) {
  if (!value.perExample)
    return product(runShape(value, size));
  return blockOffsets(value, size).back();
}

std::vector<int64_t> blockOffsets(const Value &value, const BatchSize &size) {
  std::vector<int64_t> offsets = {0};
  offsets.reserve(static_cast<size_t>(size.examples()) + 1);
  for (int64_t example = 0; example < size.examples(); ++example)
    offsets.push_back(offsets.back() + product(blockShape(value, size.rooms, example)));
  return offsets;
}

} // namespace peftrt
