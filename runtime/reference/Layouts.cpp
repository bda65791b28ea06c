// Layouts: the same numbers in another shape or order, or fewer or more of them.
#include "runtime/reference/Ops.h"
#include <ATen/ATen.h>

namespace peftrt::reference {
namespace {

at::Tensor transpose(const Call &call) { return call.in[0].permute(call.op.attrs.at("perm").get<std::vector<int64_t>>()); }
/// split, merge, expand_dims and squeeze keep the row-major order of the elements; the result's shape says it all.
at::Tensor reshape(const Call &call) { return call.in[0].reshape(call.shape); }
at::Tensor broadcast(const Call &call) { return call.in[0].expand(call.shape); }
at::Tensor stopGrad(const Call &call) { return call.in[0]; }

/// Indices start, start + step, … as many as `count`.
at::Tensor places(const Call &call, const char *start, int64_t count) {
  return at::arange(count, at::kLong) * call.op.attrs.value("step", int64_t{1}) + call.length(start);
}

at::Tensor slice(const Call &call) { return call.in[0].index_select(call.axis(), places(call, "start", call.shape[call.axis()])); }

at::Tensor pad(const Call &call) {
  return at::zeros(call.shape, call.options()).index_copy(call.axis(), places(call, "lo", call.in[0].size(call.axis())), call.in[0]);
}

at::Tensor roll(const Call &call) { return call.in[0].roll(-call.op.attrs.at("by").get<int64_t>(), call.axis()); }
at::Tensor repeat(const Call &call) { return call.in[0].repeat_interleave(call.op.attrs.at("times").get<int64_t>(), call.axis()); }
at::Tensor concat(const Call &call) { return at::cat(call.in, call.axis()); }

at::Tensor putLast(const Call &call) {
  const int64_t axis = call.axis(), entries = call.in[1].size(axis);
  return at::cat({call.in[0].narrow(axis, 0, call.in[0].size(axis) - entries), call.in[1]}, axis);
}

} // namespace

Table layouts() {
  return {{"transpose", transpose}, {"split", reshape}, {"merge", reshape}, {"expand_dims", reshape}, {"squeeze", reshape},
          {"broadcast", broadcast}, {"slice", slice}, {"pad", pad}, {"roll", roll}, {"repeat", repeat}, {"concat", concat}, {"put_last", putLast}, {"stop_grad", stopGrad}};
}

} // namespace peftrt::reference
