// Kernels: the generated code of a bundle, loaded for the CPU that this process runs on. Standard library and POSIX only.
//
// Errs  R0102 a kernel that is not there
//       R0103 a shared object that is damaged
//       R0106 it cannot be put into memory or a temporary file
//       R0107 this CPU runs none of the bundle's kernels, or not those that were asked for
#pragma once
#include "runtime/bundle/Format.h"
#include <cstddef>
#include <cstdint>
#include <string>

namespace peftrt {

/// What a generated kernel is called with; the compiler's kernel emitter (compiler/conversion) knows this layout.
struct KernelCall {
  void *const *data;      ///< operands, then results, then the tables of sums over rows (runtime/bundle/README.md)
  const int64_t *offsets; ///< offsets[e] = where example e's tokens begin; offsets[examples]: where all end; then the same of the next sequence
  const int64_t *squares; ///< squares[e] = Σ room² of the examples before e, room being how far apart two begin; then, as many, of the next pair of sequences (`pairOf`)
  const uint32_t *sites;  ///< of the random numbers
  void *scratch;          ///< this thread's
  int64_t examples;
  int64_t elements;       ///< length of the run's vectors in flat programs; stretches of rows whose sums are added up
  uint32_t key[2];        ///< of the random numbers: the seed
  uint32_t step, pass;
  const int64_t *lengths; ///< tokens of each example, sequence after sequence
  const void *pairs;      ///< products::PairFunctions (runtime/products/Code.h) that the kernel is to use, or null
  // Of a GPU's entry (compiler/conversion/Kernels.h); else nothing reads them:
  int64_t tasks; ///< behind the last one
  int64_t scratchBytes;
  int64_t first; ///< of the tasks
};
static_assert(offsetof(KernelCall, sites) == 24 && offsetof(KernelCall, examples) == 40 && offsetof(KernelCall, key) == 56 && offsetof(KernelCall, pass) == 68 &&
                  offsetof(KernelCall, lengths) == 72 && offsetof(KernelCall, pairs) == 80 && offsetof(KernelCall, tasks) == 88 && offsetof(KernelCall, first) == 104,
              "code in trainers that are already compiled has this layout");

/// Does the part [begin, end) of its work; what is counted is the kernel's.
using KernelFunction = void (*)(const KernelCall *, int64_t begin, int64_t end);

/// The kernels of a bundle for this machine.
class KernelLibrary {
public:
  /// Chooses the best variant that this CPU runs, or the one with the name `wanted` (PEFT_CPU_TARGET; empty: no wish). A bundle without kernels
  /// makes a library without functions. The bundle need not outlive the library.
  explicit KernelLibrary(const Bundle &bundle, const std::string &wanted = "");
  ~KernelLibrary();
  KernelLibrary(const KernelLibrary &) = delete;
  KernelLibrary &operator=(const KernelLibrary &) = delete;

  KernelFunction find(const std::string &name) const;
  const std::string &target() const { return target_; } ///< empty for a bundle without kernels

private:
  std::string target_;
  int file_ = -1; ///< stays open: the dynamic linker knows a library by its path, /proc/self/fd/N, so N must not come to mean another one
  void *handle_ = nullptr;
};

} // namespace peftrt
