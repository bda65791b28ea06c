// MemoryReport: `--explain memory`: what training takes, then each program's arena as a polynomial and at one batch, what it would be without sharing, and what each thread has of it.
#include "compiler/passes/plan/Passes.h"
#include "compiler/passes/plan/TrainingMemory.h"
#include "dialects/plan/Plan.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/MathExtras.h"
#include <map>
#include <numeric>

using namespace mlir;
using namespace mlir::plan;

namespace {
std::string lineOf(StringRef what, int64_t bytes, StringRef note) { return llvm::formatv("  {0,-24} {1,12}  {2}\n", what, spellBytes(bytes), note).str(); }

std::string trainingReport(ModuleOp module, int64_t examples, int64_t length, int64_t threads) {
  const TrainingMemory memory = trainingMemory(module, examples, length);
  std::string text = llvm::formatv("training on {0} texts of {1} tokens\n", examples, length).str();
  auto line = [&](StringRef what, int64_t bytes, StringRef note) { text += lineOf(what, bytes, note); };
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

/// Matrices that weights lie in with what stands beside them (plan.border), each once, whatever the number of programs that read it.
int64_t borderBytes(ModuleOp gpu) {
  std::map<std::pair<StringRef, bool>, int64_t> borders; // by name, and whether it is bf16
  gpu.walk([&](BorderOp border) {
    auto weight = border.getWeight().getDefiningOp<StepOp>();
    auto type = cast<PackedType>(border.getResult().getType());
    borders[{cast<StringAttr>(weight.getHow().get("name")).getValue(), type.getElement().isBF16()}] = type.getDims()[0].constant * type.getDims()[1].constant * widthOf(type);
  });
  return std::accumulate(borders.begin(), borders.end(), int64_t{0}, [](int64_t sum, const auto &border) { return sum + border.second; });
}

/// Of weights that lie in such a matrix alone: it has their type, and who reads them by themselves finds rows at any pitch (runtime/plan/Borders.h).
int64_t movedBytes(ModuleOp gpu) {
  std::map<StringRef, int64_t> moved;
  llvm::StringSet<> dense;
  for (ProgramOp program : gpu.getOps<ProgramOp>())
    for (auto step : program.getBody().front().getOps<StepOp>()) {
      if (!isParameter(step) || program.getStreamed())
        continue;
      auto type = cast<PackedType>(step.getResult().getType());
      const StringRef name = cast<StringAttr>(step.getHow().get("name")).getValue();
      for (Operation *user : step.getResult().getUsers()) {
        auto border = dyn_cast<BorderOp>(user);
        auto reader = dyn_cast<StepOp>(user);
        if (border && (border.getWeight() == step.getResult() || llvm::is_contained(border.getParts().take_front(border.getStacked()), step.getResult())) && step.getHow().get("frozen") && cast<PackedType>(border.getResult().getType()).getElement() == type.getElement())
          moved[name] = type.getDims()[0].constant * type.getDims()[1].constant * widthOf(type);
        else if (!border && !(reader && reader.getKind() == "gemm"))
          dense.insert(name);
      }
    }
  return std::accumulate(moved.begin(), moved.end(), int64_t{0}, [&](int64_t sum, const auto &one) { return dense.contains(one.first) ? sum : sum + one.second; });
}

/// What LibTorch's flash attention has for a moment, at most: results that are copied to their places; on the way back sums of q's gradient in f32, for 128 rows more of each
/// text, and gradients of keys and values for each head by itself where heads share them (as read in LibTorch 2.11).
int64_t attentionBytes(ModuleOp gpu, int64_t examples, int64_t length) {
  constexpr int64_t kBlock = 128, kHalf = 2, kFloat = 4;
  int64_t most = 0;
  gpu.walk([&](AttentionOp op) {
    auto q = cast<PackedType>(op.q().getType()), k = cast<PackedType>(op.k().getType());
    const auto rowsOf = [&](PackedType type) { return examples * (type.getDims()[0].constant + type.getDims()[0].scale * length); };
    const int64_t heads = q.getDims()[1].constant, kvHeads = k.getDims()[1].constant, size = q.getDims()[2].constant, rows = rowsOf(q), keys = rowsOf(k);
    int64_t bytes = rows * heads * size * kHalf + rows * heads * kFloat;
    if (op.getBackward()) {
      const int64_t padded = rows + kBlock * examples;
      bytes = rows * heads * size * kHalf + 2 * keys * kvHeads * size * kHalf + padded * heads * (llvm::alignTo(size, size <= kBlock ? 32 : 64) + 1) * kFloat + (heads == kvHeads ? 0 : 2 * keys * heads * size * kHalf);
    }
    most = std::max(most, bytes);
  });
  return most;
}

std::string gpuReport(ModuleOp module, ModuleOp gpu, int64_t examples, int64_t length) {
  const TrainingMemory parameters = trainingMemory(module, examples, length), memory = trainingMemory(gpu, examples, length);
  const int64_t weights = parameters.weights - movedBytes(gpu), borders = borderBytes(gpu), attention = attentionBytes(gpu, examples, length);
  const int64_t arena = memory.arena + memory.perThread; // a device is one thread
  return llvm::formatv("training on a GPU, {0} texts of {1} tokens\n", examples, length).str() + lineOf("frozen weights", weights, "as the checkpoint has them, or f32") +
         lineOf("with borders, rounded", borders, "matrices of products; a weight that only they read, in their type, is in them and not above") + lineOf("trained", parameters.trained, "values, gradients, the optimizer's states") +
         lineOf("a step's values", arena, "of all tokens; what batches of nearly one size share is a little more") + lineOf("  of them saved", memory.saved, "what backward reads of forward") +
         (memory.perThread ? lineOf("  of them in parts", memory.perThread, "wide rows, of which few are there at a time (`chunk_rows`)") : "") + (attention ? lineOf("attention", attention, "what the library has for a moment") : "") + lineOf("in all", weights + borders + parameters.trained + arena + attention, "beside the driver, LibTorch's libraries and the scratch of kernels") + "\n";
}

std::string programsReport(ModuleOp module, int64_t examples, int64_t length, bool onThreads) {
  std::string text = llvm::formatv("memory of a batch of {0} texts, {1} tokens each (bytes: c + e·texts + t·tokens + q·Σ tokens² + p{2}; t and q of all sequences)\n", examples, length, onThreads ? "·threads" : "").str();
  text += llvm::formatv("{0,-16} {1,6} {2,6} {3,10} {4,10} {5,10}  {6}\n", "program", "steps", "slots", "MiB", onThreads ? "a thread" : "in parts", "unshared", "polynomial").str();
  for (ProgramOp program : module.getOps<ProgramOp>()) {
    int64_t c = 0, e = 0, t = 0, q = 0, p = 0, unshared = 0, steps = 0;
    for (Attribute attribute : program.getSlots().value_or(ArrayAttr::get(module.getContext(), {}))) {
      auto size = cast<SizeAttr>(attribute);
      c += size.getC(), e += size.getE(), p += size.getP();
      t += std::accumulate(size.getTs().begin(), size.getTs().end(), size.getT());
      q += std::accumulate(size.getQs().begin(), size.getQs().end(), size.getQ());
    }
    for (Operation &op : program.getBody().front()) {
      if ((!isa<StepOp>(op) && !hasSlots(&op)) || isParameter(&op))
        continue;
      ++steps;
      for (Value result : op.getResults()) {
        auto type = cast<PackedType>(result.getType());
        if (auto size = sizeOf(type); succeeded(size) && type.getColumn() == 0) // what lies beside another value is in that one's rows
          unshared += size->at(examples, length);
      }
    }
    int64_t bytes = SizeAttr::get(module.getContext(), c, e, t, q, p).at(examples, length);
    size_t slots = program.getSlots() ? program.getSlots()->size() : 0;
    text += llvm::formatv("{0,-16} {1,6} {2,6} {3,10:f1} {4,10:f1} {5,10:f1}  c={6} e={7} t={8} q={9} p={10}\n", program.getName(), steps, slots,
                          bytes / 1048576.0, p / 1048576.0, unshared / 1048576.0, c, e, t, q, p)
                .str();
  }
  return text;
}
} // namespace

std::string mlir::plan::memoryReport(ModuleOp module, int64_t examples, int64_t length, int64_t threads) { return trainingReport(module, examples, length, threads) + programsReport(module, examples, length, true); }

std::string mlir::plan::gpuMemoryReport(ModuleOp module, ModuleOp gpu, int64_t examples, int64_t length) { return gpuReport(module, gpu, examples, length) + programsReport(gpu, examples, length, false); }
