// Phases: what happens between a program's concrete sites and its bundle, as a table.
#pragma once
#include "compiler/driver/Request.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Support/LogicalResult.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"
#include <string>
#include <vector>

namespace peftc {

struct PassEntry {
  const char *name;    ///< also peft-opt's flag
  const char *purpose;
  mlir::LogicalResult (*run)(mlir::ModuleOp module);
};
struct Phase {
  const char *name;    ///< a word of `--emit`
  Stop stop;
  const char *purpose;
  std::vector<PassEntry> passes;
  mlir::LogicalResult (*verify)(mlir::ModuleOp module); ///< what holds after it, beyond the ops' own verifiers
};
/// In order: nn, plan.
llvm::ArrayRef<Phase> phases();
/// What makes a GPU's programs of a copy of the CPUs'.
const Phase &devicePhase();

struct PhaseOptions {
  std::string reproducerFolder = "."; ///< where a failing pass leaves the module that it failed on
  std::string *timing = nullptr;      ///< gets a line a pass
};
/// Runs the passes of `phase`, then the verifier. "" or the text of an internal error, which names the pass and the reproducer: where
/// something is wrong they run again on the module as it was, the verifier behind each.
std::string runPhase(const Phase &phase, mlir::ModuleOp module, const PhaseOptions &options);

} // namespace peftc
