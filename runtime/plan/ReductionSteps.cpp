// ReductionSteps: reduce, argmax, ranks and order.
//
// Numerics  float sums are LibTorch's cascade sums; summing over a leading ragged axis and over examples at once is one sum.
#include "runtime/bundle/Errors.h"
#include "runtime/plan/Packed.h"
#include <ATen/ATen.h>
#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

namespace peftrt::plan {
namespace {

enum class Kind { sum, max, min };

Kind kindOf(const Step &step) {
  const std::string kind = step.op.attrs.at("kind");
  if (kind != "sum" && kind != "max" && kind != "min")
    failBundle(where(step) + ": there is no kind `" + kind + "`");
  return kind == "sum" ? Kind::sum : kind == "max" ? Kind::max : Kind::min;
}

/// Into `out`, whatever axes of length 1 it keeps.
void reduceInto(at::Tensor out, const at::Tensor &in, const std::vector<int64_t> &axes, Kind kind) {
  std::vector<int64_t> kept = in.sizes().vec();
  for (const int64_t axis : axes)
    kept[axis] = 1;
  at::Tensor view = out.view(kept);
  if (axes.empty())
    view.copy_(in);
  else if (kind == Kind::sum)
    at::sum_out(view, in, axes, true, in.scalar_type());
  else if (kind == Kind::max)
    at::amax_out(view, in, axes, true);
  else
    at::amin_out(view, in, axes, true);
}

std::vector<int64_t> shifted(std::vector<int64_t> axes) {
  for (int64_t &axis : axes)
    ++axis;
  return axes;
}

void overExamples(Step &step, const std::vector<int64_t> &axes, Kind kind) {
  const Packed &x = step.in[0];
  std::vector<int64_t> all = shifted(axes);
  switch (x.layout) {
  case Layout::run:
    failBundle(where(step) + ": over_examples of a value of the run");
  case Layout::example:
    all.insert(all.begin(), 0);
    return reduceInto(step.out.tensor, x.tensor, all, kind);
  case Layout::leading:
    if (std::find(axes.begin(), axes.end(), 0) == axes.end())
      failBundle(where(step) + ": over_examples keeps an axis whose length differs between examples");
    return reduceInto(step.out.tensor, x.tensor, axes, kind);
  case Layout::ragged:
    if (kind != Kind::sum)
      failBundle(where(step) + ": over_examples of a ragged value is supported for sums only");
    return sumOverExamples(step, [&](const std::vector<at::Tensor> &in, int64_t) { return in[0].sum(axes, true, in[0].scalar_type()).view(step.out.tensor.sizes()); });
  }
}

void reduce(Step &step) {
  const Kind kind = kindOf(step);
  const auto axes = step.op.attrs.at("axes").get<std::vector<int64_t>>();
  const Packed &x = step.in[0];
  if (step.overExamples())
    return overExamples(step, axes, kind);
  if (x.layout == Layout::run) {
    if (step.context.size.flat && step.out.tensor.numel() != 1 && !axes.empty()) // a kept axis of a flat program's vector
      step.out.tensor.copy_(kind == Kind::sum ? x.tensor.sum() : kind == Kind::max ? x.tensor.max() : x.tensor.min());
    else
      reduceInto(step.out.tensor, x.tensor, axes, kind);
    return;
  }
  if (x.layout == Layout::example)
    return reduceInto(step.out.tensor, x.tensor, shifted(axes), kind);
  if (x.layout == Layout::leading && std::find(axes.begin(), axes.end(), 0) == axes.end())
    return reduceInto(step.out.tensor, x.tensor, axes, kind);
  forEachExample(step, [&](at::Tensor &out, const std::vector<at::Tensor> &in, int64_t) { reduceInto(out, in[0], axes, kind); });
}

void argmax(Step &step) {
  if (const auto axis = packedAxis(step.in[0], step.axis()))
    at::argmax_out(step.out.tensor, step.in[0].tensor, *axis);
  else
    forEachExample(step, [&](at::Tensor &out, const std::vector<at::Tensor> &in, int64_t) { at::argmax_out(out, in[0], step.axis()); });
}

/// One row of numbers: sorted once, equal ones together.
void rankRow(const float *x, float *ranks, int64_t count) {
  std::vector<int64_t> order(static_cast<size_t>(count));
  std::iota(order.begin(), order.end(), int64_t{0});
  std::sort(order.begin(), order.end(), [&](int64_t a, int64_t b) { return std::isnan(x[b]) ? !std::isnan(x[a]) : x[a] < x[b]; });
  for (int64_t begin = 0, end = 0; begin < count; begin = end) {
    while (end < count && x[order[end]] == x[order[begin]])
      ++end;
    if (end == begin)
      ++end; // not a number, which equals nothing
    for (int64_t place = begin; place < end; ++place)
      ranks[order[place]] = static_cast<float>(begin + end + 1) / 2; // the mean of begin + 1 … end
  }
}

void rankInto(at::Tensor out, const at::Tensor &x, int64_t axis) {
  const at::Tensor rows = x.movedim(axis, -1).to(at::kCPU, at::kFloat).contiguous(), ranks = at::empty_like(rows);
  const int64_t count = rows.size(-1);
  for (int64_t row = 0; count > 0 && row < rows.numel() / count; ++row)
    rankRow(rows.data_ptr<float>() + row * count, ranks.data_ptr<float>() + row * count, count);
  out.copy_(ranks.movedim(-1, axis));
}

void ranks(Step &step) {
  if (const auto axis = packedAxis(step.in[0], step.axis()))
    rankInto(step.out.tensor, step.in[0].tensor, *axis);
  else
    forEachExample(step, [&](at::Tensor &out, const std::vector<at::Tensor> &in, int64_t) { rankInto(out, in[0], step.axis()); });
}

void orderInto(at::Tensor out, const at::Tensor &x, int64_t axis) { out.copy_(at::argsort(x, /*stable=*/true, axis, /*descending=*/false)); }

void order(Step &step) {
  if (const auto axis = packedAxis(step.in[0], step.axis()))
    orderInto(step.out.tensor, step.in[0].tensor, *axis);
  else
    forEachExample(step, [&](at::Tensor &out, const std::vector<at::Tensor> &in, int64_t) { orderInto(out, in[0], step.axis()); });
}

} // namespace

Handlers reductionSteps() { return {{"reduce", reduce}, {"argmax", argmax}, {"ranks", ranks}, {"order", order}}; }

} // namespace peftrt::plan
