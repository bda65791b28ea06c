// Unassigned: see the header. A forward walk over basic blocks: a register is given at a point if it is on every way there; guarded instructions give nothing.
#include "tests/gpu/emulator/Unassigned.h"
#include "tests/gpu/emulator/Fault.h"
#include <algorithm>

namespace emulator {
namespace {

using Set = std::vector<bool>;

struct Part {
  size_t begin = 0, end = 0;
  std::vector<size_t> next; ///< parts
  Set given;                ///< at its begin
  bool reached = false;
};

bool isBranch(const std::string &opcode) { return opcode.compare(0, 3, "bra") == 0 || opcode.compare(0, 3, "brx") == 0; }
bool isEnd(const std::string &opcode) { return opcode.compare(0, 3, "ret") == 0 || opcode == "exit" || opcode == "trap"; }

std::vector<size_t> targetsOf(const Program &program, size_t index) {
  const Instruction &instruction = program.code[index];
  const std::string &opcode = program.opcodes[index];
  if (opcode.compare(0, 3, "brx") == 0)
    return {program.tables[instruction.number].begin(), program.tables[instruction.number].end()};
  return isBranch(opcode) ? std::vector<size_t>{instruction.number} : std::vector<size_t>{};
}

std::vector<Part> partsOf(const Program &program) {
  const size_t size = program.code.size();
  Set begins(size + 1, false);
  begins[0] = begins[size] = true;
  for (size_t index = 0; index < size; ++index) {
    for (const size_t target : targetsOf(program, index))
      begins[target] = true;
    if (isBranch(program.opcodes[index]) || isEnd(program.opcodes[index]))
      begins[index + 1] = true;
  }
  std::vector<Part> parts;
  std::vector<size_t> partAt(size, 0);
  for (size_t index = 0; index < size; ++index) {
    if (begins[index])
      parts.push_back({index, 0, {}, {}, false});
    partAt[index] = parts.size() - 1;
    parts.back().end = index + 1;
  }
  for (Part &part : parts) {
    const size_t last = part.end - 1;
    for (const size_t target : targetsOf(program, last))
      part.next.push_back(partAt[target]);
    const bool leaves = (isBranch(program.opcodes[last]) || isEnd(program.opcodes[last])) && program.code[last].guard == kNone;
    if (!leaves && part.end < size)
      part.next.push_back(partAt[part.end]);
  }
  return parts;
}

/// A register that no instruction gives a value is how LLVM says that a part of a vector is nobody's: three numbers are packed into words of two.
bool isNobodysPart(const Program &program, size_t index, uint32_t slot, const Set &givenSomewhere) {
  return program.opcodes[index].compare(0, 4, "mov.") == 0 && program.uses[index].needs.size() > 1 && !givenSomewhere[slot];
}

} // namespace

void markUnassigned(Program &program) {
  std::vector<Part> parts = partsOf(program);
  const size_t registers = program.names.size();
  parts[0].given.assign(registers, false), parts[0].reached = true;
  std::vector<size_t> open = {0};
  while (!open.empty()) {
    const Part &part = parts[open.back()];
    open.pop_back();
    Set given = part.given;
    for (size_t index = part.begin; index < part.end; ++index)
      if (program.code[index].guard == kNone)
        for (const uint32_t slot : program.uses[index].gives)
          given[slot] = true;
    for (const size_t next : part.next) {
      Set both = given;
      for (size_t slot = 0; parts[next].reached && slot < registers; ++slot)
        both[slot] = both[slot] && parts[next].given[slot];
      if (parts[next].reached && both == parts[next].given)
        continue;
      parts[next].given = std::move(both), parts[next].reached = true;
      open.push_back(next);
    }
  }
  Set &doubtful = program.doubtful;
  Set givenSomewhere(registers, false);
  for (const auto &use : program.uses)
    for (const uint32_t slot : use.gives)
      givenSomewhere[slot] = true;
  doubtful.assign(registers, false);
  for (const Part &part : parts) {
    if (!part.reached)
      continue;
    Set given = part.given;
    for (size_t index = part.begin; index < part.end; ++index) {
      for (const uint32_t slot : program.uses[index].needs)
        if (!given[slot] && !isNobodysPart(program, index, slot, givenSomewhere))
          doubtful[slot] = program.code[index].looks = true;
      if (program.code[index].guard == kNone)
        for (const uint32_t slot : program.uses[index].gives)
          given[slot] = true;
    }
  }
  for (size_t index = 0; index < program.code.size(); ++index)
    for (const uint32_t slot : program.uses[index].gives)
      if (doubtful[slot])
        program.code[index].looks = true;
}

} // namespace emulator
