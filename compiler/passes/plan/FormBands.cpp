// FormBands (plan-form-bands): steps on the same rows come together, so that a thread can take its rows through all of them.
//
// In     plan.program of steps and kernels without slots
// Out    the same in an order in which steps that do each row by itself stand together as far as what they read allows; those of a band have its number
//        (`plan.band`). Parameters come first.
// Errs   none
// Why here  after all steps are made; before buffers, because a band's results must not share bytes: its steps run at the same time, on different rows
//
// In the program's order: a step that needs all rows (attention, the gradient of a weight) waits until a step by rows needs what it makes, or the program ends.
#include "compiler/passes/plan/Passes.h"
#include "dialects/plan/Plan.h"
#include "llvm/ADT/DenseSet.h"

using namespace mlir;
using namespace mlir::plan;

namespace {

/// The packed rows of a value [rows, …] of every example.
std::optional<plan::Dim> rowsOf(Value value) {
  auto type = cast<PackedType>(value.getType());
  if (!type.getExample() || type.getDims().empty() || type.getDims()[0].scale == 0)
    return std::nullopt;
  return type.getDims()[0];
}

/// A product of rows with a matrix of the run.
std::optional<plan::Dim> rowsOfProduct(StepOp step) {
  StringRef equation = cast<StringAttr>(step.getHow().get("equation")).getValue();
  auto [inputs, out] = equation.split("->");
  auto [x, y] = inputs.split(',');
  auto rows = rowsOf(step.getResult());
  if (!rows || out.empty())
    return std::nullopt;
  for (bool second : {false, true}) {
    StringRef activations = second ? y : x;
    Value from = step.getInputs()[second ? 1 : 0], matrix = step.getInputs()[second ? 0 : 1];
    if (!activations.empty() && activations[0] == out[0] && rowsOf(from) == rows && !cast<PackedType>(matrix.getType()).getExample())
      return rows;
  }
  return std::nullopt;
}

/// The rows that the op does one by one, if it does.
std::optional<plan::Dim> rowsDoneBy(Operation *op) {
  if (auto kernel = dyn_cast<KernelOp>(op))
    return kernel.getSpace() == "rows" ? rowsOf(kernel.getResult(0)) : std::nullopt;
  auto step = dyn_cast<StepOp>(op);
  return step && step.getKind() == "gemm" ? rowsOfProduct(step) : std::nullopt;
}

class Bands {
public:
  explicit Bands(Block &block) : block(block) {}

  void form() {
    SmallVector<Operation *> ops = llvm::map_to_vector(block.without_terminator(), [](Operation &op) { return &op; });
    for (Operation *op : ops)
      if (auto step = dyn_cast<StepOp>(op); step && step.getOp() == "param")
        order.push_back(op);
    for (Operation *op : ops)
      if (auto step = dyn_cast<StepOp>(op); !step || step.getOp() != "param")
        take(op);
    close();
    for (Operation *op : order)
      op->moveBefore(block.getTerminator());
  }

private:
  void take(Operation *op) {
    const bool waits = llvm::any_of(op->getOperands(), [&](Value operand) { return waiting.contains(operand.getDefiningOp()); });
    if (isa<AliasOp>(op))
      return put(op, waits);
    auto rows = rowsDoneBy(op);
    if (rows && (waits || (!band.empty() && *rows != bandRows)))
      close();
    if (!rows)
      return put(op, /*last=*/true);
    bandRows = *rows;
    band.push_back(op);
    ++steps;
  }

  /// Into the band, or behind it.
  void put(Operation *op, bool last) {
    if (last && band.empty())
      order.push_back(op);
    else if (last)
      waiting.insert(op), behind.push_back(op);
    else
      (steps ? band : order).push_back(op);
  }

  void close() {
    for (Operation *op : band) {
      if (steps > 1)
        op->setAttr(kBand, IntegerAttr::get(IntegerType::get(op->getContext(), 64), number));
      order.push_back(op);
    }
    ++number;
    order.append(behind);
    band.clear(), behind.clear(), waiting.clear();
    steps = 0;
  }

  Block &block;
  SmallVector<Operation *> order, band, behind; ///< behind: the band
  llvm::DenseSet<Operation *> waiting;          ///< the same, to look up
  plan::Dim bandRows;
  int64_t steps = 0, number = 0; ///< steps: of the band, without aliases
};
} // namespace

LogicalResult mlir::plan::formBands(ModuleOp module) {
  for (ProgramOp program : module.getOps<ProgramOp>()) {
    Block &block = program.getBody().front();
    if (llvm::any_of(block, [](Operation &op) { return isa<KernelOp>(op); }))
      Bands(block).form();
  }
  return success();
}
