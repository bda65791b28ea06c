// KernelReport: `--explain kernels`: what each kernel computes, reads and writes, and every op that stands alone, with the reason.
#include "compiler/passes/plan/Passes.h"
#include "dialects/nn/Nn.h"
#include "dialects/plan/Plan.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/Support/FormatVariadic.h"
#include <map>
#include <set>

using namespace mlir;
using namespace mlir::plan;

namespace {

/// "add mul ×3 reduce": the ops of a body, in the order in which each is first met.
std::string opsOf(KernelOp kernel) {
  llvm::MapVector<StringRef, int64_t> counts;
  for (Operation &op : kernel.getBody().front())
    if (!isa<YieldOp, nn::ConstantOp>(op))
      ++counts[op.getName().stripDialect()];
  std::string text;
  for (auto &[name, count] : counts)
    text += (text.empty() ? "" : " ") + name.str() + (count > 1 ? " ×" + std::to_string(count) : "");
  return text;
}

/// Bytes that a call moves between memory and the CPU, at least: each operand and result once.
int64_t trafficOf(KernelOp kernel, int64_t examples, int64_t length) {
  int64_t bytes = 0;
  for (ValueRange values : {ValueRange(kernel.getInputs()), ValueRange(kernel.getResults())})
    for (Value value : values)
      if (auto size = sizeOf(cast<PackedType>(value.getType())); succeeded(size))
        bytes += size->at(examples, length);
  return bytes;
}

struct Function {
  KernelOp first;
  int64_t calls = 0;
};

std::string reportOf(ProgramOp program, int64_t examples, int64_t length) {
  llvm::MapVector<StringRef, Function> functions;
  std::map<std::pair<std::string, std::string>, int64_t> alone; // op and reason: how often
  int64_t products = 0;
  std::set<int64_t> bands;
  for (Operation &op : program.getBody().front()) {
    if (bandOf(&op) >= 0)
      bands.insert(bandOf(&op));
    if (auto kernel = dyn_cast<KernelOp>(op)) {
      Function &function = functions.insert({*kernel.getSymbol(), Function{kernel, 0}}).first->second;
      ++function.calls;
    } else if (auto step = dyn_cast<StepOp>(op); step && step.getKind() == "gemm") {
      ++products;
    } else if (step && step->hasAttr(kWhyAlone)) {
      ++alone[{step.getOp().str(), step->getAttrOfType<StringAttr>(kWhyAlone).str()}];
    }
  }
  if (functions.empty())
    return "";
  std::string text = llvm::formatv("{0}: {1} products, {2} bands of steps that threads take their rows through; kernels:\n", program.getName(), products, bands.size()).str();
  text += llvm::formatv("  {0,-12} {1,6} {2,6} {3,7} {4,9}  {5}\n", "kernel", "calls", "reads", "writes", "MiB/call", "ops").str();
  for (auto &[name, function] : functions) {
    KernelOp kernel = function.first;
    text += llvm::formatv("  {0,-12} {1,6} {2,6} {3,7} {4,9:f2}  {5}\n", name, function.calls, kernel.getInputs().size(), kernel.getResults().size(),
                          trafficOf(kernel, examples, length) / 1048576.0, opsOf(kernel))
                .str();
  }
  for (auto &[what, count] : alone)
    text += llvm::formatv("  {0} ×{1} stands alone: {2}\n", what.first, count, what.second).str();
  return text;
}
} // namespace

std::string mlir::plan::kernelReport(ModuleOp module, int64_t examples, int64_t length) {
  std::string text = llvm::formatv("kernels, with what a call reads and writes for a batch of {0} texts, {1} tokens each\n", examples, length).str();
  for (ProgramOp program : module.getOps<ProgramOp>())
    text += reportOf(program, examples, length);
  return text;
}
