// Driver: NVIDIA's driver, as far as this machine has one: loaded when asked for, never linked.
//
// Errs  R0160 there is no driver, or an older one than is needed, or no GPU
//       R0205 the GPU's memory is full
//       R0206 the GPU failed
#pragma once
#include "runtime/bundle/Errors.h"
#include "runtime/cuda/Api.h"
#include <string>

namespace peftrt::cuda {

/// What may be done about R0205.
inline constexpr const char *kLessMemoryHelp = "a smaller batch needs less: --set run.batch=8, or tokens_per_batch; `recompute = layers` in the program, too";

class Driver {
public:
  /// `libcuda.so.1`, as the dynamic linker finds it. It stays loaded: LibTorch may use it too.
  Driver();

#define PEFT_CUDA_FIELD(FIELD, SYMBOL, PARAMETERS) Status(*FIELD) PARAMETERS = nullptr;
  PEFT_CUDA_API(PEFT_CUDA_FIELD)
#undef PEFT_CUDA_FIELD

  /// Throws where the call failed; `doing` follows "while", as in "copying a batch".
  void check(Status status, const std::string &doing) const;
  std::string nameOf(Status status) const;
  int version() const { return version_; } ///< 13000 is CUDA 13.0

private:
  int version_ = 0;
};

/// 13000 → "13.0".
std::string versionText(int version);

} // namespace peftrt::cuda
