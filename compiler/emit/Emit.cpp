// Emit: see the header.
#include "compiler/emit/Emit.h"

std::optional<peftrt::Bundle> peftc::emit::emit(mlir::ModuleOp module, mlir::ModuleOp gpu, const EmitInfo &info) {
  nlohmann::json manifest = manifestOf(module, info);
  std::optional<std::string> programs = programsOf(module), plan = planOf(module), gpuPlan = gpu ? planOf(gpu) : std::string();
  if (manifest.is_null() || !programs || !plan || !gpuPlan)
    return std::nullopt;
  peftrt::Bundle bundle{std::move(manifest), peftrt::JsonSection(std::move(*programs), "programs.json", ""), peftrt::JsonSection(std::move(*plan), "plan.json", ""), info.specText};
  if (gpu)
    bundle.gpuPlan = peftrt::JsonSection(std::move(*gpuPlan), peftrt::kGpuPlan, "");
  return bundle;
}
