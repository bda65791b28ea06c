// Elementwise: one number out of each tuple of numbers; operands broadcast right-aligned.
#include "runtime/reference/Ops.h"
#include <ATen/ATen.h>

namespace peftrt::reference {
namespace {

using Unary = at::Tensor (*)(const at::Tensor &);
using Binary = at::Tensor (*)(const at::Tensor &, const at::Tensor &);

template <Unary function> at::Tensor unary(const Call &call) { return function(call.in[0]); }
template <Binary function> at::Tensor binary(const Call &call) { return function(call.in[0], call.in[1]); }

at::Tensor add(const Call &call) { return call.in[0] + call.in[1]; }
at::Tensor sub(const Call &call) { return call.in[0] - call.in[1]; }
at::Tensor mul(const Call &call) { return call.in[0] * call.in[1]; }
/// Of integers: rounded towards minus infinity.
at::Tensor div(const Call &call) { return call.type == ValueType::i64 ? at::floor_divide(call.in[0], call.in[1]) : call.in[0] / call.in[1]; }
at::Tensor pow(const Call &call) { return at::pow(call.in[0], call.in[1]); }
at::Tensor floor(const Call &call) { return call.type == ValueType::i64 ? call.in[0] : at::floor(call.in[0]); }
at::Tensor select(const Call &call) { return at::where(call.in[0], call.in[1], call.in[2]); }
at::Tensor cast(const Call &call) { return call.in[0].to(call.dtype()); }

template <at::Tensor (at::Tensor::*compare)(const at::Tensor &) const> at::Tensor comparison(const Call &call) { return (call.in[0].*compare)(call.in[1]); }

} // namespace

Table elementwise() {
  return {{"neg", unary<at::neg>},   {"exp", unary<at::exp>}, {"log", unary<at::log>}, {"sqrt", unary<at::sqrt>}, {"rsqrt", unary<at::rsqrt>}, {"tanh", unary<at::tanh>},
          {"erf", unary<at::erf>},   {"sin", unary<at::sin>}, {"cos", unary<at::cos>}, {"abs", unary<at::abs>},   {"sign", unary<at::sign>},   {"floor", floor},
          {"not", unary<at::logical_not>}, {"cast", cast}, {"add", add}, {"sub", sub}, {"mul", mul}, {"div", div}, {"pow", pow},
          {"max", binary<at::maximum>}, {"min", binary<at::minimum>}, {"and", binary<at::logical_and>}, {"or", binary<at::logical_or>}, {"select", select},
          {"lt", comparison<&at::Tensor::lt>}, {"le", comparison<&at::Tensor::le>}, {"eq", comparison<&at::Tensor::eq>},
          {"ne", comparison<&at::Tensor::ne>}, {"gt", comparison<&at::Tensor::gt>}, {"ge", comparison<&at::Tensor::ge>}};
}

} // namespace peftrt::reference
