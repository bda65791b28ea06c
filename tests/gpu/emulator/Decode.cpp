// Decode: Program.h's decode: names become slots, opcodes functions; and registers that may be read before they are given are found.
#include "tests/gpu/emulator/Fault.h"
#include "tests/gpu/emulator/Instructions.h"
#include "tests/gpu/emulator/Places.h"
#include "tests/gpu/emulator/Unassigned.h"
#include <algorithm>

namespace emulator {
namespace {

const Forms &forms() {
  static const Forms kForms = [] {
    Forms all;
    for (const auto add : {addIntegers, addBits, addFloats, addHalves, addConversions, addControl, addWarps, addMatrices})
      add(all);
    return all;
  }();
  return kForms;
}

bool isVector(const Operand &operand) { return operand.kind == Operand::Kind::vector || operand.kind == Operand::Kind::pair; }

class Decoder {
public:
  Decoder(const Kernel &kernel, const std::vector<Variable> &moduleVariables, const std::map<std::string, uint64_t> &addresses) : kernel_(kernel), places_(kernel, moduleVariables, addresses) {}

  Program program() {
    Program program;
    program.name = kernel_.name;
    for (const auto &[name, labels] : kernel_.tables) {
      tables_[name] = program.tables.size();
      std::vector<uint64_t> &table = program.tables.emplace_back();
      for (const std::string &label : labels)
        table.push_back(kernel_.labels.at(label));
    }
    for (const Statement &statement : kernel_.statements) {
      try {
        add(program, statement);
      } catch (const Fault &fault) {
        throw Fault(kernel_.name + ", line " + std::to_string(statement.line) + " of the PTX: " + fault.what());
      }
    }
    Instruction last; // a body's end is a return
    last.run = forms().at("ret").run;
    last.line = kernel_.statements.empty() ? kernel_.line : kernel_.statements.back().line;
    last.statement = static_cast<uint32_t>(program.opcodes.size());
    program.opcodes.push_back("ret");
    program.code.push_back(last), program.uses.emplace_back(), starts_.push_back(program.operands.size());
    for (size_t index = 0; index < program.code.size(); ++index)
      program.code[index].slots = program.operands.data() + starts_[index];
    places_.giveTo(program);
    markUnassigned(program);
    return program;
  }

private:
  Form formFor(const Statement &statement, Instruction &instruction) const {
    const std::vector<Operand> &operands = statement.operands;
    std::string key = statement.opcode;
    const bool givesVector = !operands.empty() && isVector(operands[0]);
    if (key.compare(0, 4, "mov.") == 0 && operands.size() == 2)
      key += givesVector ? "{" : isVector(operands[1]) ? "}" : "";
    else if (givesVector && operands[0].kind == Operand::Kind::pair)
      key += "|";
    else if (key.compare(0, 3, "bar") == 0 && operands.size() == 2)
      key += ",2";
    Form form;
    size_t elements = 1;
    for (const Operand &operand : operands)
      elements = std::max(elements, operand.parts.size());
    if (formAccess(key, elements, form, instruction))
      return form;
    const auto found = forms().find(key);
    if (found == forms().end())
      throw Fault("`" + statement.opcode + "` is not in the subset that is emulated");
    instruction.count = static_cast<uint8_t>(elements);
    return found->second;
  }

  void add(Program &program, const Statement &statement) {
    Instruction instruction;
    const Form form = formFor(statement, instruction);
    instruction.run = form.run, instruction.together = form.together;
    instruction.line = statement.line, instruction.unless = statement.unless;
    instruction.statement = static_cast<uint32_t>(program.opcodes.size());
    if (statement.opcode.compare(0, 8, "ldmatrix") == 0)
      instruction.space = Space::shared;
    Uses uses;
    if (!statement.guard.empty())
      uses.needs.push_back(instruction.guard = places_.registerSlot(statement.guard));
    if (form.shape.size() != statement.operands.size())
      throw Fault("`" + statement.opcode + "` has " + std::to_string(statement.operands.size()) + " operands, not " + std::to_string(form.shape.size()));
    starts_.push_back(program.operands.size());
    for (size_t index = 0; index < form.shape.size(); ++index)
      place(program.operands, uses, instruction, form.shape[index], statement.operands[index]);
    program.code.push_back(instruction);
    program.uses.push_back(std::move(uses));
    program.opcodes.push_back(statement.opcode);
  }

  void give(std::vector<uint32_t> &slots, Uses &uses, const Operand &operand) {
    if (operand.kind != Operand::Kind::name)
      throw Fault("a result needs a register");
    slots.push_back(operand.name == "_" ? kNone : places_.registerSlot(operand.name));
    if (slots.back() != kNone)
      uses.gives.push_back(slots.back());
  }

  void take(std::vector<uint32_t> &slots, Uses &uses, const Operand &operand) {
    const Place place = places_.of(operand);
    slots.push_back(place.slot);
    if (place.isRegister)
      uses.needs.push_back(place.slot);
  }

  void place(std::vector<uint32_t> &slots, Uses &uses, Instruction &instruction, char shape, const Operand &operand) {
    if (operand.negated && shape != 'p')
      throw Fault("`!` where none may stand");
    switch (shape) {
    case 'd':
      return give(slots, uses, operand);
    case 'D':
      for (const Operand &part : isVector(operand) ? operand.parts : std::vector<Operand>{operand})
        give(slots, uses, part);
      return;
    case 'p':
      instruction.negated = operand.negated;
      [[fallthrough]];
    case 's':
      return take(slots, uses, operand);
    case 'S':
      for (const Operand &part : isVector(operand) ? operand.parts : std::vector<Operand>{operand})
        take(slots, uses, part);
      return;
    case 'm':
      return address(slots, uses, instruction, operand);
    case 'l':
    case 't': {
      const auto &names = shape == 'l' ? kernel_.labels : tables_;
      const auto found = names.find(operand.name);
      if (found == names.end())
        throw Fault("there is no label `" + operand.name + "`");
      instruction.number = found->second;
      return;
    }
    }
    throw Fault("a shape without a meaning");
  }

  /// [register + n], [variable + n], [n]
  void address(std::vector<uint32_t> &slots, Uses &uses, Instruction &instruction, const Operand &operand) {
    if (operand.kind != Operand::Kind::address)
      throw Fault("an address in brackets is wanted");
    Operand base;
    base.kind = operand.name.empty() ? Operand::Kind::number : Operand::Kind::name;
    base.name = operand.name;
    instruction.number = operand.number;
    take(slots, uses, base);
  }

  const Kernel &kernel_;
  Places places_;
  std::map<std::string, size_t> tables_;
  std::vector<size_t> starts_;
};

} // namespace

Program decode(const Kernel &kernel, const std::vector<Variable> &moduleVariables, const std::map<std::string, uint64_t> &addresses) { return Decoder(kernel, moduleVariables, addresses).program(); }

} // namespace emulator
