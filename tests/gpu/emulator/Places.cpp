// Places: see the header.
#include "tests/gpu/emulator/Places.h"
#include "tests/gpu/emulator/Fault.h"

namespace emulator {
namespace {

const std::map<std::string, Special> kSpecials = {
    {"%tid.x", Special::tidX},         {"%tid.y", Special::tidY},         {"%tid.z", Special::tidZ},         {"%ntid.x", Special::ntidX},       {"%ntid.y", Special::ntidY},
    {"%ntid.z", Special::ntidZ},       {"%ctaid.x", Special::ctaidX},     {"%ctaid.y", Special::ctaidY},     {"%ctaid.z", Special::ctaidZ},     {"%nctaid.x", Special::nctaidX},
    {"%nctaid.y", Special::nctaidY},   {"%nctaid.z", Special::nctaidZ},   {"%laneid", Special::laneid},      {"%warpid", Special::warpid},      {"%lanemask_lt", Special::laneMaskLt},
    {"%lanemask_le", Special::laneMaskLe}, {"%lanemask_eq", Special::laneMaskEq}, {"%lanemask_ge", Special::laneMaskGe}, {"%lanemask_gt", Special::laneMaskGt}};

} // namespace

Places::Places(const Kernel &kernel, const std::vector<Variable> &moduleVariables, const std::map<std::string, uint64_t> &addresses) : addresses_(addresses) {
  for (const Registers &row : kernel.registers)
    for (uint64_t index = 0; index < std::max<uint64_t>(row.count, 1); ++index)
      if (const std::string name = row.count ? row.name + std::to_string(index) : row.name; registers_.emplace(name, own_.names.size()).second)
        own_.names.push_back(name);
  own_.start.assign(own_.names.size(), 0);
  constant(0);
  for (const Variable &parameter : kernel.parameters)
    lay(parameter, own_.parameterBytes);
  for (const std::vector<Variable> *variables : {&moduleVariables, &kernel.variables})
    for (const int isOpen : {0, 1}) // memory whose size the launch says is behind all other
      for (const Variable &variable : *variables)
        if ((variable.size == 0) == isOpen && variable.space != Space::global && variable.space != Space::constant)
          lay(variable, variable.space == Space::local ? own_.localBytes : own_.sharedBytes);
}

void Places::lay(const Variable &variable, uint64_t &bytes) {
  bytes = (bytes + variable.align - 1) / variable.align * variable.align;
  addresses_[variable.name] = bytes;
  bytes += variable.size;
}

uint32_t Places::constant(uint64_t bits) {
  const auto [found, isNew] = constants_.emplace(bits, own_.start.size());
  if (isNew)
    own_.start.push_back(bits);
  return found->second;
}

uint32_t Places::registerSlot(const std::string &name) const {
  const auto found = registers_.find(name);
  if (found == registers_.end())
    throw Fault("there is no register `" + name + "`");
  return found->second;
}

Place Places::of(const Operand &operand) {
  if (operand.kind == Operand::Kind::number)
    return {constant(operand.number)};
  if (operand.kind != Operand::Kind::name)
    throw Fault("an operand of a form that does not fit");
  if (const auto found = registers_.find(operand.name); found != registers_.end())
    return {found->second, true};
  if (const auto found = addresses_.find(operand.name); found != addresses_.end())
    return {constant(found->second)};
  if (operand.name == "WARP_SZ")
    return {constant(32)};
  const auto special = kSpecials.find(operand.name);
  if (special == kSpecials.end())
    throw Fault("there is no register or variable `" + operand.name + "`");
  const auto [found, isNew] = specials_.emplace(operand.name, own_.start.size());
  if (isNew) {
    own_.specials.push_back({found->second, special->second});
    own_.start.push_back(0);
  }
  return {found->second};
}

void Places::giveTo(Program &program) const {
  program.names = own_.names, program.start = own_.start, program.specials = own_.specials;
  program.parameterBytes = own_.parameterBytes, program.sharedBytes = own_.sharedBytes, program.localBytes = own_.localBytes;
}

} // namespace emulator
