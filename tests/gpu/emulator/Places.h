// Places: which slot of a thread's registers an operand is: registers first, then constants and what a thread knows of its place in the grid. Of windows (shared,
// local, parameters) where each variable lies.
#pragma once
#include "tests/gpu/emulator/Program.h"

namespace emulator {

struct Place {
  uint32_t slot = kNone;
  bool isRegister = false;
};

class Places {
public:
  Places(const Kernel &kernel, const std::vector<Variable> &moduleVariables, const std::map<std::string, uint64_t> &addresses);
  uint32_t registerSlot(const std::string &name) const;
  /// Of a register, a number, a variable (its address) or a special register.
  Place of(const Operand &operand);
  void giveTo(Program &program) const;

private:
  uint32_t constant(uint64_t bits);
  void lay(const Variable &variable, uint64_t &bytes);

  std::map<std::string, uint32_t> registers_;
  std::map<std::string, uint64_t> addresses_;
  std::map<uint64_t, uint32_t> constants_;
  std::map<std::string, uint32_t> specials_;
  Program own_; ///< the parts of a program that are made here
};

} // namespace emulator
