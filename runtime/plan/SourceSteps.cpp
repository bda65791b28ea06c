// SourceSteps: steps that make values out of no values. A `param` has nothing to do: its value is the parameter.
#include "runtime/cpu/Philox.h"
#include "runtime/bundle/Errors.h"
#include "runtime/plan/Packed.h"
#include <ATen/ATen.h>
#include <ATen/Parallel.h>

namespace peftrt::plan {
namespace {

constexpr int64_t kRandomGrain = 4096; // a multiple of a Philox block

double numberOf(const nlohmann::json &value) { return value.is_boolean() ? static_cast<double>(value.get<bool>()) : value.get<double>(); }

void constant(Step &step) { step.out.tensor.fill_(numberOf(step.op.attrs.at("value"))); }

void literal(Step &step) {
  std::vector<double> values;
  for (const nlohmann::json &value : step.op.attrs.at("values"))
    values.push_back(numberOf(value));
  step.out.tensor.copy_(at::tensor(values, at::kDouble).view(step.out.tensor.sizes()));
}

void iota(Step &step) {
  if (step.out.layout == Layout::run || step.out.layout == Layout::example)
    step.out.tensor.copy_(at::arange(step.out.tensor.size(-1)));
  else
    forEachExample(step, [](at::Tensor &out, const std::vector<at::Tensor> &, int64_t) { out.copy_(at::arange(out.size(0))); });
}

void dim(Step &step) {
  const Packed &x = step.in[0];
  const BatchSize &size = step.context.size;
  if (step.out.layout == Layout::run) {
    step.out.tensor.fill_(static_cast<double>(runShape(*x.type, size).at(step.axis())));
    return;
  }
  std::vector<double> lengths;
  for (int64_t example = 0; example < size.examples(); ++example)
    lengths.push_back(static_cast<double>(x.type->dims.at(step.axis()).at(size.lengths, example)));
  step.out.tensor.copy_(at::tensor(lengths, at::kDouble));
}

void random(Step &step) {
  const nlohmann::json &attrs = step.op.attrs;
  const RandomState &state = step.context.random;
  const RandomStream stream{state.seed, attrs.at("site").get<uint32_t>(), state.step, state.pass, rateOf(attrs.at("rate")), distributionOf(attrs.at("dist"))};
  if (step.out.type->type != ValueType::f32)
    failBundle(where(step) + ": random numbers are f32");
  const at::Tensor numbers = step.out.tensor.is_cpu() ? step.out.tensor : at::empty(step.out.tensor.sizes(), at::kFloat);
  float *data = numbers.data_ptr<float>();
  const int64_t count = numbers.numel();
  at::parallel_for(0, (count + kRandomGrain - 1) / kRandomGrain, 4, [&](int64_t begin, int64_t end) {
    for (int64_t chunk = begin; chunk < end; ++chunk)
      fillRandom(stream, chunk * kRandomGrain, std::min(kRandomGrain, count - chunk * kRandomGrain), data + chunk * kRandomGrain);
  });
  if (!step.out.tensor.is_cpu())
    step.out.tensor.copy_(numbers);
}

} // namespace

Handlers sourceSteps() { return {{"constant", constant}, {"literal", literal}, {"iota", iota}, {"dim", dim}, {"random", random}}; }

} // namespace peftrt::plan
