// Matrices: what the last two axes hold, as a whole.
#include "runtime/reference/Ops.h"
#include <ATen/ATen.h>
#include <limits>

namespace peftrt::reference {
namespace {

/// By elimination with row exchanges. A matrix without an inverse gives no numbers.
at::Tensor inverse(const Call &call) {
  const at::Tensor &x = call.in[0];
  const at::Tensor unit = at::eye(x.size(-1), x.options()).expand(x.sizes());
  const auto [result, failed] = at::linalg_solve_ex(x, unit);
  return result.masked_fill(failed.ne(0).unsqueeze(-1).unsqueeze(-1), std::numeric_limits<double>::quiet_NaN());
}

} // namespace

Table matrices() { return {{"inverse", inverse}}; }

} // namespace peftrt::reference
