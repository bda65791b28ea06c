// Emit: see the header.
#include "compiler/emit/Emit.h"

std::optional<peftc::emit::Sections> peftc::emit::emit(mlir::ModuleOp module, const EmitInfo &info) {
  Sections sections{manifestOf(module, info), programsOf(module), planOf(module), info.specText};
  if (sections.manifest.is_null() || sections.programs.is_null() || sections.plan.is_null())
    return std::nullopt;
  return sections;
}
