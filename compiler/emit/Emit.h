// Emit: a module whose programs are planned, and the facts beside it, become a bundle.
//
// In     nn.parameter, func.func programs, plan.program with slots, module attribute nn.merge; EmitInfo
// Out    the sections of runtime/bundle/README.md
// Errs   internal only: each on the op concerned
#pragma once
#include "compiler/emit/EmitInfo.h"
#include "mlir/IR/BuiltinOps.h"
#include "runtime/bundle/Format.h"
#include <optional>

namespace peftc::emit {

/// Absent after an error. `gpu`: the programs as a GPU runs them, or null.
std::optional<peftrt::Bundle> emit(mlir::ModuleOp module, mlir::ModuleOp gpu, const EmitInfo &info);

/// Parts of it (Manifest.cpp, Programs.cpp, Plan.cpp), the long ones as text. Null and absent after an error.
nlohmann::json manifestOf(mlir::ModuleOp module, const EmitInfo &info);
std::optional<std::string> programsOf(mlir::ModuleOp module);
std::optional<std::string> planOf(mlir::ModuleOp module);

} // namespace peftc::emit
