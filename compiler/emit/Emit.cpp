// Emit: see the header.
#include "compiler/emit/Emit.h"

std::optional<peftrt::Bundle> peftc::emit::emit(mlir::ModuleOp module, const EmitInfo &info) {
  peftrt::Bundle bundle{manifestOf(module, info), programsOf(module), planOf(module), info.specText};
  if (bundle.manifest.is_null() || bundle.programs.is_null() || bundle.plan.is_null())
    return std::nullopt;
  return bundle;
}
