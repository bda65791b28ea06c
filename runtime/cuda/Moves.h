// Moves: rows that are written elsewhere, or zeros (plan/KernelSteps.h: Move), where each goes being told in memory: a launch is the same for batches of nearly one size.
//
// Not generated: it depends on no program. The driver compiles its text.
// Errs  R0206 the GPU failed
#pragma once
#include "runtime/cuda/Gpu.h"
#include "runtime/plan/KernelSteps.h"
#include <memory>

namespace peftrt::cuda {

class Moves {
public:
  explicit Moves(std::shared_ptr<const Gpu> gpu) : gpu_(std::move(gpu)) {}
  ~Moves();
  Moves(const Moves &) = delete;
  Moves &operator=(const Moves &) = delete;
  /// `count` of them that lie one behind the other from `moves` on, in the GPU's memory.
  void start(Address moves, size_t count);

private:
  std::shared_ptr<const Gpu> gpu_;
  ModuleHandle module_ = nullptr;
  Function function_ = nullptr;
};

} // namespace peftrt::cuda
