// Reductions: many numbers to one. Summing over the batch's examples (`over_examples`) is the interpreter's business.
#include "runtime/bundle/Errors.h"
#include "runtime/reference/Ops.h"
#include <ATen/ATen.h>

namespace peftrt::reference {
namespace {

at::Tensor reduce(const Call &call) {
  const std::string kind = call.op.attrs.at("kind");
  const auto axes = call.op.attrs.at("axes").get<std::vector<int64_t>>();
  const bool keep = call.op.attrs.value("keep", false);
  if (axes.empty())
    return call.in[0];
  if (kind == "sum")
    return call.in[0].sum(axes, keep, call.in[0].scalar_type());
  if (kind == "max")
    return call.in[0].amax(axes, keep);
  if (kind == "min")
    return call.in[0].amin(axes, keep);
  failBundle("a reduction of kind `" + kind + "`");
}

at::Tensor argmax(const Call &call) { return call.in[0].argmax(call.axis()); }

at::Tensor ranks(const Call &call) {
  const at::Tensor x = call.in[0].movedim(call.axis(), -1);
  const at::Tensor below = x.unsqueeze(-2).lt(x.unsqueeze(-1)).sum(-1), alike = x.unsqueeze(-2).eq(x.unsqueeze(-1)).sum(-1);
  return (below.to(call.dtype()) + (alike.to(call.dtype()) + 1) / 2).movedim(-1, call.axis());
}

at::Tensor order(const Call &call) { return at::argsort(call.in[0], /*stable=*/true, call.axis(), /*descending=*/false); }

at::Tensor contract(const Call &call) { return at::einsum(call.op.attrs.at("equation").get<std::string>(), call.in); }

} // namespace

Table reductions() { return {{"reduce", reduce}, {"argmax", argmax}, {"ranks", ranks}, {"order", order}, {"contract", contract}}; }

} // namespace peftrt::reference
