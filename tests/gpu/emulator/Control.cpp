// Control: branches, ends, barriers and fences of Instructions.h.
#include "tests/gpu/emulator/Fault.h"
#include "tests/gpu/emulator/Instructions.h"

namespace emulator {
namespace {

void branch(Thread &thread, const Instruction &i) { thread.at = i.number; }

void branchByIndex(Thread &thread, const Instruction &i) {
  const std::vector<uint64_t> &table = thread.program->tables[i.number];
  const uint32_t index = get<uint32_t>(thread, i, 0);
  if (index >= table.size())
    throw Fault("index " + std::to_string(index) + " of a table of " + std::to_string(table.size()) + " labels");
  thread.at = table[index];
}

void end(Thread &thread, const Instruction &) { thread.state = Thread::State::ended; }

void trap(Thread &, const Instruction &) { throw Fault("trap"); }

/// bar.sync a: all threads of the block; a, b (`counted`): b threads. The block (Grid.cpp) lets them go on.
template <bool counted> void wait(Thread &thread, const Instruction &i) {
  thread.barrier = get<uint32_t>(thread, i, 0);
  thread.expected = counted ? get<uint32_t>(thread, i, 1) : 0;
  if (thread.barrier >= 16 || (counted && (thread.expected == 0 || thread.expected % 32)))
    throw Fault("there are barriers 0 to 15, for a multiple of 32 threads, not barrier " + std::to_string(thread.barrier) + " for " + std::to_string(thread.expected));
  thread.state = Thread::State::atBarrier;
}

void nothing(Thread &, const Instruction &) {}

} // namespace

void addControl(Forms &forms) {
  forms["bra"] = forms["bra.uni"] = {branch, "l"};
  forms["brx.idx"] = forms["brx.idx.uni"] = {branchByIndex, "st"};
  forms["ret"] = forms["ret.uni"] = forms["exit"] = {end, ""};
  forms["trap"] = {trap, ""};
  for (const char *name : {"bar.sync", "bar.cta.sync", "barrier.sync", "barrier.sync.aligned", "barrier.cta.sync", "barrier.cta.sync.aligned"})
    forms[name] = {wait<false>, "s"}, forms[std::string(name) + ",2"] = {wait<true>, "ss"};
  // Accesses come to memory one after the other; what a fence alone would order is not known to the search for races (README.md).
  for (const char *name : {"membar.cta", "membar.gl", "membar.sys", "fence.acq_rel.cta", "fence.acq_rel.gpu", "fence.sc.cta", "fence.sc.gpu"})
    forms[name] = {nothing, ""};
}

} // namespace emulator
