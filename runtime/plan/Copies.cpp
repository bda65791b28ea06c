// Copies: see the header.
#include "runtime/plan/Copies.h"
#include "runtime/bundle/Errors.h"
#include "runtime/plan/ProductSteps.h"
#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>

namespace peftrt::plan {
namespace {

bool isNumber(ValueType type) { return type == ValueType::f32 || type == ValueType::bf16; }

Strided stridedOf(const at::Tensor &matrix) { return {matrix.data_ptr(), matrix.stride(0), matrix.stride(1), matrix.scalar_type() == at::kBFloat16}; }

Copy copyOf(const at::Tensor &from, const at::Tensor &to) { return {stridedOf(from), stridedOf(to), from.size(0), from.size(1)}; }

/// A frozen weight is there already (Borders.h); another one may have changed.
std::vector<Copy> copiesOfBorder(const Op &op, const std::vector<Packed> &values) {
  const auto places = op.attrs.at("places").get<std::vector<int64_t>>(), turned = op.attrs.at("turned").get<std::vector<int64_t>>();
  if (places.size() != 2 * turned.size() || op.in.size() != 1 + turned.size())
    failBundle("border at " + op.loc + " does not say where each part lies");
  std::vector<Copy> copies;
  if (const Packed &given = values[op.in[0]]; !given.isConstant) {
    const at::Tensor weight = op.attrs.value("weight_turned", false) ? given.tensor.t() : given.tensor;
    copies.push_back(copyOf(weight, values[op.out[0]].tensor.narrow(0, 0, weight.size(0)).narrow(1, 0, weight.size(1))));
  }
  for (size_t index = op.attrs.value("stacked", 0); index < turned.size(); ++index) { // behind weights, which are there already as well
    const at::Tensor part = turned[index] ? values[op.in[1 + index]].tensor.t() : values[op.in[1 + index]].tensor;
    copies.push_back(copyOf(part, values[op.out[0]].tensor.narrow(0, places[2 * index], part.size(0)).narrow(1, places[2 * index + 1], part.size(1))));
  }
  return copies;
}

at::Tensor matrixOf(const Strided &of, const Copy &one, c10::Device device) { return matrixAt(of.begin, of.isBf16, {one.rows, one.columns}, {of.row, of.column}, device); }

} // namespace

bool isCopies(const Op &op, const Program &program) {
  if (op.op == "border")
    return true;
  const auto isOfRun = [&](int64_t value) { return !program.values[value].perExample && isNumber(program.values[value].type); };
  return op.op == "cast" && !program.flat && isOfRun(op.in[0]) && isOfRun(op.out[0]);
}

std::vector<Copy> copiesOf(const Op &op, const std::vector<Packed> &values) {
  if (op.op == "border")
    return copiesOfBorder(op, values);
  const at::Tensor &from = values[op.in[0]].tensor, &to = values[op.out[0]].tensor;
  if (from.dim() == 2)
    return {copyOf(from, to.view(from.sizes()))};
  return {copyOf(from.reshape({1, -1}), to.view({1, -1}))}; // it lies densely: only matrices lie in tables
}

void copy(const Copy &one, c10::Device device) {
  const c10::InferenceMode noAutograd; // thread-local
  matrixOf(one.to, one, device).copy_(matrixOf(one.from, one, device));
}

void tell(const Copy &one, Given &given) {
  given.push_back(static_cast<uint64_t>(Asked::copy));
  for (const Strided *side : {&one.from, &one.to})
    given.insert(given.end(), {reinterpret_cast<uint64_t>(side->begin), static_cast<uint64_t>(side->row), static_cast<uint64_t>(side->column), static_cast<uint64_t>(side->isBf16)});
  given.insert(given.end(), {static_cast<uint64_t>(one.rows), static_cast<uint64_t>(one.columns)});
}

} // namespace peftrt::plan
