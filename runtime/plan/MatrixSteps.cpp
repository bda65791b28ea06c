// MatrixSteps: inverse.
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

} // namespace

Handlers matrixSteps() { return {{"inverse", inverse}}; }

} // namespace peftrt::plan
