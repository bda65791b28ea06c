// HoistSteps (plan-hoist-steps): what the library does for small values that depend on no layer comes first.
//
// In     plan.programs without places, for a device
// Out    steps of LibTorch's whose operands are inputs, parameters or made by such steps, and that make few bytes a token, stand before everything but parameters, in their order
// Errs   none
// Why here  a device records steps that follow each other and does them as one (runtime/plan/Stretches.h); a step that it must be asked for by itself (positions, a table
//        of angles) in the midst of a layer would make two of one. Behind all that makes steps; before buffers, which see for how long a value is there
#include "compiler/passes/plan/Begin.h"
#include "compiler/passes/plan/Passes.h"

using namespace mlir;
using namespace mlir::plan;

namespace {
/// Of all texts together, of a token and of a text: what lies there from the beginning on is not free for others.
constexpr int64_t kMostBytes = 1 << 20, kMostOfToken = 64, kMostOfText = 1 << 12;

bool isSmall(Value value) {
  auto size = sizeOf(cast<PackedType>(value.getType()));
  return succeeded(size) && size->getC() <= kMostBytes && size->getE() <= kMostOfText && size->getT() <= kMostOfToken && size->getQ() == 0 && size->getTs().empty() && size->getQs().empty();
}

/// Whether the library's handler does it alone, so that it would stand between two stretches; or it is another name for what is hoisted.
bool mayGo(Operation *op) {
  auto step = dyn_cast<StepOp>(op);
  return (step && step.getKind() == "aten" && !isParameter(op) && isSmall(step.getResult())) || isa<AliasOp>(op);
}

void hoist(Block &block) {
  llvm::DenseSet<Operation *> hoisted;
  SmallVector<Operation *> order;
  for (Operation &op : block) {
    const bool isThere = llvm::all_of(op.getOperands(), [&](Value operand) { return isGiven(operand) || hoisted.contains(operand.getDefiningOp()); });
    if (!mayGo(&op) || !isThere)
      continue;
    hoisted.insert(&op);
    order.push_back(&op);
  }
  const auto behindParameters = [&](Block::iterator from) { return std::find_if(from, block.end(), [](Operation &op) { return !isParameter(&op); }); };
  auto first = behindParameters(block.begin());
  for (Operation *op : order) {
    moveParametersBefore(&*first, op->getOperands());
    if (op == &*first)
      first = behindParameters(std::next(first));
    else
      op->moveBefore(&*first);
  }
}
} // namespace

LogicalResult mlir::plan::hoistSteps(ModuleOp module) {
  for (ProgramOp program : module.getOps<ProgramOp>())
    if (!program.getStreamed())
      hoist(program.getBody().front());
  return success();
}
