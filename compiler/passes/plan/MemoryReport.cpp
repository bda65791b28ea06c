// MemoryReport: `--explain memory`: each program's arena as a polynomial and at one batch, and what it would be without sharing.
#include "compiler/passes/plan/Passes.h"
#include "dialects/plan/Plan.h"
#include "llvm/Support/FormatVariadic.h"

using namespace mlir;
using namespace mlir::plan;

std::string mlir::plan::memoryReport(ModuleOp module, int64_t examples, int64_t length) {
  std::string text = llvm::formatv("memory of a batch of {0} texts, {1} tokens each (bytes: c + e·texts + t·tokens + q·Σ tokens²)\n", examples, length).str();
  text += llvm::formatv("{0,-16} {1,6} {2,6} {3,10} {4,10}  {5}\n", "program", "steps", "slots", "MiB", "unshared", "polynomial").str();
  for (ProgramOp program : module.getOps<ProgramOp>()) {
    int64_t c = 0, e = 0, t = 0, q = 0, unshared = 0, steps = 0;
    for (Attribute attribute : program.getSlots().value_or(ArrayAttr::get(module.getContext(), {}))) {
      auto size = cast<SizeAttr>(attribute);
      c += size.getC(), e += size.getE(), t += size.getT(), q += size.getQ();
    }
    for (Operation &op : program.getBody().front()) {
      auto step = dyn_cast<StepOp>(op);
      if (!isa<StepOp, KernelOp>(op) || (step && step.getOp() == "param"))
        continue;
      ++steps;
      for (Value result : op.getResults())
        if (auto size = sizeOf(cast<PackedType>(result.getType())); succeeded(size))
          unshared += size->at(examples, length);
    }
    int64_t bytes = SizeAttr::get(module.getContext(), c, e, t, q).at(examples, length);
    size_t slots = program.getSlots() ? program.getSlots()->size() : 0;
    text += llvm::formatv("{0,-16} {1,6} {2,6} {3,10:f1} {4,10:f1}  c={5} e={6} t={7} q={8}\n", program.getName(), steps, slots,
                          bytes / 1048576.0, unshared / 1048576.0, c, e, t, q)
                .str();
  }
  return text;
}
