// DevicePlan: see the header.
#include "compiler/driver/DevicePlan.h"
#include "compiler/driver/FitMemory.h"
#include "compiler/passes/plan/Passes.h"
#include "dialects/plan/Plan.h"

using namespace mlir;

namespace peftc {

OwningOpRef<ModuleOp> devicePlan(ModuleOp module, const EmitInfo &info, const target::GpuTarget &gpu, const PhaseOptions &options, std::string &error) {
  OwningOpRef<ModuleOp> made(ModuleOp::create(module.getLoc()));
  OpBuilder builder = OpBuilder::atBlockEnd(made->getBody());
  for (auto program : module.getOps<plan::ProgramOp>())
    builder.clone(*program);
  const NominalBatch batch = nominalBatchOf(info);
  NamedAttrList facts;
  for (auto [name, number] : {std::pair("bf16", gpu.halfRate), {"f32", gpu.rate}, {"bandwidth", gpu.bandwidth}, {"tokens", batch.examples * batch.length}, {"length", batch.length}})
    facts.set(name, builder.getI64IntegerAttr(number));
  (*made)->setAttr(plan::kDevice, facts.getDictionary(module.getContext()));
  for (auto [option, name] : {std::pair("layout", plan::kLayout), {"attention", plan::kAttention}, {"branches", plan::kBranches}, {"sums", plan::kSums}})
    if (const auto word = info.run.find(option); word != info.run.end() && word->is_string())
      (*made)->setAttr(name, builder.getStringAttr(word->get<std::string>()));
  if (const auto rows = info.run.find("chunk_rows"); rows != info.run.end() && rows->is_number())
    (*made)->setAttr(plan::kChunkRows, builder.getI64IntegerAttr(rows->get<int64_t>()));
  error = runPhase(devicePhase(), *made, options);
  return made;
}

} // namespace peftc
