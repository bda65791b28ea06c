// Packed: see Packed.h.
#include "runtime/plan/Packed.h"
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <algorithm>
#include <c10/core/InferenceMode.h>

namespace peftrt::plan {

Layout layoutOf(const Value &value) {
  if (!value.perExample)
    return Layout::run;
  if (!value.ragged())
    return Layout::example;
  const auto ragged = [](const Dim &dim) { return dim.ragged(); };
  return ragged(value.dims[0]) && std::none_of(value.dims.begin() + 1, value.dims.end(), ragged) ? Layout::leading : Layout::ragged;
}

at::Tensor Packed::flat() const { return tensor.view({-1}); }

Blocks::Blocks(const Packed &packed, const BatchSize &size) : packed_(packed), size_(size) {
  if (packed.layout == Layout::ragged || packed.layout == Layout::leading)
    offsets_ = blockOffsets(*packed.type, size);
}

at::Tensor Blocks::at(int64_t example) const {
  switch (packed_.layout) {
  case Layout::run:
    return packed_.tensor;
  case Layout::example:
    return packed_.tensor.select(0, example);
  default:
    const std::vector<int64_t> shape = blockShape(*packed_.type, size_.lengths, example);
    return packed_.tensor.view({-1}).narrow(0, offsets_[example], product(shape)).view(shape);
  }
}

const at::Tensor &RunContext::rowExamples(const Dim &leading) {
  at::Tensor &rows = rowExamples_[{leading.c, leading.k, leading.sequence}];
  if (!rows.defined()) {
    int64_t place = 0;
    rows = at::empty({size.rowsOf(leading)}, at::kLong);
    int64_t *data = rows.data_ptr<int64_t>();
    for (int64_t example = 0; example < size.examples(); ++example)
      for (int64_t row = 0; row < leading.at(size.rooms, example); ++row)
        data[place++] = example;
  }
  return rows;
}

std::optional<at::Tensor> aligned(const Packed &operand, const Packed &out, RunContext &context) {
  if (operand.layout == Layout::run)
    return operand.tensor;
  const int64_t rank = operand.type->dims.size(), outRank = out.type->dims.size();
  if (operand.layout == Layout::leading)
    return out.layout == Layout::leading && rank == outRank && operand.type->dims[0] == out.type->dims[0] ? std::optional(operand.tensor) : std::nullopt;
  if (operand.layout != Layout::example || (out.layout != Layout::example && out.layout != Layout::leading))
    return std::nullopt;
  // [E, dims…] with the axes that out has before them as 1.
  std::vector<int64_t> shape = operand.tensor.sizes().vec();
  if (out.layout == Layout::example) {
    shape.insert(shape.begin() + 1, outRank - rank, 1);
    return operand.tensor.view(shape);
  }
  if (rank == outRank) {
    if (shape[1] != 1)
      return std::nullopt;
    shape.erase(shape.begin() + 1);
  } else {
    shape.insert(shape.begin() + 1, outRank - 1 - rank, 1);
  }
  return operand.tensor.view(shape).index_select(0, context.rowExamples(out.type->dims[0]).to(operand.tensor.device()));
}

void forEachExample(Step &step, const std::function<void(at::Tensor &, const std::vector<at::Tensor> &, int64_t)> &body) {
  const BatchSize &size = step.context.size;
  std::vector<Blocks> operands;
  for (const Packed &operand : step.in)
    operands.emplace_back(operand, size);
  const Blocks results(step.out, size);
  // Threads of a process have streams of their own on another device, and steps come in order there.
  const int64_t grain = step.out.tensor.is_cpu() ? 1 : std::max<int64_t>(1, size.examples());
  at::parallel_for(0, size.examples(), grain, [&](int64_t begin, int64_t end) {
    const c10::InferenceMode noAutograd; // thread-local
    for (int64_t example = begin; example < end; ++example) {
      std::vector<at::Tensor> blocks;
      for (const Blocks &operand : operands)
        blocks.push_back(operand.at(example));
      at::Tensor out = results.at(example);
      body(out, blocks, example);
    }
  });
}

void sumOverExamples(Step &step, const std::function<at::Tensor(const std::vector<at::Tensor> &, int64_t)> &body) {
  const BatchSize &size = step.context.size;
  std::vector<Blocks> operands;
  for (const Packed &operand : step.in)
    operands.emplace_back(operand, size);
  step.out.tensor.zero_();
  for (int64_t example = 0; example < size.examples(); ++example) {
    std::vector<at::Tensor> blocks;
    for (const Blocks &operand : operands)
      blocks.push_back(operand.at(example));
    step.out.tensor.add_(body(blocks, example));
  }
}

std::optional<int64_t> packedAxis(const Packed &packed, int64_t axis) {
  switch (packed.layout) {
  case Layout::run:
    return axis;
  case Layout::example:
    return axis + 1;
  case Layout::leading:
    return axis > 0 ? std::optional(axis) : std::nullopt;
  default:
    return std::nullopt;
  }
}

bool sameDims(const Value &left, const Value &right) { return left.perExample == right.perExample && left.dims == right.dims; }

std::string where(const Step &step) { return step.op.op + " at " + (step.op.loc.empty() ? "an unknown place" : step.op.loc); }

} // namespace peftrt::plan
