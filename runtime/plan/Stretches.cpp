// Stretches: see the header.
#include "runtime/plan/Stretches.h"
#include <ATen/ATen.h>
#include <algorithm>
#include <bit>
#include <c10/core/InferenceMode.h>

namespace peftrt::plan {
namespace {

constexpr int64_t kFewest = 4; ///< steps: to ask for fewer costs less than to find what was recorded of them

} // namespace

std::vector<Stretch> stretchesOf(const std::vector<Part> &parts) {
  std::vector<Stretch> found;
  for (size_t begin = 0; begin < parts.size();) {
    Stretch stretch{begin, begin, 0};
    for (size_t index = begin; index < parts.size() && parts[index] != Part::none; ++index)
      if (parts[index] == Part::asked)
        ++stretch.asked, stretch.end = index + 1;
    if (stretch.asked >= kFewest)
      found.push_back(stretch);
    begin = std::max(stretch.end, begin + 1);
  }
  return found;
}

bool isPlain(const Op &op, const Program &program, const std::optional<ProductStep> &product, const std::optional<ProductStep> &branch) {
  const ValueType type = program.values[op.out[0]].type;
  if (!product || hasBranch(op) != branch.has_value() || (type != ValueType::f32 && type != ValueType::bf16))
    return false;
  const ValueType factors = program.values[op.in[0]].type;
  const bool isWidened = type == ValueType::f32 && factors == ValueType::bf16 && op.in.size() == 2; // a gradient
  return (isWidened || factors == type) && std::all_of(op.in.begin(), op.in.end(), [&](int64_t operand) { return program.values[operand].type == factors; });
}

std::vector<products::Call> plainCallsOf(const Op &op, const ProductStep &product, const std::optional<ProductStep> &branch, const std::vector<Packed> &values, const BatchSize &size) {
  std::vector<products::Call> calls = {callOf(product, op, values, size)};
  if (const auto sum = addendOf(op))
    calls[0].sum = values[*sum].tensor.data_ptr();
  if (branch) {
    calls.push_back(callOf(*branch, op, values, size));
    calls[1].sum = calls[1].c;
  }
  return calls;
}

void multiplyPlain(const products::Call &call, c10::Device device) {
  const c10::InferenceMode noAutograd; // thread-local
  const auto result = [&](const void *data) { return matrixAt(data, call.cIsBf16, {call.rows, call.columns}, {call.cRow, call.cColumn}, device); };
  const at::Tensor a = matrixAt(call.a, call.aIsBf16, {call.rows, call.depth}, {call.aRow, call.aDepth}, device), b = matrixAt(call.b, call.bIsBf16, {call.depth, call.columns}, {call.bDepth, call.bColumn}, device);
  at::Tensor c = result(call.c);
  if (call.cIsBf16 != call.aIsBf16 && device.is_cpu()) // whose library has no such product; its memory is nobody's matter here
    c.copy_(at::mm(a, b)).mul_(call.alpha);
  else if (call.alpha != 1 && call.cIsBf16 == call.aIsBf16 && !call.sum) // what is there is not read
    at::addmm_out(c, c, a, b, 0, call.alpha);
  else if (call.cIsBf16 != call.aIsBf16)
    at::mm_out(c, a, b, c.scalar_type());
  else if (!call.sum)
    at::mm_out(c, a, b);
  else // the same tensor where it is the same memory: nothing is copied then
    at::addmm_out(c, call.sum == call.c ? c : result(call.sum), a, b);
}

void tell(const products::Call &call, Given &given) {
  given.push_back(static_cast<uint64_t>(Asked::product));
  for (const void *const address : {call.a, call.b, static_cast<const void *>(call.c), call.sum})
    given.push_back(reinterpret_cast<uint64_t>(address));
  for (const int64_t number : {call.aRow, call.aDepth, call.bDepth, call.bColumn, call.cRow, call.cColumn, call.rows, call.depth, call.columns})
    given.push_back(static_cast<uint64_t>(number));
  given.push_back(std::bit_cast<uint64_t>(call.alpha));
  given.push_back(static_cast<uint64_t>(call.aIsBf16) | static_cast<uint64_t>(call.bIsBf16) << 1 | static_cast<uint64_t>(call.cIsBf16) << 2);
}

} // namespace peftrt::plan
