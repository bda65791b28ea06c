// Borders: see the header.
#include "runtime/plan/Borders.h"
#include "runtime/bundle/Errors.h"
#include "runtime/plan/PlannedMemory.h"
#include <ATen/ATen.h>

namespace peftrt::plan {

std::vector<Reading> readingsOf(const PlanProgram &plan) {
  const std::vector<Op> &ops = plan.body.ops;
  std::vector<Reading> readings(ops.size(), Reading::borders);
  std::map<int64_t, size_t> parameters; // value → step
  const auto read = [&](int64_t value, Reading how) {
    if (const auto found = parameters.find(value); found != parameters.end())
      readings[found->second] = std::max(readings[found->second], how);
  };
  const auto isFrozen = [&](int64_t value) {
    const auto found = parameters.find(value);
    return found != parameters.end() && ops[found->second].attrs.value("frozen", false);
  };
  for (size_t index = 0; index < ops.size(); ++index) {
    const Op &op = ops[index];
    if (op.op == "param")
      parameters[op.out[0]] = index;
    for (size_t operand = 0; operand < op.in.size(); ++operand)
      if (op.op != "border" || operand > op.attrs.value("stacked", size_t{0}) || !isFrozen(op.in[operand])) // whose other parts are copied as they lie
        read(op.in[operand], op.op == "border" || plan.kinds[index] == "gemm" ? Reading::rows : Reading::dense);
  }
  for (const NamedValue &result : plan.body.results)
    read(result.value, Reading::dense);
  return readings;
}

void Borders::keepDense(const PlanProgram &plan, const std::vector<Reading> &readings) {
  for (size_t index = 0; index < readings.size(); ++index)
    if (plan.body.ops[index].op == "param" && readings[index] == Reading::dense)
      dense_.insert(plan.body.ops[index].attrs.at("name"));
}

at::Tensor Borders::of(const std::string &name, const std::vector<int64_t> &shape, ValueType type, ValueType stored, How how) {
  if (shape.size() != 2)
    failBundle("the border of `" + name + "` is no matrix");
  at::Tensor &border = made_[{name, shape[0], shape[1], type}];
  if (border.defined())
    return border;
  const at::Tensor whole = device_.empty(shape, dtypeOf(type));
  device_.beginLibraryStep();
  whole.zero_();
  std::vector<Below> all = how.below;
  all.push_back({name, 0});
  for (const Below &one : all) {
    const at::Tensor given = stored == ValueType::bf16 ? parameters_.half(one.name) : parameters_.get(one.name), weight = how.turned && given.dim() == 2 ? given.t() : given;
    if (weight.dim() != 2 || one.row < 0 || one.row + weight.size(0) > shape[0] || weight.size(1) > shape[1])
      failBundle("the border of `" + name + "` has no room for `" + one.name + "`");
    const at::Tensor inside = whole.narrow(0, one.row, weight.size(0)).narrow(1, 0, weight.size(1));
    inside.copy_(weight);
    if (how.stays && !how.turned && type == stored && !dense_.count(one.name))
      parameters_.moveTo(one.name, inside);
  }
  return border = whole;
}

int64_t Borders::bytes() const {
  int64_t bytes = 0;
  for (const auto &[key, border] : made_)
    bytes += static_cast<int64_t>(border.nbytes());
  return bytes;
}

} // namespace peftrt::plan
