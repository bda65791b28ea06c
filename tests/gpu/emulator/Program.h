// Program: a kernel decoded once into a form that threads walk quickly, and what a thread is.
//
// In    a Kernel of a Text
// Out   a Program: instructions with a function each, operands as slots of the thread's registers, constants among them
// Errs  Fault with the kernel and the line: an instruction outside the subset, a name that nothing declares, operands of another form
#pragma once
#include "tests/gpu/emulator/Memory.h"
#include <array>

namespace emulator {

class Block;
struct Instruction;
struct Thread;

using Handler = void (*)(Thread &, const Instruction &);
/// What the lanes of a warp do together: lanes[l] is null where the mask has no l.
using Together = void (*)(const std::array<Thread *, 32> &lanes, const Instruction &);

constexpr uint32_t kNone = ~0u;

struct Instruction {
  Handler run = nullptr;
  const uint32_t *slots = nullptr; ///< of its operands, in the order of the text
  Together together = nullptr;
  uint64_t number = 0;             ///< what is added to an address; where a branch goes
  uint32_t guard = kNone;
  int line = 0;
  Space space = Space::generic;
  uint8_t count = 1;               ///< elements of a vector
  bool unless = false, strong = false, negated = false;
  bool looks = false;              ///< some register here may not have been given a value: `Uses` says which
  uint32_t statement = 0;
};

enum class Special { tidX, tidY, tidZ, ntidX, ntidY, ntidZ, ctaidX, ctaidY, ctaidZ, nctaidX, nctaidY, nctaidZ, laneid, warpid, laneMaskLt, laneMaskLe, laneMaskEq, laneMaskGe, laneMaskGt };

/// The registers that an instruction needs and gives, as slots; of constants nothing.
struct Uses {
  std::vector<uint32_t> needs, gives;
};

struct Program {
  Program() = default;
  Program(Program &&) = default; // not copied: instructions point into `operands`
  Program &operator=(Program &&) = default;

  std::string name;
  std::vector<Instruction> code;
  std::vector<uint32_t> operands;          ///< what `Instruction::slots` points into
  std::vector<std::string> opcodes;        ///< by statement
  std::vector<Uses> uses;                  ///< by instruction
  std::vector<std::vector<uint64_t>> tables; ///< of brx.idx
  std::vector<uint64_t> start;             ///< every slot's value at first: constants, zeros
  std::vector<std::pair<uint32_t, Special>> specials;
  std::vector<std::string> names;          ///< of the first slots, the registers
  std::vector<bool> doubtful;              ///< by register: some instruction may read it before it has a value
  uint64_t parameterBytes = 0, sharedBytes = 0, localBytes = 0;
};

/// `addresses`: of the module's variables.
Program decode(const Kernel &kernel, const std::vector<Variable> &moduleVariables, const std::map<std::string, uint64_t> &addresses);

struct Thread {
  enum class State { runs, ended, atBarrier, atWarp };
  uint64_t *r = nullptr;
  Block *block = nullptr;
  const Program *program = nullptr;
  uint64_t at = 0;             ///< the next instruction
  State state = State::runs;
  uint32_t mask = 0;           ///< lanes that are waited for
  uint32_t barrier = 0;        ///< number of the barrier that it is at, and
  uint32_t expected = 0;       ///< how many are to come; 0: all
  uint64_t arrival = 0;        ///< the how manieth it was to come to a barrier
  uint32_t index = 0;          ///< in the block
  Actor actor{};
  std::vector<bool> given;     ///< by slot: has a value; only of those that some instruction looks at
};

/// The bytes of an access, found, checked and noted. The place must fit the whole vector.
char *reach(Thread &thread, const Instruction &instruction, uint64_t address, uint64_t bytes, Touch how);

} // namespace emulator
