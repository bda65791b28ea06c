// Indexing: rows of a table by number, what the examples of a row have, and the transposes of both.
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

at::Tensor siblings(const Call &call) { return at::stack(call.in); }

at::Tensor sumSiblings(const Call &call) {
  at::Tensor sum = at::zeros(call.shape, call.options());
  for (const at::Tensor &each : call.in)
    sum += each[call.sibling];
  return sum;
}

} // namespace

Table indexing() { return {{"gather", gather}, {"scatter_add", scatterAdd}, {"siblings", siblings}, {"sum_siblings", sumSiblings}}; }

} // namespace peftrt::reference
