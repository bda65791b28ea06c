// MemoryReport: `--explain memory`: what training takes, then each program's arena as a polynomial and at one batch, what it would be without sharing, and what each thread has of it.
#include "compiler/passes/plan/Passes.h"
#include "compiler/passes/plan/TrainingMemory.h"
#include "dialects/plan/Plan.h"
#include "llvm/Support/FormatVariadic.h"
#include <numeric>

using namespace mlir;
using namespace mlir::plan;

static std::string trainingReport(ModuleOp module, int64_t examples, int64_t length, int64_t threads) {
  const TrainingMemory memory = trainingMemory(module, examples, length);
  std::string text = llvm::formatv("training on {0} texts of {1} tokens\n", examples, length).str();
  auto line = [&](StringRef what, int64_t bytes, StringRef note) { text += llvm::formatv("  {0,-24} {1,12}  {2}\n", what, spellBytes(bytes), note).str(); };
  line("frozen weights", memory.weights, "f32, or bf16 where only products read them; mapped from the checkpoint where that has them so");
  line("prepared weights", memory.prepared, "at most: in the order in which products read them, where this CPU has own products");
  line("trained", memory.trained, "values, gradients, the optimizer's states");
  line("a step's values", memory.arena, "of all tokens");
  line("  of them saved", memory.saved, "what backward reads of forward");
  line("each thread's own", memory.perThread, "of the rows that it works on");
  line("in all", memory.total(threads), llvm::formatv("with {0} thread{1}, which is what `memory` bounds; beside the program and its libraries", threads, threads == 1 ? "" : "s").str());
  if (auto layers = module->getAttrOfType<IntegerAttr>(kRecompute); layers && layers.getInt())
    text += llvm::formatv("  the first {0} layers are computed again in backward\n", layers.getInt()).str();
  return text + "\n";
}

std::string mlir::plan::memoryReport(ModuleOp module, int64_t examples, int64_t length, int64_t threads) {
  std::string text = trainingReport(module, examples, length, threads);
  text += llvm::formatv("memory of a batch of {0} texts, {1} tokens each (bytes: c + e·texts + t·tokens + q·Σ tokens² + p·threads; t and q of all sequences)\n", examples, length).str();
  text += llvm::formatv("{0,-16} {1,6} {2,6} {3,10} {4,10} {5,10}  {6}\n", "program", "steps", "slots", "MiB", "a thread", "unshared", "polynomial").str();
  for (ProgramOp program : module.getOps<ProgramOp>()) {
    int64_t c = 0, e = 0, t = 0, q = 0, p = 0, unshared = 0, steps = 0;
    for (Attribute attribute : program.getSlots().value_or(ArrayAttr::get(module.getContext(), {}))) {
      auto size = cast<SizeAttr>(attribute);
      c += size.getC(), e += size.getE(), p += size.getP();
      t += std::accumulate(size.getTs().begin(), size.getTs().end(), size.getT());
      q += std::accumulate(size.getQs().begin(), size.getQs().end(), size.getQ());
    }
    for (Operation &op : program.getBody().front()) {
      if (!isa<StepOp, KernelOp>(op) || isParameter(&op))
        continue;
      ++steps;
      for (Value result : op.getResults())
        if (auto size = sizeOf(cast<PackedType>(result.getType())); succeeded(size))
          unshared += size->at(examples, length);
    }
    int64_t bytes = SizeAttr::get(module.getContext(), c, e, t, q, p).at(examples, length);
    size_t slots = program.getSlots() ? program.getSlots()->size() : 0;
    text += llvm::formatv("{0,-16} {1,6} {2,6} {3,10:f1} {4,10:f1} {5,10:f1}  c={6} e={7} t={8} q={9} p={10}\n", program.getName(), steps, slots,
                          bytes / 1048576.0, p / 1048576.0, unshared / 1048576.0, c, e, t, q, p)
                .str();
  }
  return text;
}
