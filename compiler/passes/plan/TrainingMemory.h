// TrainingMemory: what training takes, in bytes, at one batch. Of a module with planned programs.
#pragma once
#include "mlir/IR/BuiltinOps.h"

namespace mlir::plan {

struct TrainingMemory {
  int64_t weights = 0;   ///< frozen, as f32
  int64_t prepared = 0;  ///< frozen matrices once more, in the order that products read them in, where this compiler's own products serve (at most)
  int64_t trained = 0;   ///< values, gradients and the optimizer's states of what is trained
  int64_t arena = 0;     ///< every planned value of a step
  int64_t saved = 0;     ///< of the arena: what backward reads of forward
  int64_t perThread = 0; ///< a thread's own rows, each
  int64_t total(int64_t threads) const { return weights + prepared + trained + arena + threads * perThread; }
};
/// For `examples` texts of `length` tokens each.
TrainingMemory trainingMemory(ModuleOp module, int64_t examples, int64_t length);
/// `1.50 GiB`, `12.0 MiB`, `0.5 KiB`.
std::string spellBytes(int64_t bytes);

} // namespace mlir::plan
