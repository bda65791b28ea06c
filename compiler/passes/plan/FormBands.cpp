// FormBands (plan-form-bands): steps on the same rows come together, so that a thread can take its rows through all of them.
//
// In     plan.program of steps and kernels without slots
// Out    the same in an order in which steps that do each row by itself stand together as far as what they read allows; those of a band have its number
//        (`plan.band`). Parameters come first.
// Errs   none
// Why here  after all steps are made; before buffers, because what only a band makes and reads needs no place for all rows, and what lies there for all rows must
//        not share bytes: a band's steps run at the same time, on different rows
//
// In the program's order: a step that needs all rows of what the band makes (attention, the gradient of a weight) waits until a step by rows needs what it makes,
// or the program ends, and so does what reads a sum over the band's rows; one that needs nothing of the band's (what a loss knows of its targets) stands before it.
#include "compiler/passes/plan/Passes.h"
#include "compiler/passes/plan/Space.h"
#include "compiler/passes/plan/StepAttributes.h"
#include "dialects/plan/Plan.h"
#include "llvm/ADT/DenseSet.h"

using namespace mlir;
using namespace mlir::plan;

namespace {

std::optional<plan::Dim> rowsOf(Value value) { return plan::rowsOf(cast<PackedType>(value.getType())); }

/// A product of rows with a matrix of the run, as all three lie: [row, sum] and [sum, columns] or [columns, sum] to [row, columns]. Its factors are the inputs from
/// `first` on.
std::optional<plan::Dim> rowsOfProduct(StepOp step, StringRef equation, unsigned first) {
  auto [inputs, out] = equation.split("->");
  auto [x, y] = inputs.split(',');
  auto rows = rowsOf(step.getResult());
  if (!rows || out.empty())
    return std::nullopt;
  for (bool second : {false, true}) {
    StringRef activations = second ? y : x;
    Value from = step.getInputs()[first + (second ? 1 : 0)], matrix = step.getInputs()[first + (second ? 0 : 1)];
    StringRef letters = second ? x : y, sum = activations.drop_front(!activations.empty()), columns = out.drop_front();
    const bool lies = letters == (sum + columns).str() || letters == (columns + sum).str();
    if (!sum.empty() && activations[0] == out[0] && lies && rowsOf(from) == rows && !cast<PackedType>(matrix.getType()).getExample())
      return rows;
  }
  return std::nullopt;
}

std::optional<plan::Dim> rowsOfProducts(StepOp step) {
  auto equationOf = [&](StringRef name) { return cast<StringAttr>(step.getHow().get(name)).getValue(); };
  auto rows = rowsOfProduct(step, equationOf("equation"), 0);
  return rows && hasBranch(step) ? rowsOfProduct(step, equationOf("branch"), 2) : rows;
}

/// The sum over rows that the value is, if a kernel makes it.
nn::ReduceOp sumOf(Value value) {
  auto kernel = value.getDefiningOp<KernelOp>();
  return kernel ? rowSum(kernel.getBody().front().getTerminator()->getOperand(cast<OpResult>(value).getResultNumber())) : nn::ReduceOp();
}

/// The rows that the op does one by one, if it does.
std::optional<plan::Dim> rowsDoneBy(Operation *op) {
  if (auto kernel = dyn_cast<KernelOp>(op)) {
    if (kernel.getSpace() != "rows")
      return std::nullopt;
    nn::ReduceOp sum = sumOf(kernel.getResult(0));
    return sum ? rowsOf(packed(cast<nn::NNType>(sum.getX().getType()))) : rowsOf(kernel.getResult(0));
  }
  auto step = dyn_cast<StepOp>(op);
  return step && step.getKind() == "gemm" ? rowsOfProducts(step) : std::nullopt;
}

class Bands {
public:
  explicit Bands(Block &block) : block(block) {}

  void form() {
    SmallVector<Operation *> ops = llvm::map_to_vector(block.without_terminator(), [](Operation &op) { return &op; });
    for (Operation *op : ops)
      if (isParameter(op))
        order.push_back(op);
    for (Operation *op : ops)
      if (!isParameter(op))
        take(op);
    close();
    for (Operation *op : order)
      op->moveBefore(block.getTerminator());
  }

private:
  void take(Operation *op) {
    auto reads = [&](const llvm::DenseSet<Operation *> &made) { return llvm::any_of(op->getOperands(), [&](Value operand) { return made.contains(operand.getDefiningOp()); }); };
    auto isSumInside = [&](Value operand) { return inside.contains(operand.getDefiningOp()) && sumOf(operand); }; // which is there behind the band
    const bool waits = reads(waiting) || llvm::any_of(op->getOperands(), isSumInside);
    if (isa<AliasOp>(op) && !waits)
      return put(op, reads(inside) ? Place::inside : Place::before);
    auto rows = isa<AliasOp>(op) ? std::nullopt : rowsDoneBy(op);
    if (!rows)
      return put(op, waits || reads(inside) ? Place::behind : Place::before);
    if (waits || (steps && *rows != bandRows))
      close();
    bandRows = *rows;
    put(op, Place::inside);
    ++steps;
  }

  enum class Place { before, inside, behind }; ///< of the band
  void put(Operation *op, Place place) {
    if (place == Place::before)
      order.push_back(op);
    else if (place == Place::inside)
      inside.insert(op), band.push_back(op);
    else
      waiting.insert(op), behind.push_back(op);
  }

  void close() {
    for (Operation *op : band) {
      if (steps > 1)
        op->setAttr(kBand, IntegerAttr::get(IntegerType::get(op->getContext(), 64), number));
      order.push_back(op);
    }
    number += steps > 1;
    order.append(behind);
    band.clear(), behind.clear(), inside.clear(), waiting.clear();
    steps = 0;
  }

  Block &block;
  SmallVector<Operation *> order, band, behind;
  llvm::DenseSet<Operation *> inside, waiting; ///< the band, and what is behind it, to look up
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
