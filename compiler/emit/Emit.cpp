// Emit: see the header.
#include "compiler/emit/Emit.h"

std::optional<peftrt::Bundle> peftc::emit::emit(mlir::ModuleOp module, const EmitInfo &info) {
  const nlohmann::json manifest = manifestOf(module, info), programs = programsOf(module), plan = planOf(module);
  if (manifest.is_null() || programs.is_null() || plan.is_null())
    return std::nullopt;
  return peftrt::Bundle{manifest, programs, plan, info.specText};
}
