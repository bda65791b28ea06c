// Block: see the header.
#include "tests/gpu/emulator/Block.h"
#include "tests/gpu/emulator/Fault.h"
#include <algorithm>
#include <map>

namespace emulator {
namespace {

Size3 placeOf(uint64_t index, Size3 size) { return {static_cast<uint32_t>(index % size.x), static_cast<uint32_t>(index / size.x % size.y), static_cast<uint32_t>(index / size.x / size.y)}; }

std::string shown(Size3 place, Size3 size) {
  const std::string x = std::to_string(place.x);
  return size.y == 1 && size.z == 1 ? x : "(" + x + ", " + std::to_string(place.y) + ", " + std::to_string(place.z) + ")";
}

} // namespace

Block::Block(Memory &memory, const Program &program, const Launch &launch, Buffer &parameters, uint64_t number, uint32_t clock)
    : memory(memory), program_(program), size_(launch.block), number_(number), first_(number * launch.block.all()), place_(placeOf(number, launch.grid)), clockAtStart_(clock), turn_(launch.turn),
      most_(launch.most), parameters_(parameters) {
  const uint64_t count = size_.all();
  shared_ = std::make_unique<Buffer>("shared memory of the block", program.sharedBytes + launch.sharedBytes, false, true);
  registers_.resize(count * program.start.size());
  threads_.resize(count);
  knownByAll_.assign(count, clock - 1);
  for (uint64_t index = 0; index < count; ++index) {
    Thread &thread = threads_[index];
    thread.index = static_cast<uint32_t>(index);
    start(thread, launch);
    if (program.localBytes)
      local_.push_back(std::make_unique<Buffer>("local memory of the thread", program.localBytes, false, true));
  }
}

void Block::start(Thread &thread, const Launch &launch) {
  thread.r = registers_.data() + thread.index * program_.start.size();
  std::copy(program_.start.begin(), program_.start.end(), thread.r);
  thread.block = this, thread.program = &program_;
  thread.actor = {static_cast<uint32_t>(first_ + thread.index), clockAtStart_, 0};
  thread.given.assign(program_.names.size(), false);
  const Size3 own = placeOf(thread.index, size_);
  const uint32_t lane = thread.index % 32;
  for (const auto &[slot, special] : program_.specials) {
    const uint32_t values[] = {own.x, own.y, own.z, size_.x, size_.y, size_.z, place_.x, place_.y, place_.z, launch.grid.x, launch.grid.y, launch.grid.z, lane, thread.index / 32,
                               (1u << lane) - 1, (2u << lane) - 1, 1u << lane, ~((1u << lane) - 1), ~((2u << lane) - 1)};
    thread.r[slot] = values[static_cast<int>(special)];
  }
}

std::string Block::nameOf(const Thread &thread) const { return "block " + shown(place_, {1, place_.y + 1, place_.z + 1}) + " thread " + shown(placeOf(thread.index, size_), size_); }

void Block::failAt(const Thread &thread, const std::string &what) const {
  const Instruction &instruction = instructionOf(thread);
  throw Fault(program_.name + ", line " + std::to_string(instruction.line) + " of the PTX, " + nameOf(thread) + ", `" + program_.opcodes[instruction.statement] + "`: " + what);
}

Buffer &Block::window(uint64_t number, const Thread &thread) const {
  switch (number) {
  case kSharedWindow:
    return *shared_;
  case kLocalWindow:
    if (local_.empty())
      throw Fault("the kernel has no local memory");
    return *local_[thread.index];
  case kParamWindow:
    return parameters_;
  default:
    throw Fault("an address in no memory: " + std::to_string(number));
  }
}

bool Block::isBefore(uint32_t thread, uint32_t clock) const {
  if (clock < clockAtStart_)
    return true; // of an earlier launch
  if (thread < first_ || thread >= first_ + threads_.size())
    return false;
  const uint64_t other = thread - first_;
  return clock <= (knownBy_.empty() ? knownByAll_[other] : knownBy_[asks_->index][other]);
}

uint32_t Block::lastClock() const {
  uint32_t last = clockAtStart_;
  for (const Thread &thread : threads_)
    last = std::max(last, thread.actor.clock);
  return last;
}

void Block::look(const Thread &thread, const Instruction &instruction) {
  for (const uint32_t slot : program_.uses[&instruction - program_.code.data()].needs)
    if (program_.doubtful[slot] && !thread.given[slot])
      throw Fault("uninitialised: register `" + program_.names[slot] + "` has no value yet");
}

uint64_t Block::turn(Thread &thread, uint64_t most) {
  const Instruction *code = program_.code.data();
  uint64_t done = 0;
  asks_ = &thread;
  try {
    while (done < most && thread.state == Thread::State::runs) {
      const Instruction &instruction = code[thread.at++];
      ++done;
      if (instruction.looks) [[unlikely]]
        look(thread, instruction);
      if (instruction.guard != kNone && (thread.r[instruction.guard] & 1) == instruction.unless)
        continue;
      instruction.run(thread, instruction);
      if (instruction.looks) [[unlikely]]
        for (const uint32_t slot : program_.uses[&instruction - code].gives)
          thread.given[slot] = true;
    }
  } catch (const Fault &fault) {
    failAt(thread, fault.what());
  }
  if (thread.state == Thread::State::atBarrier)
    thread.arrival = ++arrivals_;
  return done;
}

void Block::run(Statistics &statistics) {
  uint64_t instructions = 0;
  for (bool isAlive = true; isAlive;) {
    uint64_t done = 0;
    isAlive = false;
    for (Thread &thread : threads_) {
      if (thread.state == Thread::State::runs)
        done += turn(thread, turn_);
      isAlive |= thread.state != Thread::State::ended;
    }
    instructions += done;
    statistics.instructions += done;
    if (instructions > most_)
      throw Fault(program_.name + ": more instructions than a launch may have: a loop without an end?");
    if (!isAlive)
      return;
    if (!release(statistics) && done == 0)
      failStuck();
  }
}

bool Block::release(Statistics &statistics) {
  bool any = false;
  for (uint32_t warp = 0; warp * 32 < threads_.size(); ++warp)
    any |= releaseWarp(warp);
  std::vector<bool> seen(16, false);
  for (size_t index = 0; index < threads_.size(); ++index) {
    const Thread &thread = threads_[index];
    if (thread.state != Thread::State::atBarrier || seen[thread.barrier])
      continue;
    seen[thread.barrier] = true;
    const bool complete = releaseBarrier(thread.barrier);
    statistics.barriers += complete;
    any |= complete;
  }
  return any;
}

/// What every thread of a barrier did before it is over for each of them behind it.
void Block::meet(const std::vector<Thread *> &threads) {
  if (threads.size() == threads_.size()) {
    knownBy_.clear();
    for (Thread *thread : threads)
      knownByAll_[thread->index] = thread->actor.clock++;
    return;
  }
  if (knownBy_.empty())
    knownBy_.assign(threads_.size(), knownByAll_);
  std::vector<uint32_t> joined = knownByAll_;
  for (const Thread *thread : threads)
    for (size_t other = 0; other < joined.size(); ++other)
      joined[other] = std::max(joined[other], knownBy_[thread->index][other]);
  for (Thread *thread : threads)
    joined[thread->index] = thread->actor.clock++;
  for (const Thread *thread : threads)
    knownBy_[thread->index] = joined;
}

bool Block::releaseBarrier(uint32_t barrier) {
  std::vector<Thread *> waiting;
  for (Thread &thread : threads_)
    if (thread.state == Thread::State::atBarrier && thread.barrier == barrier)
      waiting.push_back(&thread);
  const auto wanted = [&](const Thread &thread) { return thread.expected ? thread.expected : threads_.size(); };
  for (const Thread *thread : waiting) {
    if (wanted(*thread) != wanted(*waiting[0]))
      failAt(*thread, "barrier " + std::to_string(barrier) + " is for " + std::to_string(wanted(*thread)) + " threads here, and for " + std::to_string(wanted(*waiting[0])) + " in line " +
                          std::to_string(instructionOf(*waiting[0]).line));
    const Thread &neighbour = threads_[thread->index / 32 * 32];
    if (neighbour.state == Thread::State::atBarrier && neighbour.at != thread->at)
      failAt(*thread, "a divergent barrier: " + nameOf(neighbour) + " of the same warp waits in line " + std::to_string(instructionOf(neighbour).line));
  }
  if (waiting.size() < wanted(*waiting[0]))
    return false;
  std::stable_sort(waiting.begin(), waiting.end(), [](const Thread *left, const Thread *right) { return left->arrival < right->arrival; });
  waiting.resize(wanted(*waiting[0])); // those who came first: more may be there, for the next time
  meet(waiting);
  for (Thread *thread : waiting)
    thread->state = Thread::State::runs;
  return true;
}

bool Block::releaseWarp(uint32_t warp) {
  bool any = false;
  const size_t begin = warp * 32, end = std::min<size_t>(begin + 32, threads_.size());
  for (size_t index = begin; index < end; ++index) {
    const Thread &first = threads_[index];
    if (first.state != Thread::State::atWarp)
      continue;
    std::array<Thread *, 32> lanes{};
    std::vector<Thread *> members;
    bool complete = true;
    for (size_t lane = 0; lane < 32; ++lane) {
      if (!(first.mask >> lane & 1) || begin + lane >= end || threads_[begin + lane].state == Thread::State::ended)
        continue; // the manual waits for those that have not ended
      Thread &other = threads_[begin + lane];
      complete &= other.state == Thread::State::atWarp && other.at == first.at && other.mask == first.mask;
      members.push_back(lanes[lane] = &other);
    }
    if (!complete)
      continue;
    asks_ = &first;
    try {
      instructionOf(first).together(lanes, instructionOf(first));
    } catch (const Fault &fault) {
      failAt(first, fault.what());
    }
    if (program_.opcodes[instructionOf(first).statement] == "bar.warp.sync")
      meet(members);
    for (Thread *thread : members)
      thread->state = Thread::State::runs;
    any = true;
  }
  return any;
}

/// Nobody can go on: who waits where.
void Block::failStuck() const {
  std::map<uint64_t, std::pair<size_t, const Thread *>> waiting;
  size_t ended = 0;
  for (const Thread &thread : threads_) {
    if (thread.state == Thread::State::ended) {
      ++ended;
      continue;
    }
    auto &[count, first] = waiting[thread.at];
    first = count++ ? first : &thread;
  }
  std::string places;
  for (const auto &[at, group] : waiting)
    places += (places.empty() ? "" : ", ") + std::to_string(group.first) + " in line " + std::to_string(instructionOf(*group.second).line);
  failAt(*waiting.begin()->second.second, "deadlock: of " + std::to_string(threads_.size()) + " threads wait " + places + "; " + std::to_string(ended) + " have ended");
}

char *reach(Thread &thread, const Instruction &instruction, uint64_t address, uint64_t bytes, Touch how) {
  thread.actor.line = instruction.line;
  const auto inWindow = [&](uint64_t window) {
    if (address >> kBufferBits)
      throw Fault("an address of another space");
    return &thread.block->window(window, thread);
  };
  Buffer *buffer = nullptr;
  bool isShared = instruction.space == Space::shared;
  switch (instruction.space) {
  case Space::shared:
    buffer = inWindow(kSharedWindow);
    break;
  case Space::local:
    buffer = inWindow(kLocalWindow);
    break;
  case Space::param:
    buffer = inWindow(kParamWindow);
    break;
  case Space::generic:
    if (const uint64_t window = address >> kBufferBits; window && window < kFirstBuffer) {
      isShared = window == kSharedWindow;
      buffer = &thread.block->window(window, thread);
      break;
    }
    [[fallthrough]];
  default:
    buffer = &thread.block->memory.bufferAt(address);
    isShared = true; // by other threads, too
  }
  const uint64_t place = address & kInside;
  char *found = buffer->at(place, bytes, bytes);
  buffer->touch(place, bytes, how, instruction.strong, thread.actor, isShared ? thread.block : nullptr);
  return found;
}

} // namespace emulator
