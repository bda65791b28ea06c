// DropBands (plan-drop-bands): the programs of a device whose threads do not take rows through several steps.
//
// In     plan.programs as a CPU has them
// Out    the same without bands, and without places
// Errs   none
// Why here  first of what is done for a device: what lies where is decided anew
#include "compiler/passes/plan/Passes.h"
#include "dialects/plan/Plan.h"

using namespace mlir;
using namespace mlir::plan;

LogicalResult mlir::plan::dropBands(ModuleOp module) {
  for (ProgramOp program : module.getOps<ProgramOp>()) {
    program.removeSlotsAttr();
    program.removeBandsAttr();
    for (Operation &op : program.getBody().front()) {
      op.removeAttr(kBand);
      if (auto step = dyn_cast<StepOp>(op))
        step.removeSlotAttr();
      if (auto kernel = dyn_cast<KernelOp>(op))
        kernel.removeSlotsAttr();
    }
  }
  return success();
}
