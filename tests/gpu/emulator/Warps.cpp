// Warps: what the lanes of a warp do together, of Instructions.h (9.7.9 and 9.7.13 of the manual): each waits until all of its mask are at the same instruction.
#include "tests/gpu/emulator/Fault.h"
#include "tests/gpu/emulator/Instructions.h"
#include <algorithm>
#include <bit>

namespace emulator {
namespace {

using Lanes = std::array<Thread *, 32>;

/// Waits for the lanes of the mask, which is the last operand.
template <int operand> void gather(Thread &thread, const Instruction &i) {
  thread.mask = get<uint32_t>(thread, i, operand);
  if (!(thread.mask >> thread.index % 32 & 1))
    throw Fault("the mask of lanes lacks the lane itself");
  thread.state = Thread::State::atWarp;
}

enum class Shuffle { up, down, butterfly, index };

/// d|p, a, b, c, mask; without p (`hasPredicate`) d, a, b, c, mask. A source lane outside the mask is undefined by the manual: a Fault.
template <Shuffle how, bool hasPredicate> void shuffle(const Lanes &lanes, const Instruction &i) {
  constexpr int a = hasPredicate ? 2 : 1;
  std::array<uint32_t, 32> values{}, sources{};
  std::array<bool, 32> inRange{};
  for (int lane = 0; lane < 32; ++lane) {
    if (!lanes[lane])
      continue;
    values[lane] = get<uint32_t>(*lanes[lane], i, a);
    const uint32_t b = get<uint32_t>(*lanes[lane], i, a + 1) & 0x1f, c = get<uint32_t>(*lanes[lane], i, a + 2), clamp = c & 0x1f, segment = c >> 8 & 0x1f;
    const int32_t most = static_cast<int32_t>((lane & segment) | (clamp & ~segment)), least = lane & static_cast<int32_t>(segment);
    int32_t source = 0;
    switch (how) {
    case Shuffle::up: source = lane - static_cast<int32_t>(b), inRange[lane] = source >= most; break;
    case Shuffle::down: source = lane + static_cast<int32_t>(b), inRange[lane] = source <= most; break;
    case Shuffle::butterfly: source = lane ^ static_cast<int32_t>(b), inRange[lane] = source <= most; break;
    case Shuffle::index: source = least | static_cast<int32_t>(b & ~segment), inRange[lane] = source <= most; break;
    }
    sources[lane] = inRange[lane] ? source : lane;
  }
  for (int lane = 0; lane < 32; ++lane) {
    if (!lanes[lane])
      continue;
    if (!lanes[sources[lane]])
      throw Fault("lane " + std::to_string(lane) + " takes from lane " + std::to_string(sources[lane]) + ", which the mask lacks");
    if (lanes[lane]->r && i.slots[0] != kNone)
      set<uint32_t>(*lanes[lane], i, 0, values[sources[lane]]);
    if (hasPredicate)
      set<bool>(*lanes[lane], i, 1, inRange[lane]);
  }
}

/// Lanes whose predicate holds, and all lanes there are, as masks.
std::pair<uint32_t, uint32_t> ballot(const Lanes &lanes, const Instruction &i) {
  uint32_t holds = 0, all = 0;
  for (int lane = 0; lane < 32; ++lane)
    if (lanes[lane]) {
      all |= 1u << lane;
      holds |= uint32_t{get<bool>(*lanes[lane], i, 1) != i.negated} << lane;
    }
  return {holds, all};
}

template <class T, auto F> void vote(const Lanes &lanes, const Instruction &i) {
  const auto [holds, all] = ballot(lanes, i);
  for (Thread *thread : lanes)
    if (thread)
      set<T>(*thread, i, 0, F(holds, all));
}

template <class T, auto F> void reduce(const Lanes &lanes, const Instruction &i) {
  T result{};
  bool first = true;
  for (Thread *thread : lanes)
    if (thread) {
      const T own = get<T>(*thread, i, 1);
      result = first ? own : F(result, own);
      first = false;
    }
  for (Thread *thread : lanes)
    if (thread)
      set<T>(*thread, i, 0, result);
}

template <class T> void matchAny(const Lanes &lanes, const Instruction &i) {
  for (Thread *thread : lanes) {
    uint32_t equal = 0;
    for (int lane = 0; thread && lane < 32; ++lane)
      if (lanes[lane] && get<T>(*lanes[lane], i, 1) == get<T>(*thread, i, 1))
        equal |= 1u << lane;
    if (thread)
      set<uint32_t>(*thread, i, 0, equal);
  }
}

void onlyMeet(const Lanes &, const Instruction &) {} // Grid.cpp orders what they did

/// Which lanes run is the machine's choice; that no other does is one of its answers.
void activeMask(Thread &thread, const Instruction &i) { set<uint32_t>(thread, i, 0, 1u << thread.index % 32); }

template <Shuffle how> void addShuffle(Forms &forms, const std::string &name) {
  forms["shfl.sync." + name + ".b32"] = {gather<4>, "dssss", shuffle<how, false>};
  forms["shfl.sync." + name + ".b32|"] = {gather<5>, "Dssss", shuffle<how, true>};
}

template <class T, auto F> void addReduction(Forms &forms, const std::string &name) { forms["redux.sync." + name] = {gather<2>, "dss", reduce<T, F>}; }

} // namespace

void addWarps(Forms &forms) {
  addShuffle<Shuffle::up>(forms, "up"), addShuffle<Shuffle::down>(forms, "down"), addShuffle<Shuffle::butterfly>(forms, "bfly"), addShuffle<Shuffle::index>(forms, "idx");
  forms["vote.sync.all.pred"] = {gather<2>, "dps", vote<bool, [](uint32_t holds, uint32_t all) { return holds == all; }>};
  forms["vote.sync.any.pred"] = {gather<2>, "dps", vote<bool, [](uint32_t holds, uint32_t) { return holds != 0; }>};
  forms["vote.sync.uni.pred"] = {gather<2>, "dps", vote<bool, [](uint32_t holds, uint32_t all) { return holds == 0 || holds == all; }>};
  forms["vote.sync.ballot.b32"] = {gather<2>, "dps", vote<uint32_t, [](uint32_t holds, uint32_t) { return holds; }>};
  forms["match.any.sync.b32"] = {gather<2>, "dss", matchAny<uint32_t>};
  forms["match.any.sync.b64"] = {gather<2>, "dss", matchAny<uint64_t>};
  forms["activemask.b32"] = {activeMask, "d"};
  forms["bar.warp.sync"] = {gather<0>, "s", onlyMeet};
  addReduction<uint32_t, [](uint32_t a, uint32_t b) { return a + b; }>(forms, "add.u32");
  addReduction<uint32_t, [](uint32_t a, uint32_t b) { return a + b; }>(forms, "add.s32");
  addReduction<uint32_t, [](uint32_t a, uint32_t b) { return std::min(a, b); }>(forms, "min.u32");
  addReduction<uint32_t, [](uint32_t a, uint32_t b) { return std::max(a, b); }>(forms, "max.u32");
  addReduction<int32_t, [](int32_t a, int32_t b) { return std::min(a, b); }>(forms, "min.s32");
  addReduction<int32_t, [](int32_t a, int32_t b) { return std::max(a, b); }>(forms, "max.s32");
  addReduction<uint32_t, [](uint32_t a, uint32_t b) { return a & b; }>(forms, "and.b32");
  addReduction<uint32_t, [](uint32_t a, uint32_t b) { return a | b; }>(forms, "or.b32");
  addReduction<uint32_t, [](uint32_t a, uint32_t b) { return a ^ b; }>(forms, "xor.b32");
}

} // namespace emulator
