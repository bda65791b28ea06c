// Grid: an emulated GPU: modules are loaded, kernels run as grids of blocks of threads.
//
// Blocks run one after the other, the threads of a block in turns of some instructions each, until all have ended. A thread that waits (at a barrier, for its
// warp) is passed over; when none can go on, that is a Fault which says who waits where. That blocks could run in any order and threads in any turns shows in
// what Memory.h finds: accesses without an order are races, however they came here.
// Errs  Fault: kernel, line of the text, block and thread, instruction, and what Memory.h, Instructions.h or the barriers found
#pragma once
#include "tests/gpu/emulator/Program.h"
#include <memory>

namespace emulator {

struct Size3 {
  uint32_t x = 1, y = 1, z = 1;
  uint64_t all() const { return uint64_t{x} * y * z; }
};

struct Launch {
  Size3 grid, block;
  std::string parameters;            ///< the bytes of all, laid out as the kernel declares them
  uint64_t sharedBytes = 0;          ///< beside what the kernel declares
  uint32_t turn = 4096;              ///< instructions that a thread does before the next one's turn
  uint64_t most = uint64_t{1} << 36; ///< instructions of the whole launch; more are a loop without an end
};

struct Statistics {
  uint64_t launches = 0, instructions = 0, barriers = 0;
};

/// A module in memory. Its variables are buffers of `memory`.
class Module {
public:
  Module(Memory &memory, const std::string &source);
  /// Decoded at the first call. Errs: there is none of this name.
  const Program &kernel(const std::string &name);
  /// Bytes before and of each parameter, and of all.
  std::vector<std::pair<uint64_t, uint64_t>> parametersOf(const std::string &name) const;
  std::vector<std::string> kernels() const;
  /// The address of a variable; 0 if there is none.
  uint64_t variable(const std::string &name) const;

private:
  const Kernel *find(const std::string &name) const;
  Text text_;
  std::map<std::string, uint64_t> addresses_;
  std::map<std::string, Program> programs_;
};

/// Runs the whole grid.
void run(Memory &memory, const Program &program, const Launch &launch, Statistics &statistics);

} // namespace emulator
