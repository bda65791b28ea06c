// Block: the threads of one block, their turns, their barriers, and the order in time that barriers make.
//
// Each thread has a clock that grows with every barrier it goes through. `known(a, b)` is the last clock of thread b whose doings are over for thread a: a barrier
// of all tells every thread everything before it; one of some threads or of a warp tells those what any of them knew.
#pragma once
#include "tests/gpu/emulator/Grid.h"

namespace emulator {

class Block final : public Order {
public:
  Block(Memory &memory, const Program &program, const Launch &launch, Buffer &parameters, uint64_t number, uint32_t clock);
  /// Until all threads have ended.
  void run(Statistics &statistics);
  bool isBefore(uint32_t thread, uint32_t clock) const override;
  /// Greater than every thread's clock.
  uint32_t lastClock() const;

  Buffer &window(uint64_t number, const Thread &thread) const;
  Memory &memory;

private:
  uint64_t turn(Thread &thread, uint64_t most);
  void look(const Thread &thread, const Instruction &instruction);
  /// Lets threads go on whose barrier or warp is complete; whether there were any.
  bool release(Statistics &statistics);
  bool releaseBarrier(uint32_t barrier);
  bool releaseWarp(uint32_t warp);
  void meet(const std::vector<Thread *> &threads);
  void start(Thread &thread, const Launch &launch);
  [[noreturn]] void failAt(const Thread &thread, const std::string &what) const;
  [[noreturn]] void failStuck() const;
  std::string nameOf(const Thread &thread) const;
  const Instruction &instructionOf(const Thread &thread) const { return program_.code[thread.at - 1]; }

  const Program &program_;
  Size3 size_;
  uint64_t number_, first_; ///< of the block; of its first thread in the grid
  Size3 place_;
  uint32_t clockAtStart_, turn_;
  uint64_t most_; ///< instructions
  Buffer &parameters_;
  std::unique_ptr<Buffer> shared_;
  std::vector<std::unique_ptr<Buffer>> local_;
  std::vector<uint64_t> registers_;
  std::vector<Thread> threads_;
  std::vector<uint32_t> knownByAll_;            ///< by thread
  std::vector<std::vector<uint32_t>> knownBy_;  ///< by thread, where barriers of some made a difference; else empty
  uint64_t arrivals_ = 0;                       ///< at barriers so far
  mutable const Thread *asks_ = nullptr;        ///< whose turn it is
};

} // namespace emulator
