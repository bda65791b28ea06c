// Turns: see the header.
#include "runtime/plan/Turns.h"
#include "runtime/plan/Bands.h"
#include "runtime/plan/PlannedMemory.h"
#include <algorithm>

namespace peftrt::plan {
namespace {

int64_t rowsOf(const Work &work, const BatchSize &size) { return work.kernel ? size.rowsOf(work.kernel->tasks) : work.product->rows.at(size); }

} // namespace

std::vector<Turn> turnsOf(const Prepared &prepared, size_t begin, size_t end, const BatchSize &room) {
  const std::vector<Op> &ops = prepared.plan.body.ops;
  std::vector<Turn> turns;
  for (size_t index = begin, next = begin; index < end; index = next) {
    const int64_t band = bandOf(ops[index]);
    next = band < 0 ? index + 1 : std::min(end, prepared.bandEnds[index]);
    if (band < 0)
      turns.push_back({index, {}});
    if (band < 0 || prepared.onThreads)
      continue;
    const auto isSomething = [&](size_t step) { return !prepared.works[step].isNothing(); };
    size_t first = index;
    while (first < next && !isSomething(first))
      ++first;
    const int64_t rows = first < next ? rowsOf(prepared.works[first], room) : 0, most = prepared.plan.bands.at(static_cast<size_t>(band));
    for (int64_t row = 0; row < rows; row += most)
      for (size_t step = first; step < next; ++step)
        if (isSomething(step))
          turns.push_back({step, RowRange{row, std::min(rows, row + most), row + most >= rows}});
  }
  return turns;
}

std::vector<KernelUse> usesOf(const Prepared &prepared, const std::vector<Turn> &turns, const std::vector<Packed> &values) {
  std::vector<KernelUse> uses;
  for (const Turn &turn : turns) {
    const std::optional<KernelStep> &kernel = prepared.works[turn.step].kernel;
    if (!kernel)
      continue;
    const Op &op = prepared.plan.body.ops[turn.step];
    KernelUse use{&*kernel, {}, turn.rows};
    for (const std::vector<int64_t> *list : {&op.in, &op.out})
      for (const int64_t value : *list)
        use.data.push_back(rowsAt(prepared.plan, value, values).origin(turn.rows ? turn.rows->first : 0, 0));
    uses.push_back(std::move(use));
  }
  return uses;
}

std::vector<products::Call> productsOf(const Prepared &prepared, const Turn &turn, const std::vector<Packed> &values, const BatchSize &size, const BatchSize &room) {
  const Work &work = prepared.works[turn.step];
  if (!work.isPlain)
    return {};
  const Op &op = prepared.plan.body.ops[turn.step];
  std::vector<products::Call> calls = plainCallsOf(op, *work.product, work.branch, values, work.hasRoom ? room : size);
  if (!turn.rows)
    return calls;
  const auto origin = [&](int64_t value) { return rowsAt(prepared.plan, value, values).origin(turn.rows->first, 0); };
  for (const ProductStep *product : {&*work.product, work.branch ? &*work.branch : nullptr}) {
    if (!product)
      continue;
    products::Call &call = calls[product == &*work.product ? 0 : 1];
    call.a = origin(op.in[product->a]), call.c = origin(op.out[0]);
    if (call.sum)
      call.sum = &call == calls.data() ? origin(*addendOf(op)) : call.c;
    takeRows(call, turn.rows->first, turn.rows->last);
  }
  std::erase_if(calls, [](const products::Call &call) { return call.rows == 0; });
  return calls;
}

} // namespace peftrt::plan
