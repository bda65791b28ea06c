// Turns: see the header.
#include "runtime/plan/Turns.h"
#include "runtime/plan/PlannedMemory.h"
#include <algorithm>

namespace peftrt::plan {
namespace {

int64_t rowsOf(const Work &work, const BatchSize &size) {
  if (!work.kernel)
    return work.product->rows.at(size);
  const Dim &tasks = work.kernel->tasks;
  return tasks.c * size.examples() + tasks.k * size.tokens.at(static_cast<size_t>(tasks.sequence));
}

/// Where row 0 of a value would be, for who is at the rows from `first` on: where only some lie somewhere, those are the first ones there.
void *originOf(const PlanProgram &plan, int64_t value, const std::vector<Packed> &values, int64_t first) {
  auto *data = static_cast<char *>(values[value].tensor.data_ptr());
  return threadBytesOf(plan, value) ? data - first * rowBytesOf(plan.body.values[value]) : data;
}

/// The same product of some of its rows: of no more than it has.
void narrow(products::Call &call, const RowRange &rows) {
  const auto skip = [&](auto *data, int64_t row, bool isBf16) {
    using Byte = std::conditional_t<std::is_const_v<std::remove_pointer_t<decltype(data)>>, const char, char>;
    return static_cast<decltype(data)>(static_cast<Byte *>(data) + rows.first * row * (isBf16 ? 2 : 4));
  };
  call.a = skip(call.a, call.aRow, call.aIsBf16);
  call.c = skip(call.c, call.cRow, call.cIsBf16);
  if (call.sum)
    call.sum = skip(call.sum, call.cRow, call.cIsBf16);
  call.rows = std::max<int64_t>(0, std::min(rows.last, call.rows) - rows.first);
}

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
        use.data.push_back(turn.rows ? originOf(prepared.plan, value, values, turn.rows->first) : values[value].tensor.data_ptr());
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
  const auto origin = [&](int64_t value) { return originOf(prepared.plan, value, values, turn.rows->first); };
  for (const ProductStep *product : {&*work.product, work.branch ? &*work.branch : nullptr}) {
    if (!product)
      continue;
    products::Call &call = calls[product == &*work.product ? 0 : 1];
    call.a = origin(op.in[product->a]), call.c = origin(op.out[0]);
    if (call.sum)
      call.sum = &call == calls.data() ? origin(*addendOf(op)) : call.c;
    narrow(call, *turn.rows);
  }
  std::erase_if(calls, [](const products::Call &call) { return call.rows == 0; });
  return calls;
}

} // namespace peftrt::plan
