// TrainingMemory: see the header.
#include "compiler/passes/plan/TrainingMemory.h"
#include "compiler/passes/plan/BandRows.h"
#include "compiler/passes/plan/Forward.h"
#include "compiler/passes/plan/Passes.h"
#include "dialects/nn/Nn.h"
#include "dialects/plan/Plan.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/DenseSet.h"
#include "llvm/Support/FormatVariadic.h"

using namespace mlir;
using namespace mlir::plan;

namespace {
constexpr int64_t kFloat = 4, kHalf = 2, kSplit = 6; ///< kSplit: as products by AMX read an f32

int64_t elementsOf(nn::ParameterOp parameter) { return cast<nn::NNType>(parameter.getType()).elements(); }

/// How many numbers an optimizer keeps of each trained one.
int64_t statesOf(ModuleOp module) {
  int64_t most = 0;
  for (auto function : module.getOps<func::FuncOp>()) {
    int64_t states = 0;
    for (unsigned i = 0; i < function.getNumArguments(); ++i)
      if (auto name = function.getArgAttrOfType<StringAttr>(i, "nn.name"))
        states += name.getValue().starts_with("state.");
    most = std::max(most, states);
  }
  return most;
}

/// The frozen parameter behind a product's operand, if it is one.
nn::ParameterOp frozenBehind(Value operand, const llvm::StringMap<nn::ParameterOp> &parameters) {
  auto step = rootOf(operand).getDefiningOp<StepOp>();
  if (!step || step.getOp() != "param")
    return {};
  auto found = parameters.find(cast<StringAttr>(step.getHow().get("name")).getValue());
  if (found == parameters.end())
    return {};
  nn::ParameterOp parameter = found->second;
  return parameter.getTrainable() ? nn::ParameterOp() : parameter;
}

int64_t preparedBytes(ProgramOp program, ModuleOp module) {
  llvm::StringMap<nn::ParameterOp> parameters;
  for (auto parameter : module.getOps<nn::ParameterOp>())
    parameters[parameter.getSymName()] = parameter;
  const int64_t element = module->hasAttr(kBf16) ? kHalf : kSplit;
  llvm::DenseSet<std::pair<Operation *, StringRef>> orders; // a product and its gradient read a matrix in two orders
  int64_t bytes = 0;
  for (auto step : program.getBody().front().getOps<StepOp>()) {
    if (step.getKind() != "gemm" || step.getInputs().size() < 2)
      continue;
    auto equation = step.getHow().getAs<StringAttr>("equation");
    for (Value operand : step.getInputs())
      if (nn::ParameterOp parameter = frozenBehind(operand, parameters); parameter && equation && orders.insert({parameter, equation.getValue()}).second)
        bytes += element * elementsOf(parameter);
  }
  return bytes;
}

/// What lies in memory for all rows, is made forward, and is read by something that the loss is not made of.
int64_t savedBytes(ProgramOp program, int64_t examples, int64_t length) {
  const BandRows rows(program);
  const llvm::DenseSet<Operation *> forward = forwardOf(program);
  llvm::DenseSet<int64_t> seen; // slots, of which what lies in a table has one together; what is saved is there at the same time
  int64_t bytes = 0;
  for (Operation &op : program.getBody().front().without_terminator())
    for (Value operand : op.getOperands()) {
      Value root = rootOf(operand);
      if (forward.contains(&op) || isa<AliasOp>(op) || !forward.contains(root.getDefiningOp()) || !slotOf(root) || rows.isThreads(root) || !seen.insert(*slotOf(root)).second)
        continue;
      if (auto size = sizeOf(cast<PackedType>(root.getType())); succeeded(size))
        bytes += size->at(examples, length);
    }
  return bytes;
}
} // namespace

TrainingMemory mlir::plan::trainingMemory(ModuleOp module, int64_t examples, int64_t length) {
  TrainingMemory memory;
  const int64_t copies = 2 + statesOf(module);
  for (auto parameter : module.getOps<nn::ParameterOp>())
    (parameter.getTrainable() ? memory.trained : memory.weights) += (parameter->hasAttr(kBf16) ? kHalf : kFloat) * elementsOf(parameter) * (parameter.getTrainable() ? copies : 1);
  for (ProgramOp program : module.getOps<ProgramOp>()) {
    if (program.getName() != "train_step" || !program.getSlots())
      continue;
    for (auto size : program.getSlots()->getAsRange<SizeAttr>())
      memory.arena += size.at(examples, length), memory.perThread += size.getP();
    memory.prepared = preparedBytes(program, module);
    memory.saved = savedBytes(program, examples, length);
  }
  return memory;
}

std::string mlir::plan::spellBytes(int64_t bytes) {
  const int64_t kilo = 1 << 10, mega = kilo << 10, giga = mega << 10;
  if (bytes >= giga)
    return llvm::formatv("{0:f2} GiB", static_cast<double>(bytes) / static_cast<double>(giga)).str();
  const bool few = bytes < mega;
  return llvm::formatv("{0:f1} {1}", static_cast<double>(bytes) / static_cast<double>(few ? kilo : mega), few ? "KiB" : "MiB").str();
}
