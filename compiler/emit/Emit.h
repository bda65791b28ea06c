// Emit: a module whose programs are planned, and the facts beside it, become a bundle.
//
// In     nn.parameter, func.func programs, plan.program with slots, module attributes nn.merge; EmitInfo
// Out    the sections of runtime/bundle/README.md
// Errs   internal only: each emitOpError'd on the op concerned
#pragma once
#include "compiler/emit/EmitInfo.h"
#include "mlir/IR/BuiltinOps.h"
#include <optional>

namespace peftc::emit {

/// The sections, by what they hold.
struct Sections {
  nlohmann::json manifest, programs, plan;
  std::string spec;
};

std::optional<Sections> emit(mlir::ModuleOp module, const EmitInfo &info);

/// Parts of it (Manifest.cpp, Programs.cpp, Plan.cpp). Null after an error.
nlohmann::json manifestOf(mlir::ModuleOp module, const EmitInfo &info);
nlohmann::json programsOf(mlir::ModuleOp module);
nlohmann::json planOf(mlir::ModuleOp module);

} // namespace peftc::emit
