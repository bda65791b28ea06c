// Machine: see the header.
#include "tests/gpu/driver/Machine.h"
#include "tests/gpu/emulator/Fault.h"
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <sys/mman.h>

namespace driver {
namespace {

constexpr size_t kPage = 4096;

size_t pages(size_t bytes) { return (bytes + kPage - 1) / kPage * kPage; }

/// Of the file as which this library was loaded.
std::string ownFolder() {
  Dl_info found;
  return ::dladdr(reinterpret_cast<const void *>(&settingsOf), &found) && found.dli_fname ? std::filesystem::path(found.dli_fname).parent_path().string() : ".";
}

/// `.target sm_90a` → 90.
int64_t numberBehind(const std::string &text, const std::string &word) {
  const size_t place = text.find(word);
  return place == std::string::npos ? 0 : std::atoll(text.c_str() + place + word.size());
}

} // namespace

Settings settingsOf(const std::string &folder) {
  Settings settings;
  const std::map<std::string, int64_t *> fields = {{"driver", &settings.driver}, {"devices", &settings.devices}, {"major", &settings.major}, {"minor", &settings.minor},
                                                   {"multiprocessors", &settings.multiprocessors}, {"integrated", &settings.integrated}, {"memory", &settings.memory}, {"ptx", &settings.ptx}, {"fails", &settings.fails},
                                                   {"graphs_fail", &settings.graphs_fail}, {"captures_fail", &settings.captures_fail}, {"graphs_fit", &settings.graphs_fit}};
  std::ifstream file(folder + "/gpu.txt");
  std::string name;
  for (int64_t value = 0; file >> name >> value;) {
    if (!fields.count(name)) {
      std::fprintf(stderr, "the driver for tests: gpu.txt has no setting `%s`\n", name.c_str());
      std::abort();
    }
    *fields.at(name) = value;
  }
  return settings;
}

Machine &Machine::here() {
  static Machine machine;
  return machine;
}

Machine::Machine() : settings(settingsOf(ownFolder())), folder_(ownFolder()) {}

Machine::~Machine() {
  std::ofstream(folder_ + "/counts.txt") << "launches " << launches_ << "\ncopies " << copies_ << "\nwaits " << waits_ << "\nallocations " << allocations_ << "\nmost_bytes " << most_ << "\nleft_bytes " << used_
                                         << "\ngraphs " << made_ << "\ngraph_launches " << graphLaunches_ << "\ngraphs_left " << execs_.size() + graphs_.size() << "\nhost_calls " << hostCalls_ << "\n";
}

Status Machine::allocate(Address *address, size_t bytes) {
  if (const Status status = unsafe())
    return status;
  if (bytes == 0)
    return kInvalidValue;
  if (used_ + bytes > static_cast<size_t>(settings.memory))
    return peftrt::cuda::kOutOfMemory;
  const uint64_t wanted = memory_.next();
  void *place = ::mmap(reinterpret_cast<void *>(wanted), pages(bytes), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE | MAP_NORESERVE, -1, 0);
  if (place == MAP_FAILED)
    return peftrt::cuda::kOutOfMemory;
  *address = memory_.add(std::make_unique<emulator::Buffer>("block " + std::to_string(allocations_++), bytes, true, true, static_cast<char *>(place)));
  blocks_[*address] = bytes;
  used_ += bytes;
  most_ = std::max(most_, used_);
  return 0;
}

Status Machine::release(Address address) {
  if (const Status status = unsafe(); status && status != failed_)
    return status;
  doAll();
  const auto found = blocks_.find(address);
  if (found == blocks_.end())
    return kInvalidValue;
  ::munmap(reinterpret_cast<void *>(address), pages(found->second));
  memory_.remove(address);
  used_ -= found->second;
  blocks_.erase(found);
  return failed_;
}

Status Machine::load(const std::string &text, Module **module, std::string &said) {
  if (const Status status = unsafe())
    return status;
  if (text.starts_with("\x7f" "ELF") || numberBehind(text, ".target sm_") > settings.major * 10 + settings.minor)
    return peftrt::cuda::kNoBinaryForGpu; // it runs text
  const size_t version = text.find(".version ");
  if (version != std::string::npos && static_cast<int64_t>(std::atof(text.c_str() + version + 9) * 10 + 0.5) > settings.ptx)
    return peftrt::cuda::kUnsupportedPtx;
  try {
    auto made = std::make_unique<Module>();
    made->code = std::make_unique<emulator::Module>(memory_, text);
    *module = modules_.emplace_back(std::move(made)).get();
  } catch (const emulator::Fault &fault) {
    said = fault.what();
    return kInvalidPtx;
  }
  return 0;
}

Status Machine::find(Function **function, Module *module, const std::string &name) {
  if (const Status status = state())
    return status;
  const std::vector<std::string> names = module->code->kernels();
  if (std::find(names.begin(), names.end(), name) == names.end())
    return kNotFound;
  const emulator::Program &program = module->code->kernel(name);
  *function = functions_.emplace_back(std::make_unique<Function>(Function{&program, name, module->code->parametersOf(name), program.parameterBytes})).get();
  return 0;
}

/// Parameters are read at once, as the driver does, in a capture too.
Status Machine::launch(const Function &function, emulator::Size3 grid, emulator::Size3 block, void **parameters) {
  if (const Status status = state())
    return status;
  if (grid.all() == 0 || block.all() == 0 || block.all() > 1024)
    return kInvalidValue;
  emulator::Launch launch;
  launch.grid = grid, launch.block = block;
  launch.parameters.resize(function.parameterBytes);
  for (size_t index = 0; index < function.parameters.size(); ++index)
    std::memcpy(launch.parameters.data() + function.parameters[index].first, parameters[index], function.parameters[index].second);
  return enqueue([this, &function, launch] { run(function, launch); });
}

void Machine::run(const Function &function, const emulator::Launch &launch) {
  if (failed_)
    return;
  if (++launches_ == settings.fails) {
    failed_ = kLaunchFailed;
    return;
  }
  try {
    emulator::Statistics statistics;
    emulator::run(memory_, *function.program, launch, statistics);
    pass(statistics.instructions);
    std::ofstream(folder_ + "/ran.txt", std::ios::app) << function.name << " " << launch.grid.all() << " " << launch.block.all() << " " << statistics.instructions << "\n";
  } catch (const emulator::Fault &fault) {
    std::fprintf(stderr, "emulator: %s: %s\n", function.name.c_str(), fault.what());
    failed_ = kIllegalAddress;
  }
}

bool Machine::isOwn(Address address, size_t bytes) const {
  auto next = blocks_.upper_bound(address);
  return next != blocks_.begin() && address - std::prev(next)->first + bytes <= std::prev(next)->second;
}

Status Machine::copyIn(Address to, const void *from, size_t bytes, bool atOnce) {
  if (const Status status = atOnce ? unsafe() : state())
    return status;
  if (!isOwn(to, bytes))
    return kInvalidValue;
  ++copies_;
  const auto copy = [to, from, bytes] { std::memcpy(reinterpret_cast<void *>(to), from, bytes); };
  if (!atOnce)
    return enqueue(copy);
  copy();
  return 0;
}

Status Machine::doAll() {
  while (!stream_.empty()) {
    const Action next = std::move(stream_.front());
    stream_.pop_front();
    next();
  }
  return state();
}

} // namespace driver
