// Rooms: see the header.
#include "runtime/plan/Rooms.h"
#include "runtime/bundle/Errors.h"
#include "runtime/plan/PlannedMemory.h"
#include <algorithm>
#include <set>

namespace peftrt::plan {
namespace {

bool grows(const Extent &extent) { return extent.e != 0 || extent.t != 0; }
bool sumsOverRows(const ProductStep *product) { return product && grows(product->depth); }

/// Whether it has room: what was given, as an input was, has none.
bool hasSlot(const PlanProgram &plan, int64_t value) { return plan.places[rootOf(plan, value)].slot >= 0; }

bool canHaveRoom(const Op &op, const PlanProgram &plan, const ProductStep &step) {
  if (grows(step.columns) || (grows(step.rows) && (step.aTurned || grows(step.depth))) || (grows(step.depth) && (!step.aTurned || step.bTurned)))
    return false; // rows that are no rows in memory
  const int64_t a = op.in[step.a], b = op.in[step.b];
  return (!grows(step.rows) || (hasSlot(plan, a) && hasSlot(plan, op.out[0]))) && (!grows(step.depth) || (hasSlot(plan, a) && hasSlot(plan, b)));
}

/// Whose memory it is, if that is all of it: a value's of another name is the value's.
int64_t wholeOf(const PlanProgram &plan, int64_t value) {
  while (plan.places[value].alias >= 0 && plan.places[value].pitch == 0)
    value = plan.places[value].alias;
  return value;
}

} // namespace

bool canHaveRoom(const PlanProgram &plan) {
  const std::vector<Value> &values = plan.body.values;
  return !plan.body.flat && !plan.streamed && std::all_of(values.begin(), values.end(), [](const Value &value) { return std::all_of(value.dims.begin(), value.dims.end(), [](const Dim &dim) { return dim.c >= 0 && dim.k >= 0; }); });
}

bool canHaveRoom(const Op &op, const PlanProgram &plan, const ProductsOfStep &products) {
  if (!products.product || !canHaveRoom(op, plan, *products.product) || (products.branch && (!canHaveRoom(op, plan, *products.branch) || sumsOverRows(products.branch))))
    return false;
  const auto sum = addendOf(op);
  return !sum || !grows(products.product->rows) || hasSlot(plan, *sum);
}

std::vector<std::vector<Factor>> clearingsOf(const PlanProgram &plan, const std::vector<ProductsOfStep> &products) {
  const std::vector<Op> &ops = plan.body.ops;
  std::vector<size_t> made(plan.places.size(), 0);
  std::vector<Factor> factors; // in the order in which they are read
  std::set<int64_t> seen;
  const auto valueOf = [&](const Factor &factor) { return ops[factor.step].in[factor.isB ? products[factor.step].product->b : products[factor.step].product->a]; };
  for (size_t step = 0; step < ops.size(); ++step) {
    for (const int64_t result : ops[step].out)
      made[result] = step;
    for (const bool isB : {false, true})
      if (sumsOverRows(products[step].product) && seen.insert(wholeOf(plan, valueOf({step, isB}))).second)
        factors.push_back({step, isB});
  }
  std::vector<std::vector<Factor>> clearings(ops.size());
  while (!factors.empty()) { // with the first one, what is there already and read later: nothing else is written where it lies until then
    const size_t first = factors[0].step;
    const auto later = std::stable_partition(factors.begin(), factors.end(), [&](const Factor &factor) { return made[valueOf(factor)] < first; });
    clearings[first].assign(factors.begin(), later);
    factors.erase(factors.begin(), later);
  }
  return clearings;
}

Move clearingOf(const products::Call &call, const Factor &factor, int64_t depth) {
  if (call.depth < depth)
    failBundle("a product over " + std::to_string(depth) + " rows has room for " + std::to_string(call.depth));
  const bool isBf16 = factor.isB ? call.bIsBf16 : call.aIsBf16;
  const int64_t width = isBf16 ? 2 : 4, pitch = (factor.isB ? call.bDepth : call.aDepth) * width, columns = factor.isB ? call.columns : call.rows;
  const auto *begin = static_cast<const char *>(factor.isB ? call.b : call.a) + depth * pitch;
  return {const_cast<char *>(begin), nullptr, call.depth - depth, columns * width, pitch, 0};
}

} // namespace peftrt::plan
