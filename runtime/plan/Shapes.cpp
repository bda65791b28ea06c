// Shapes: see Shapes.h.
#include "runtime/plan/Shapes.h"
#include "runtime/bundle/Errors.h"

namespace peftrt {
namespace {

bool standsForAnyLength(const Value &value, const BatchSize &size) {
  return size.flat && !value.perExample && value.dims.size() == 1 && value.dims[0] == Dim{1, 0};
}

} // namespace

BatchSize sizeOf(const Program &program, const Batch &batch, const std::map<std::string, at::Tensor> &tensors) {
  BatchSize size;
  size.lengths = batch.lengths;
  size.rooms = batch.rooms.empty() ? batch.lengths : batch.rooms;
  for (const int64_t room : size.rooms) {
    size.tokens += room;
    size.squares += room * room;
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

std::vector<int64_t> blockShape(const Value &value, const BatchSize &size, int64_t seq) {
  if (standsForAnyLength(value, size))
    return {size.flatLength};
  std::vector<int64_t> shape;
  shape.reserve(value.dims.size());
  for (const Dim &dim : value.dims)
    shape.push_back(dim.at(seq));
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
    return product(blockShape(value, size, 0));
  return blockOffsets(value, size).back();
}

std::vector<int64_t> blockOffsets(const Value &value, const BatchSize &size) {
  std::vector<int64_t> offsets = {0};
  offsets.reserve(size.rooms.size() + 1);
  for (const int64_t seq : size.rooms)
    offsets.push_back(offsets.back() + product(blockShape(value, size, seq)));
  return offsets;
}

} // namespace peftrt
