// Prepared: see the header.
#include "runtime/plan/Prepared.h"
#include "runtime/bundle/Errors.h"
#include "runtime/plan/Bands.h"
#include "runtime/plan/Copies.h"
#include "runtime/plan/PlannedMemory.h"
#include "runtime/plan/Puts.h"
#include <algorithm>
#include <set>

namespace peftrt::plan {
namespace {

const Handlers &allHandlers() {
  static const Handlers table = [] {
    Handlers all;
    for (const Handlers &part : {sourceSteps(), elementwiseSteps(), reductionSteps(), contractSteps(), matrixSteps(), layoutSteps(), indexingSteps()})
      all.insert(part.begin(), part.end());
    return all;
  }();
  return table;
}

void verifySlots(const PlanProgram &plan, const Op &op) {
  for (const int64_t result : op.out)
    if (plan.places[result].slot < 0)
      failBundle("`" + plan.body.name + "`: a result of " + op.op + " at " + op.loc + " has no slot");
}

Work workOf(const PlanProgram &plan, size_t index, Kernels &kernels) {
  Work work;
  const Op &op = plan.body.ops[index];
  const bool updates = plan.kinds[index] == "update", attends = plan.kinds[index] == "attention";
  if (op.op == "kernel" || attends) {
    verifySlots(plan, op);
    if (attends)
      work.attention = attentionStepOf(op, plan.body);
    else
      work.kernel = kernelStepOf(op, kernels);
    return work;
  }
  const Place &place = plan.places[op.out[0]];
  if (op.op == "param" || (place.alias >= 0 && !updates))
    return work;
  if (!updates && isCopies(op, plan.body) && (op.op == "border" || place.slot >= 0)) {
    work.copies = true;
    return work;
  }
  const auto found = allHandlers().find(op.op);
  if (found == allHandlers().end())
    failBundle("there is no op `" + op.op + "` (" + op.loc + ")");
  if (!updates)
    verifySlots(plan, op);
  work.handler = found->second;
  work.product = productStepOf(op, plan.body);
  work.branch = branchStepOf(op, plan.body);
  if (hasBranch(op) && !work.branch)
    work.product.reset();
  return work;
}

/// Whether the step does its rows independently.
bool isByRows(const Work &work) {
  if (work.kernel)
    return work.kernel->space == KernelStep::Space::rows && work.kernel->example && work.kernel->tasks.k != 0;
  return work.isNothing() || (work.product && work.product->byRows && (!work.branch || work.branch->byRows));
}

/// What threads have fits, and only its band sees it. `home`: the band that makes a value.
void verifyThreads(const PlanProgram &plan, const Op &op, std::vector<int64_t> &home) {
  const int64_t band = bandOf(op);
  for (const int64_t result : op.out)
    home[result] = band;
  for (const std::vector<int64_t> *list : {&op.in, &op.out})
    for (const int64_t value : *list) {
      const int64_t bytes = threadBytesOf(plan, value);
      if (bytes && (band < 0 || home[value] != band))
        failBundle("`" + plan.body.name + "`: " + op.op + " at " + op.loc + " reads rows that threads have in another band");
      if (bytes && plan.bands[band] * rowBytesOf(plan.body.values[value]) > bytes)
        failBundle("`" + plan.body.name + "`: a thread's rows of " + op.op + " at " + op.loc + " do not fit its slot");
    }
}

/// Where each value of a streamed program is read last. What it reads is read once: a result may take its parameter's place.
std::vector<std::vector<int64_t>> unreadAfter(const PlanProgram &plan) {
  const std::vector<Op> &ops = plan.body.ops;
  std::vector<std::vector<int64_t>> unread(ops.size());
  std::set<int64_t> seen;
  std::set<std::string> parameters;
  for (size_t index = ops.size(); index-- > 0;) {
    for (const std::vector<int64_t> *list : {&ops[index].in, &ops[index].out})
      for (const int64_t value : *list)
        if (seen.insert(value).second)
          unread[index].push_back(value);
    if (ops[index].op == "param" && !parameters.insert(ops[index].attrs.at("name")).second)
      failBundle("`" + plan.body.name + "` reads the parameter `" + ops[index].attrs.at("name").get<std::string>() + "` twice");
  }
  return unread;
}

/// What a device does by itself.
void findStretches(Prepared &prepared) {
  std::vector<Part> parts;
  std::vector<ProductsOfStep> withRoom;
  for (size_t index = 0; index < prepared.works.size(); ++index) {
    Work &work = prepared.works[index];
    const Op &op = prepared.plan.body.ops[index];
    work.puts = isPut(op, prepared.plan.kinds[index], prepared.plan.body);
    work.isPlain = !work.kernel && isPlain(op, prepared.plan.body, work.product, work.branch);
    work.hasRoom = work.isPlain && canHaveRoom(op, prepared.plan, work.products());
    parts.push_back(work.isNothing() ? Part::idle : work.isAsked() ? Part::asked : Part::none);
    withRoom.push_back(work.hasRoom ? work.products() : ProductsOfStep());
  }
  if (prepared.plan.streamed) // whose steps come one by one, and whose batches are none
    return;
  prepared.hasRoom = canHaveRoom(prepared.plan);
  prepared.stretches = stretchesOf(parts);
  prepared.clearings = clearingsOf(prepared.plan, withRoom);
}

/// Where bands end. Errs R0102.
void findBands(Prepared &prepared) {
  const std::vector<Op> &ops = prepared.plan.body.ops;
  std::vector<int64_t> home(prepared.plan.places.size(), -1);
  for (size_t begin = 0, end = 0; begin < ops.size(); begin = end) {
    const int64_t band = bandOf(ops[begin]);
    for (end = begin + 1; band >= 0 && end < ops.size() && bandOf(ops[end]) == band;)
      ++end;
    bool byRows = std::all_of(prepared.works.begin() + begin, prepared.works.begin() + end, isByRows);
    for (size_t index = begin; band >= 0 && index < end; ++index)
      byRows = byRows && !(prepared.onThreads && ops[index].attrs.contains("alpha")); // threads' products know no numbers
    if (band >= 0 && (!byRows || band >= static_cast<int64_t>(prepared.plan.bands.size())))
      failBundle("`" + prepared.plan.body.name + "`: band " + std::to_string(band) + " has steps that do not their rows by themselves, or nothing says how many rows it takes");
    for (size_t index = begin; band >= 0 && index < end; ++index)
      if (prepared.works[index].kernel && prepared.plan.bands[band] % prepared.works[index].kernel->stretch != 0)
        failBundle("`" + prepared.plan.body.name + "`: threads take " + std::to_string(prepared.plan.bands[band]) + " rows through band " + std::to_string(band) + ", which ends inside a stretch that is summed");
    prepared.bandEnds.resize(end, end);
    for (size_t index = begin; index < end; ++index)
      verifyThreads(prepared.plan, ops[index], home);
  }
}

} // namespace

Prepared prepared(PlanProgram plan, Kernels &kernels, bool onThreads) {
  Prepared made{std::move(plan)};
  made.onThreads = onThreads;
  made.readings = readingsOf(made.plan);
  if (made.plan.streamed)
    made.unread = unreadAfter(made.plan);
  for (size_t index = 0; index < made.plan.body.ops.size(); ++index)
    made.works.push_back(workOf(made.plan, index, kernels));
  findBands(made);
  if (onThreads)
    return made;
  findStretches(made);
  for (size_t index = 0; index < made.works.size(); ++index)
    if (bandOf(made.plan.body.ops[index]) >= 0 && !made.works[index].isNothing() && !made.works[index].isAsked())
      failBundle("`" + made.plan.body.name + "`: the device cannot do some rows of " + made.plan.body.ops[index].op + " at " + made.plan.body.ops[index].loc);
  return made;
}

} // namespace peftrt::plan
