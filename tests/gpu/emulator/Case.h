// Case: a kernel of a few lines and what it is run on, for tests of the emulator.
#pragma once
#include "tests/gpu/emulator/Fault.h"
#include "tests/gpu/emulator/Grid.h"
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>

#define EXPECT(condition)                                                                                                                                      \
  do {                                                                                                                                                         \
    if (!(condition)) {                                                                                                                                        \
      std::fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #condition);                                                                           \
      std::exit(1);                                                                                                                                            \
    }                                                                                                                                                          \
  } while (false)

namespace emulator {

/// A kernel `k` with the parameters in (u64) and out (u64), whose addresses are in %rd0 and %rd1; `before` stands outside of it.
inline std::string textOf(const std::string &body, const std::string &before = "") {
  return ".version 8.0\n.target sm_90a\n.address_size 64\n" + before +
         "\n.visible .entry k(\n  .param .u64 k_in,\n  .param .u64 k_out\n)\n{\n.reg .pred %p<16>;\n.reg .b16 %rs<32>;\n.reg .b32 %r<64>;\n.reg .b64 %rd<32>;\n"
         "ld.param.u64 %rd0, [k_in];\nld.param.u64 %rd1, [k_out];\n" +
         body + "\nret;\n}\n";
}

/// Runs it on `in` (only read) and `out` (written where it has bytes, else `outBytes` of nothing).
struct Case {
  std::string body, before{};
  Size3 grid{}, block{};
  std::string in{}, out{};
  uint64_t outBytes = 0, sharedBytes = 0;
  uint32_t turn = 4096;
  uint64_t most = 100'000'000;

  std::string run(Statistics *counted = nullptr) const {
    Memory memory;
    Module module(memory, textOf(body, before));
    std::string source = in, result = out.empty() ? std::string(outBytes, '\0') : out;
    const uint64_t first = memory.add(std::make_unique<Buffer>("in", source.size(), true, false, source.data()));
    const uint64_t second = memory.add(std::make_unique<Buffer>("out", result.size(), !out.empty(), true, result.data()));
    Launch launch;
    launch.grid = grid, launch.block = block, launch.sharedBytes = sharedBytes, launch.turn = turn, launch.most = most;
    launch.parameters.append(reinterpret_cast<const char *>(&first), 8);
    launch.parameters.append(reinterpret_cast<const char *>(&second), 8);
    Statistics statistics;
    emulator::run(memory, module.kernel("k"), launch, counted ? *counted : statistics);
    return result;
  }

  /// The sentence of the Fault that it must end with.
  std::string fault() const {
    try {
      run();
    } catch (const Fault &fault) {
      return fault.what();
    }
    std::fprintf(stderr, "no fault from:\n%s\n", body.c_str());
    std::exit(1);
  }
};

inline void expectFault(const Case &kernel, const std::vector<std::string> &texts) {
  const std::string said = kernel.fault();
  for (const std::string &text : texts)
    if (said.find(text) == std::string::npos) {
      std::fprintf(stderr, "wanted `%s` in: %s\n", text.c_str(), said.c_str());
      std::exit(1);
    }
}

template <class T> std::string bytesOf(const std::vector<T> &values) { return {reinterpret_cast<const char *>(values.data()), values.size() * sizeof(T)}; }
template <class T> std::vector<T> valuesOf(const std::string &bytes) {
  std::vector<T> values(bytes.size() / sizeof(T));
  std::memcpy(static_cast<void *>(values.data()), bytes.data(), bytes.size());
  return values;
}

} // namespace emulator
