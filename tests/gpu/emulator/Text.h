// Text: PTX as it is written: variables, kernels and their statements, nothing decided yet.
//
// In    a module's text
// Out   a `Text`
// Errs  Fault with the line: a form that is outside the subset
#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace emulator {

enum class Space { generic, global, shared, local, param, constant };

/// A variable or a parameter: `.shared .align 4 .b8 name[128]`.
struct Variable {
  std::string name;
  Space space = Space::global;
  uint64_t align = 1, size = 0;
  std::string bytes{}; ///< what it starts as; empty: nothing is said
};

struct Operand {
  enum class Kind { name, number, address, vector, pair };
  Kind kind = Kind::name;
  std::string name{};             ///< of a register, a variable or a label; of an address's base ("" where it is a number)
  uint64_t number = 0;            ///< the bits; what is added to an address's base
  bool negated = false;           ///< !%p
  std::vector<Operand> parts{};   ///< of {a, b}; of a|b
};

struct Statement {
  int line = 0;
  std::string guard{}; ///< the predicate of @%p, or ""
  bool unless = false; ///< @!%p
  std::string opcode{};
  std::vector<Operand> operands{};
};

/// `.reg .b32 %r<140>`: names %r0 … %r139; with count 0 the name itself.
struct Registers {
  std::string type, name;
  uint64_t count = 0;
};

struct Kernel {
  std::string name;
  int line = 0;
  std::vector<Variable> parameters{}, variables{};
  std::vector<Registers> registers{};
  std::vector<Statement> statements{};
  std::map<std::string, size_t> labels{}; ///< name → the statement that follows
  std::map<std::string, std::vector<std::string>> tables{}; ///< of brx.idx: name → labels
};

struct Text {
  std::string version, target;
  std::vector<Variable> variables{};
  std::vector<Kernel> kernels{};
};

Text parse(const std::string &source);

} // namespace emulator
