// DropPlaces (plan-drop-places): a CPU's programs without where a CPU has put what.
//
// In     plan.programs as a CPU has them
// Out    the same without slots, and without how many rows a thread takes through a band; which steps stand together on the same rows is kept (plan-narrow-bands)
// Errs   none
// Why here  first of what is done for a device: what lies where is decided anew
#include "compiler/passes/plan/Passes.h"
#include "dialects/plan/Plan.h"

using namespace mlir;
using namespace mlir::plan;

LogicalResult mlir::plan::dropPlaces(ModuleOp module) {
  for (ProgramOp program : module.getOps<ProgramOp>()) {
    program.removeSlotsAttr();
    program.removeBandsAttr();
    for (Operation &op : program.getBody().front()) {
      if (auto step = dyn_cast<StepOp>(op))
        step.removeSlotAttr();
      if (auto kernel = dyn_cast<KernelOp>(op))
        kernel.removeSlotsAttr();
    }
  }
  return success();
}
