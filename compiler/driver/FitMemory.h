// FitMemory: `run { recompute = …, memory = … }`: how many layers of a step are computed again in backward, so that training fits.
//
// In     run options; before the phase `nn` the module, to mark its layers; before the phase `plan` the module, to plan it on trial
// Out    nn.marks_layers, plan.recompute
// Errs   E0503 training does not fit; the text of an internal error of a trial
#pragma once
#include "compiler/emit/EmitInfo.h"
#include "lang/diag/Engine.h"
#include "lang/spec/Spec.h"
#include "mlir/IR/BuiltinOps.h"

namespace peftc {

/// The batch that plans are judged at: `batch` texts of `max_length` tokens, or as many as `tokens_per_batch` holds.
struct NominalBatch {
  int64_t examples, length;
};
NominalBatch nominalBatchOf(const EmitInfo &info);
/// The threads that they are judged with: as many as this machine has.
int64_t nominalThreads();

class MemoryChoice {
public:
  MemoryChoice(const Spec &spec, const EmitInfo &info, diag::Engine &diags);
  void markLayers(mlir::ModuleOp module) const;
  /// "" or an internal error.
  std::string choose(mlir::ModuleOp module);
  /// Whether what `choose` has chosen does; where not, it has been reported.
  bool fits() const { return !reported; }

private:
  /// Bytes of training on `examples` texts with `layers` computed again; 0 after an internal error.
  int64_t bytesWith(int64_t layers, mlir::ModuleOp module, int64_t examples);
  int64_t fewestThatFit(int64_t layers, int64_t least, int64_t most, mlir::ModuleOp module);
  void reportTooLarge(int64_t bytes, int64_t layers, mlir::ModuleOp module);

  const NominalBatch batch;
  std::string recompute; ///< auto, layers, none
  int64_t budget = 0;    ///< bytes; 0: none was said
  Range where;           ///< of the budget
  diag::Engine &diags;
  std::string error;
  bool reported = false;
};

} // namespace peftc
