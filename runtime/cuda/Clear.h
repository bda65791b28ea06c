// Clear: writes zeros into tails of values (plan/KernelSteps.h), which are told in memory: a launch is the same for batches of nearly one size.
//
// Not generated: it depends on no program. The driver compiles its text.
// Errs  R0206 the GPU failed
#pragma once
#include "runtime/cuda/Gpu.h"
#include "runtime/plan/KernelSteps.h"
#include <memory>

namespace peftrt::cuda {

class Clear {
public:
  explicit Clear(std::shared_ptr<const Gpu> gpu) : gpu_(std::move(gpu)) {}
  ~Clear();
  Clear(const Clear &) = delete;
  Clear &operator=(const Clear &) = delete;
  /// `count` tails that lie one behind the other from `tails` on, in the GPU's memory.
  void start(Address tails, size_t count);

private:
  std::shared_ptr<const Gpu> gpu_;
  ModuleHandle module_ = nullptr;
  Function function_ = nullptr;
};

} // namespace peftrt::cuda
