// Verify: the labelled constraints of PlanOps.td. program_c4 is checked by following the steps in order, independently of how
// slots were chosen.
#include "dialects/plan/Plan.h"
#include "llvm/ADT/DenseMap.h"

using namespace mlir;
using namespace mlir::plan;

LogicalResult StepOp::verify() {
  // step_c1
  if (!isKind(getKind()))
    return emitOpError("no kind of step is called `") << getKind() << "`";
  if (!isOp(getOp()))
    return emitOpError("no op is called `") << getOp() << "`";
  // step_c2
  if (getKind() == "gemm" && getOp() != "contract")
    return emitOpError("a gemm is a contract, not `") << getOp() << "`";
  if ((getKind() == "random") != (getOp() == "random"))
    return emitOpError("`") << getOp() << "` is not done by a step of kind `" << getKind() << "`";
  return success();
}

LogicalResult AliasOp::verify() {
  // alias_c1
  PackedType from = getSource().getType(), to = getResult().getType();
  auto before = sizeOf(from), after = sizeOf(to);
  if (from.getElement() != to.getElement() || from.getExample() != to.getExample() || failed(before) || failed(after) ||
      *before != *after)
    return emitOpError("cannot see ") << from << " as " << to;
  return success();
}

LogicalResult ProgramOp::verify() {
  // program_c1
  if (getInputNames().size() != getBody().getNumArguments())
    return emitOpError("names ") << getInputNames().size() << " inputs of " << getBody().getNumArguments();
  // program_c2
  auto end = dyn_cast<ReturnOp>(getBody().front().back());
  if (!end)
    return emitOpError("does not end in plan.return");
  if (getResultNames().size() != end.getValues().size())
    return emitOpError("names ") << getResultNames().size() << " results of " << end.getValues().size();
  return success();
}

// program_c3
static LogicalResult verifySlot(StepOp step, ArrayAttr slots) {
  if (step.getOp() == "param")
    return step.getSlot() ? step.emitOpError("a parameter needs no slot") : success();
  if (!step.getSlot())
    return step.emitOpError("has no slot");
  if (*step.getSlot() >= slots.size())
    return step.emitOpError("there is no slot ") << *step.getSlot();
  auto size = sizeOf(step.getResult().getType());
  auto slot = dyn_cast<SizeAttr>(slots[*step.getSlot()]);
  if (failed(size) || !slot || !slot.holds(*size))
    return step.emitOpError("its result does not fit slot ") << *step.getSlot();
  return success();
}

LogicalResult ProgramOp::verifyRegions() {
  if (!getSlots())
    return success();
  llvm::DenseMap<int64_t, Value> owner; // what lies in a slot now
  auto lost = [&](Value value) {
    auto step = rootOf(value).getDefiningOp<StepOp>();
    return step && step.getSlot() && owner.lookup(*step.getSlot()) != step.getResult();
  };
  for (Operation &op : getBody().front()) {
    for (Value operand : op.getOperands()) // program_c4
      if (lost(operand))
        return op.emitOpError("reads a value whose slot was written since");
    auto step = dyn_cast<StepOp>(op);
    if (!step)
      continue;
    if (failed(verifySlot(step, *getSlots())))
      return failure();
    if (!step.getSlot())
      continue;
    for (Value operand : step.getInputs()) { // program_c5
      auto made = rootOf(operand).getDefiningOp<StepOp>();
      if (made && made.getSlot() == step.getSlot() &&
          !(isElementwise(step.getOp()) && operand.getType() == step.getResult().getType()))
        return step.emitOpError("writes over its operand in slot ") << *step.getSlot();
    }
    owner[*step.getSlot()] = step.getResult();
  }
  return success();
}

#define GET_OP_CLASSES
#include "dialects/plan/PlanOps.cpp.inc"
