// IndexingSteps: rows of a table by number, and the transpose of that. A table of the run and indices of any layout are one
// call, for the packed indices are just more indices.
#include "runtime/bundle/Errors.h"
#include "runtime/plan/Packed.h"
#include <ATen/ATen.h>

namespace peftrt::plan {
namespace {

void gatherInto(at::Tensor out, const at::Tensor &table, const at::Tensor &indices) {
  const int64_t rows = table.size(0), count = indices.numel();
  at::Tensor view = out.view({count, count == 0 ? 0 : out.numel() / count});
  at::index_select_out(view, table.reshape({rows, rows == 0 ? 0 : table.numel() / rows}), 0, indices.reshape({count}));
}

void gather(Step &step) {
  if (step.in[0].layout == Layout::run)
    gatherInto(step.out.tensor, step.in[0].tensor, step.in[1].tensor);
  else
    forEachExample(step, [](at::Tensor &out, const std::vector<at::Tensor> &in, int64_t) { gatherInto(out, in[0], in[1]); });
}

void scatterInto(at::Tensor out, const at::Tensor &indices, const at::Tensor &updates) {
  out.zero_();
  const int64_t rows = out.size(0), count = indices.numel();
  if (count != 0 && rows != 0)
    out.view({rows, out.numel() / rows}).index_add_(0, indices.reshape({count}), updates.reshape({count, updates.numel() / count}));
}

void scatterAdd(Step &step) {
  const bool indicesOfRun = step.in[0].layout == Layout::run, updatesOfRun = step.in[1].layout == Layout::run;
  if (step.out.layout != Layout::run)
    forEachExample(step, [](at::Tensor &out, const std::vector<at::Tensor> &in, int64_t) { scatterInto(out, in[0], in[1]); });
  else if (indicesOfRun == updatesOfRun && step.overExamples() != indicesOfRun)
    scatterInto(step.out.tensor, step.in[0].tensor, step.in[1].tensor);
  else if (step.overExamples())
    sumOverExamples(step, [&](const std::vector<at::Tensor> &in, int64_t) {
      at::Tensor part = at::empty_like(step.out.tensor);
      scatterInto(part, in[0], in[1]);
      return part;
    });
  else
    failBundle(where(step) + ": a value of the run out of values of examples");
}

} // namespace

Handlers indexingSteps() { return {{"gather", gather}, {"scatter_add", scatterAdd}}; }

} // namespace peftrt::plan
