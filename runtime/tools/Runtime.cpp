// Runtime: the entry point of libpeft-runtime.so, which the launcher loads. Finds the bundle appended to the running file, or
// the one that --bundle names, and runs a mode.
#include "runtime/bundle/Reader.h"
#include "runtime/modes/Modes.h"
#include "runtime/tools/Entry.h"
#include <cstdlib>

#ifndef PEFT_DEFAULT_PYTHON
#define PEFT_DEFAULT_PYTHON "python3"
#endif

namespace {

std::string environment(const char *name) {
  const char *value = std::getenv(name);
  return value ? value : "";
}

peftrt::Surroundings surroundings() {
  peftrt::Surroundings found;
  found.python = environment("PEFT_PYTHON");
  if (found.python.empty())
    found.python = PEFT_DEFAULT_PYTHON;
  found.products = environment("PEFT_PRODUCTS");
  found.cpuTarget = environment("PEFT_CPU_TARGET");
  found.torchCuda = environment("PEFT_TORCH_CUDA");
  found.graphs = environment("PEFT_GRAPHS");
  found.gemms = environment("PEFT_GEMMS");
  found.cublasLt = environment("PEFT_CUBLASLT");
  std::string cache = environment("XDG_CACHE_HOME");
  if (cache.empty())
    cache = environment("HOME") + "/.cache";
  found.cacheFolder = cache + "/peftc/tokens";
  found.gemmFolder = cache + "/peftc/gemms";
  return found;
}

peftrt::Bundle openBundle(const std::string &path) { return peftrt::readBundle(path.empty() ? "/proc/self/exe" : path); }

} // namespace

int peftRuntimeMain(int count, char **words) { return peftrt::runTrainer(openBundle, std::vector<std::string>(words + 1, words + count), surroundings()); }
