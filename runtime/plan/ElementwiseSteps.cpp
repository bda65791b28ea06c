// ElementwiseSteps: one call over the packed batch where the operands line up, else one an example.
#include "runtime/plan/Packed.h"
#include <ATen/ATen.h>

namespace peftrt::plan {
namespace {

using Operands = std::vector<at::Tensor>;
using Kernel = void (*)(at::Tensor &, const Operands &);

/// Operands whose elements lie as the result's do (or are one number for the run): the layout does not matter.
std::optional<Operands> sameElements(const Step &step) {
  Operands operands;
  for (const Packed &operand : step.in) {
    if (sameDims(*operand.type, *step.out.type))
      operands.push_back(operand.tensor);
    else if (operand.layout == Layout::run && operand.type->dims.empty())
      operands.push_back(operand.tensor);
    else
      return std::nullopt;
  }
  return operands;
}

std::optional<Operands> linedUp(Step &step) {
  if (step.out.layout == Layout::ragged)
    return sameElements(step);
  Operands operands;
  for (const Packed &operand : step.in) {
    std::optional<at::Tensor> tensor = aligned(operand, step.out, step.context);
    if (!tensor)
      return std::nullopt;
    operands.push_back(*tensor);
  }
  return operands;
}

template <Kernel kernel> void elementwise(Step &step) {
  if (std::optional<Operands> operands = linedUp(step)) {
    // The result's shape is the program's: no operand need have it (broadcast; a flat program's scalars).
    if ((*operands)[0].sizes() != step.out.tensor.sizes())
      (*operands)[0] = (*operands)[0].expand(step.out.tensor.sizes());
    kernel(step.out.tensor, *operands);
    return;
  }
  forEachExample(step, [](at::Tensor &out, const Operands &in, int64_t) {
    if (in[0].sizes() == out.sizes()) {
      kernel(out, in);
      return;
    }
    Operands operands = in;
    operands[0] = in[0].expand(out.sizes());
    kernel(out, operands);
  });
}

template <at::Tensor &(*function)(at::Tensor &, const at::Tensor &)> void unary(at::Tensor &out, const Operands &in) { function(out, in[0]); }
template <at::Tensor &(*function)(at::Tensor &, const at::Tensor &, const at::Tensor &)> void binary(at::Tensor &out, const Operands &in) { function(out, in[0], in[1]); }

void add(at::Tensor &out, const Operands &in) { at::add_out(out, in[0], in[1]); }
void sub(at::Tensor &out, const Operands &in) { at::sub_out(out, in[0], in[1]); }
void div(at::Tensor &out, const Operands &in) {
  if (out.scalar_type() == at::kLong)
    at::floor_divide_out(out, in[0], in[1]);
  else
    at::div_out(out, in[0], in[1]);
}
void floor(at::Tensor &out, const Operands &in) { at::floor_out(out, in[0]); }
void select(at::Tensor &out, const Operands &in) { at::where_out(out, in[0], in[1], in[2]); }
void copy(at::Tensor &out, const Operands &in) { out.copy_(in[0]); }

} // namespace

#define UNARY(name, function) {name, elementwise<unary<at::function##_out>>}
#define BINARY(name, function) {name, elementwise<binary<at::function##_out>>}
Handlers elementwiseSteps() {
  return {UNARY("neg", neg), UNARY("exp", exp), UNARY("log", log), UNARY("sqrt", sqrt), UNARY("rsqrt", rsqrt), UNARY("tanh", tanh), UNARY("erf", erf), UNARY("sin", sin), UNARY("cos", cos),
          UNARY("abs", abs), UNARY("sign", sign), UNARY("not", logical_not), {"floor", elementwise<floor>}, {"cast", elementwise<copy>}, {"broadcast", elementwise<copy>},
          {"add", elementwise<add>}, {"sub", elementwise<sub>}, {"div", elementwise<div>}, BINARY("mul", mul), BINARY("pow", pow), BINARY("max", maximum), BINARY("min", minimum),
          BINARY("lt", lt), BINARY("le", le), BINARY("eq", eq), BINARY("ne", ne), BINARY("gt", gt), BINARY("ge", ge), BINARY("and", logical_and), BINARY("or", logical_or),
          {"select", elementwise<select>}};
}
#undef UNARY
#undef BINARY

} // namespace peftrt::plan
