// Emit: see the header.
#include "compiler/emit/Emit.h"

std::optional<peftrt::Bundle> peftc::emit::emit(mlir::ModuleOp module, const EmitInfo &info) {
  nlohmann::json manifest = manifestOf(module, info);
  std::optional<std::string> programs = programsOf(module), plan = planOf(module);
  if (manifest.is_null() || !programs || !plan)
    return std::nullopt;
  return peftrt::Bundle{std::move(manifest), peftrt::JsonSection(std::move(*programs), "programs.json", ""), peftrt::JsonSection(std::move(*plan), "plan.json", ""), info.specText};
}
