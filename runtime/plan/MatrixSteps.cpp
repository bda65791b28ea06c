// MatrixSteps: inverse, and the borders of frozen weights.
#include "runtime/bundle/Errors.h"
#include "runtime/plan/Packed.h"
#include <ATen/ATen.h>
#include <limits>

namespace peftrt::plan {
namespace {

void inverseInto(at::Tensor out, const at::Tensor &x) {
  const auto [inverse, failed] = at::linalg_inv_ex(x);
  out.copy_(inverse.masked_fill(failed.ne(0).unsqueeze(-1).unsqueeze(-1), std::numeric_limits<float>::quiet_NaN()));
}

void inverse(Step &step) {
  if (step.in[0].layout == Layout::ragged)
    forEachExample(step, [](at::Tensor &out, const std::vector<at::Tensor> &in, int64_t) { inverseInto(out, in[0]); });
  else // whatever stands before the matrix is one more axis before it
    inverseInto(step.out.tensor, step.in[0].tensor);
}

/// The weight is there already (Borders.h).
void border(Step &step) {
  const auto places = step.op.attrs.at("places").get<std::vector<int64_t>>(), turned = step.op.attrs.at("turned").get<std::vector<int64_t>>();
  if (places.size() != 2 * turned.size() || step.in.size() != 1 + turned.size())
    failBundle(where(step) + " does not say where each part lies");
  for (size_t index = 0; index < turned.size(); ++index) {
    const at::Tensor part = turned[index] ? step.in[1 + index].tensor.t() : step.in[1 + index].tensor;
    step.out.tensor.narrow(0, places[2 * index], part.size(0)).narrow(1, places[2 * index + 1], part.size(1)).copy_(part);
  }
}

} // namespace

Handlers matrixSteps() { return {{"inverse", inverse}, {"border", border}}; }

} // namespace peftrt::plan
