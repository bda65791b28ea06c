// LayoutSteps: the same numbers in another shape or order, or fewer or more of them.
#include "runtime/bundle/Errors.h"
#include "runtime/plan/Packed.h"
#include <ATen/ATen.h>

namespace peftrt::plan {
namespace {

/// Ops that keep the elements' order are copies of the packed bytes, whatever the layout.
void sameOrder(Step &step) { step.out.flat().copy_(step.in[0].flat()); }

void transpose(Step &step) {
  const auto perm = step.op.attrs.at("perm").get<std::vector<int64_t>>();
  const Packed &x = step.in[0];
  std::vector<int64_t> packed;
  if (x.layout == Layout::run || (x.layout == Layout::leading && perm[0] == 0)) {
    packed = perm;
  } else if (x.layout == Layout::example) {
    packed = {0};
    for (const int64_t axis : perm)
      packed.push_back(axis + 1);
  } else {
    return forEachExample(step, [&](at::Tensor &out, const std::vector<at::Tensor> &in, int64_t) { out.copy_(in[0].permute(perm)); });
  }
  step.out.tensor.copy_(x.tensor.permute(packed));
}

/// Indices start, start + step, … of an axis, as many as `count`.
struct Places {
  int64_t start, step, count;
  bool forward() const { return step > 0; }
  at::Tensor view(const at::Tensor &tensor, int64_t axis) const { return tensor.slice(axis, start, count == 0 ? start : start + step * (count - 1) + 1, step); }
  at::Tensor indices(const at::Tensor &of) const { return at::arange(count, of.options().dtype(at::kLong)) * step + start; }
};

void sliceInto(at::Tensor &out, const at::Tensor &in, int64_t axis, int64_t start, int64_t step) {
  const Places places{start, step, out.size(axis)};
  out.copy_(places.forward() ? places.view(in, axis) : in.index_select(axis, places.indices(in)));
}

void padInto(at::Tensor &out, const at::Tensor &in, int64_t axis, int64_t lo, int64_t step) {
  const Places places{lo, step, in.size(axis)};
  out.zero_();
  if (places.forward())
    places.view(out, axis).copy_(in);
  else
    out.index_copy_(axis, places.indices(in), in);
}

template <void (*into)(at::Tensor &, const at::Tensor &, int64_t, int64_t, int64_t)> void strided(Step &step, const char *attribute) {
  const Dim start = dimOf(step.op.attrs.at(attribute));
  const int64_t stride = step.op.attrs.value("step", int64_t{1});
  const auto axis = packedAxis(step.in[0], step.axis());
  if (axis && step.in[0].layout == step.out.layout && !start.ragged())
    return into(step.out.tensor, step.in[0].tensor, *axis, start.c, stride);
  const Lengths &lengths = step.context.size.lengths;
  forEachExample(step, [&](at::Tensor &out, const std::vector<at::Tensor> &in, int64_t example) { into(out, in[0], step.axis(), start.at(lengths, example), stride); });
}

void slice(Step &step) { strided<sliceInto>(step, "start"); }
void pad(Step &step) { strided<padInto>(step, "lo"); }

void rollInto(at::Tensor &out, const at::Tensor &in, int64_t axis, int64_t by) {
  const int64_t length = in.size(axis), from = length == 0 ? 0 : ((by % length) + length) % length;
  out.narrow(axis, 0, length - from).copy_(in.narrow(axis, from, length - from));
  out.narrow(axis, length - from, from).copy_(in.narrow(axis, 0, from));
}

void repeatInto(at::Tensor &out, const at::Tensor &in, int64_t axis, int64_t times) {
  std::vector<int64_t> parts(out.sizes().begin(), out.sizes().end());
  parts[static_cast<size_t>(axis)] = in.size(axis);
  parts.insert(parts.begin() + axis + 1, times);
  out.view(parts).copy_(in.unsqueeze(axis + 1).expand(parts));
}

/// One call for the packed batch where the axis lies whole in it, else one an example.
template <void (*into)(at::Tensor &, const at::Tensor &, int64_t, int64_t)> void alongAxis(Step &step, const char *attribute) {
  const int64_t by = step.op.attrs.at(attribute).get<int64_t>();
  const auto axis = packedAxis(step.in[0], step.axis());
  if (axis && step.in[0].layout == step.out.layout)
    return into(step.out.tensor, step.in[0].tensor, *axis, by);
  forEachExample(step, [&](at::Tensor &out, const std::vector<at::Tensor> &in, int64_t) { into(out, in[0], step.axis(), by); });
}

void roll(Step &step) { alongAxis<rollInto>(step, "by"); }
void repeat(Step &step) { alongAxis<repeatInto>(step, "times"); }

void concatInto(at::Tensor &out, const std::vector<at::Tensor> &in, int64_t axis, int64_t axisFromEnd) {
  int64_t begin = 0;
  for (const at::Tensor &part : in) {
    const int64_t length = part.size(part.dim() - axisFromEnd);
    out.narrow(axis, begin, length).copy_(part);
    begin += length;
  }
}

void concat(Step &step) {
  const int64_t fromEnd = static_cast<int64_t>(step.out.type->dims.size()) - step.axis();
  const auto axis = packedAxis(step.out, step.axis());
  bool whole = axis.has_value();
  std::vector<at::Tensor> parts;
  for (const Packed &operand : step.in) {
    whole = whole && (operand.layout == step.out.layout || operand.layout == Layout::run);
    parts.push_back(operand.tensor);
  }
  if (whole)
    return concatInto(step.out.tensor, parts, *axis, fromEnd);
  forEachExample(step, [&](at::Tensor &out, const std::vector<at::Tensor> &in, int64_t) { concatInto(out, in, step.axis(), fromEnd); });
}

/// In place where the result is the operand's memory.
void putLast(Step &step) {
  const bool inPlace = step.out.tensor.data_ptr() == step.in[0].tensor.data_ptr();
  forEachExample(step, [&](at::Tensor &out, const std::vector<at::Tensor> &in, int64_t) {
    if (!inPlace)
      out.copy_(in[0]);
    const int64_t entries = in[1].size(step.axis());
    out.narrow(step.axis(), out.size(step.axis()) - entries, entries).copy_(in[1]);
  });
}

/// [rows, siblings, …] of what [rows × siblings, …] holds.
at::Tensor byRow(const at::Tensor &packed, const Step &step) {
  const int64_t siblings = step.op.attrs.at("siblings").get<int64_t>();
  if (packed.size(0) % siblings != 0)
    failBundle(where(step) + ": a batch of " + std::to_string(packed.size(0)) + " examples has no rows of " + std::to_string(siblings));
  std::vector<int64_t> shape = packed.sizes().vec();
  shape[0] /= siblings;
  shape.insert(shape.begin() + 1, siblings);
  return packed.view(shape);
}

void siblings(Step &step) {
  const at::Tensor out = byRow(step.out.tensor, step);
  out.copy_(byRow(step.in[0].tensor, step).unsqueeze(1).expand(out.sizes()));
}

void sumSiblings(Step &step) { byRow(step.out.tensor, step).copy_(byRow(step.in[0].tensor, step).sum(1)); }

} // namespace

Handlers layoutSteps() {
  return {{"transpose", transpose}, {"split", sameOrder}, {"merge", sameOrder}, {"expand_dims", sameOrder}, {"squeeze", sameOrder}, {"stop_grad", sameOrder},
          {"slice", slice}, {"pad", pad}, {"roll", roll}, {"repeat", repeat}, {"concat", concat}, {"put_last", putLast},
          {"siblings", siblings}, {"sum_siblings", sumSiblings}};
}

} // namespace peftrt::plan
