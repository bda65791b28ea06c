// Grid: see the header.
#include "tests/gpu/emulator/Grid.h"
#include "tests/gpu/emulator/Block.h"
#include "tests/gpu/emulator/Fault.h"

namespace emulator {

Module::Module(Memory &memory, const std::string &source) : text_(parse(source)) {
  for (const Variable &variable : text_.variables) {
    if (variable.space == Space::shared)
      continue;
    // PTX zeroes what it does not say; constants are for the host to write.
    auto buffer = std::make_unique<Buffer>(variable.name, variable.size, true, variable.space == Space::global);
    if (!variable.bytes.empty())
      std::copy(variable.bytes.begin(), variable.bytes.end(), buffer->at(0, variable.size, 1));
    addresses_[variable.name] = memory.add(std::move(buffer));
  }
}

const Kernel *Module::find(const std::string &name) const {
  for (const Kernel &kernel : text_.kernels)
    if (kernel.name == name)
      return &kernel;
  throw Fault("there is no kernel `" + name + "` in the text");
}

const Program &Module::kernel(const std::string &name) {
  const auto found = programs_.find(name);
  return found != programs_.end() ? found->second : programs_.emplace(name, decode(*find(name), text_.variables, addresses_)).first->second;
}

std::vector<std::pair<uint64_t, uint64_t>> Module::parametersOf(const std::string &name) const {
  std::vector<std::pair<uint64_t, uint64_t>> places;
  uint64_t bytes = 0;
  for (const Variable &parameter : find(name)->parameters) {
    bytes = (bytes + parameter.align - 1) / parameter.align * parameter.align;
    places.push_back({bytes, parameter.size});
    bytes += parameter.size;
  }
  return places;
}

std::vector<std::string> Module::kernels() const {
  std::vector<std::string> names;
  for (const Kernel &kernel : text_.kernels)
    names.push_back(kernel.name);
  return names;
}

uint64_t Module::variable(const std::string &name) const {
  const auto found = addresses_.find(name);
  return found == addresses_.end() ? 0 : found->second;
}

void run(Memory &memory, const Program &program, const Launch &launch, Statistics &statistics) {
  if (launch.parameters.size() != program.parameterBytes)
    throw Fault(program.name + ": " + std::to_string(launch.parameters.size()) + " bytes of parameters, not " + std::to_string(program.parameterBytes));
  if (launch.grid.all() == 0 || launch.block.all() == 0 || launch.block.all() > 1024 || launch.grid.all() * launch.block.all() > ~uint32_t{0})
    throw Fault(program.name + ": a grid of " + std::to_string(launch.grid.all()) + " blocks of " + std::to_string(launch.block.all()) + " threads");
  std::string bytes = launch.parameters;
  Buffer parameters("the parameters", bytes.size(), true, false, bytes.data());
  const uint32_t clock = memory.clock;
  uint32_t next = clock;
  const uint64_t before = statistics.instructions;
  Launch rest = launch;
  for (uint64_t block = 0; block < launch.grid.all(); ++block) {
    rest.most = launch.most - (statistics.instructions - before);
    Block threads(memory, program, rest, parameters, block, clock);
    threads.run(statistics);
    next = std::max(next, threads.lastClock());
  }
  memory.clock = next + 1;
  ++statistics.launches;
}

} // namespace emulator
