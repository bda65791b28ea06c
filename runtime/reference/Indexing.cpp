// Indexing: rows of a table by number, and the transpose of that.
#include "runtime/reference/Ops.h"
#include <ATen/ATen.h>

namespace peftrt::reference {
namespace {

at::Tensor gather(const Call &call) { return call.in[0].index_select(0, call.in[1].reshape({-1})).reshape(call.shape); }

at::Tensor scatterAdd(const Call &call) {
  std::vector<int64_t> rows = call.shape;
  rows.insert(rows.begin(), -1);
  rows.erase(rows.begin() + 1); // [-1, rest…]
  return at::zeros(call.shape, call.options()).index_add(0, call.in[0].reshape({-1}), call.in[1].reshape(rows));
}

} // namespace

Table indexing() { return {{"gather", gather}, {"scatter_add", scatterAdd}}; }

} // namespace peftrt::reference
