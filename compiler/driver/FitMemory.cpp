// FitMemory: see the header.
//
// The plan is exact, so nothing is estimated: the step is planned with no layer computed again, with all, and then with as many as lie between
// by the two sizes, until the smallest number that fits is found. All layers of a network take about the same, so that is two or three trials more.
#include "compiler/driver/FitMemory.h"
#include "compiler/driver/Phases.h"
#include "compiler/passes/nn/InlineHooks.h"
#include "compiler/passes/plan/Passes.h"
#include "compiler/passes/plan/TrainingMemory.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/OwningOpRef.h"
#include <thread>

using namespace mlir;

namespace peftc {
namespace {
constexpr int64_t kBatch = 32, kLength = 512; ///< where nothing is said: the runtime's batch, and a usual text

/// How many layers were marked.
int64_t layersOf(ModuleOp module) {
  auto step = module.lookupSymbol<func::FuncOp>("train_step");
  int64_t layers = 0;
  for (unsigned i = 0; step && i < step.getNumResults(); ++i)
    layers += step.getResultAttrOfType<StringAttr>(i, "nn.name").getValue().starts_with("layer.");
  return layers / 2; // each has `in` and `out`
}

void setRecompute(ModuleOp module, int64_t layers) { module->setAttr(plan::kRecompute, Builder(module.getContext()).getI64IntegerAttr(layers)); }
} // namespace

NominalBatch nominalBatchOf(const EmitInfo &info) {
  auto number = [&](const char *name, int64_t otherwise) { return info.run.contains(name) && info.run[name].is_number_integer() ? info.run[name].get<int64_t>() : otherwise; };
  const int64_t length = std::max<int64_t>(1, number("max_length", std::min(kLength, info.maxPositions.value_or(kLength))));
  const int64_t tokens = number("tokens_per_batch", 0);
  return {tokens > 0 ? std::max<int64_t>(1, tokens / length) : number("batch", kBatch), length};
}

int64_t nominalThreads() { return std::max(1u, std::thread::hardware_concurrency()); }

MemoryChoice::MemoryChoice(const Spec &spec, const EmitInfo &info, diag::Engine &diags)
    : batch(nominalBatchOf(info)), recompute(info.run.contains("recompute") ? info.run["recompute"].is_string() ? info.run["recompute"].get<std::string>() : "none" : "auto"), diags(diags) {
  if (!info.run.contains("memory") || !info.run["memory"].is_number_integer())
    return;
  budget = info.run["memory"];
  for (const ast::RunStmt *run : spec.runs)
    for (const ast::Field &field : run->fields)
      if (field.name.text == "memory")
        where = field.value->range;
}

void MemoryChoice::markLayers(ModuleOp module) const {
  if (recompute == "layers" || (recompute == "auto" && budget))
    module->setAttr(nn::kMarksLayers, UnitAttr::get(module.getContext()));
}

std::string MemoryChoice::choose(ModuleOp module) {
  const int64_t layers = layersOf(module);
  int64_t chosen = recompute == "layers" ? layers : 0;
  if (budget) {
    int64_t bytes = bytesWith(chosen, module, batch.examples);
    if (bytes > budget && recompute == "auto" && layers > 0) {
      const int64_t all = bytesWith(layers, module, batch.examples);
      chosen = all > budget ? layers : fewestThatFit(layers, all, bytes, module);
      bytes = all;
    }
    if (bytes > budget && error.empty())
      reportTooLarge(bytes, chosen, module);
  }
  setRecompute(module, chosen);
  return error;
}

/// `least`, `most`: bytes with all `layers` and with none.
int64_t MemoryChoice::fewestThatFit(int64_t layers, int64_t least, int64_t most, ModuleOp module) {
  int64_t few = 0, many = layers; // too few, enough
  while (many - few > 1 && error.empty()) {
    const int64_t guess = few + ((most - budget) * (many - few) + most - least - 1) / std::max<int64_t>(1, most - least), next = std::clamp(guess, few + 1, many - 1);
    const int64_t bytes = bytesWith(next, module, batch.examples);
    (bytes <= budget ? many : few) = next;
    (bytes <= budget ? least : most) = bytes;
  }
  return many;
}

int64_t MemoryChoice::bytesWith(int64_t layers, ModuleOp module, int64_t examples) {
  OwningOpRef<ModuleOp> copy(module.clone());
  for (auto function : llvm::make_early_inc_range(copy->getOps<func::FuncOp>()))
    if (function.getSymName() != "train_step" && !function.getSymName().starts_with("optimizer."))
      function.erase();
  setRecompute(*copy, layers);
  for (const Phase &phase : phases())
    if (phase.stop == Stop::Plan && error.empty())
      error = runPhase(phase, *copy, PhaseOptions());
  return error.empty() ? plan::trainingMemory(*copy, examples, batch.length).total(nominalThreads()) : 0;
}

void MemoryChoice::reportTooLarge(int64_t bytes, int64_t layers, ModuleOp module) {
  reported = true;
  auto report = diags.report(diag::Kind::E0503, where, {plan::spellBytes(bytes), plan::spellBytes(budget)});
  report.help("that is for " + std::to_string(batch.examples) + " texts of " + std::to_string(batch.length) + " tokens with " + std::to_string(nominalThreads()) + (nominalThreads() == 1 ? " thread, " : " threads, ") +
              (layers ? "with every layer computed again" : "with what backward reads of forward kept"));
  const int64_t one = bytesWith(layers, module, 1), each = (bytes - one) / std::max<int64_t>(1, batch.examples - 1);
  if (one > budget || batch.examples == 1)
    report.help("one text takes " + plan::spellBytes(one) + ": a smaller `max_length`, or `precision = bf16`");
  else
    report.help("`batch = " + std::to_string(1 + (budget - one) / std::max<int64_t>(1, each)) + "` fits; `accumulate` makes the same steps of smaller batches");
}

} // namespace peftc
