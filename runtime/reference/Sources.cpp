// Sources: ops that make values out of no values.
#include "runtime/cpu/Philox.h"
#include "runtime/reference/Ops.h"
#include <ATen/ATen.h>

namespace peftrt::reference {
namespace {

at::Tensor param(const Call &call) { return call.parameters.get(call.op.attrs.at("name")).to(call.dtype()).reshape(call.shape); }

at::Tensor constant(const Call &call) {
  const nlohmann::json &value = call.op.attrs.at("value");
  return at::full(call.shape, value.is_boolean() ? static_cast<double>(value.get<bool>()) : value.get<double>(), call.options());
}

at::Tensor literal(const Call &call) {
  std::vector<double> values;
  for (const nlohmann::json &value : call.op.attrs.at("values"))
    values.push_back(value.is_boolean() ? static_cast<double>(value.get<bool>()) : value.get<double>());
  return at::tensor(values, at::kDouble).to(call.dtype()).reshape(call.shape);
}

at::Tensor iota(const Call &call) { return at::arange(call.in[0].size(call.axis()), call.options()); }
at::Tensor dim(const Call &call) { return at::full({}, static_cast<double>(call.in[0].size(call.axis())), call.options()); }

at::Tensor random(const Call &call) {
  const nlohmann::json &attrs = call.op.attrs;
  const RandomStream stream{call.random.seed, attrs.at("site").get<uint32_t>(), call.random.step, call.random.pass, rateOf(attrs.at("rate")), distributionOf(attrs.at("dist"))};
  at::Tensor numbers = at::empty(call.shape, at::kFloat);
  fillRandom(stream, call.firstElement, numbers.numel(), numbers.data_ptr<float>());
  return numbers.to(call.dtype());
}

} // namespace

Table sources() { return {{"param", param}, {"constant", constant}, {"literal", literal}, {"iota", iota}, {"dim", dim}, {"random", random}}; }

} // namespace peftrt::reference
