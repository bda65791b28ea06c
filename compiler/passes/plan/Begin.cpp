// Begin: see the header.
#include "compiler/passes/plan/Begin.h"

using namespace mlir;
using namespace mlir::plan;

bool mlir::plan::isGiven(Value value) { return isa<BlockArgument>(value) || isParameter(value.getDefiningOp()); }

void mlir::plan::moveParametersBefore(Operation *first, ValueRange given) {
  for (Value value : given)
    if (Operation *parameter = value.getDefiningOp(); isParameter(parameter) && !parameter->isBeforeInBlock(first))
      parameter->moveBefore(first); // it reads nothing
}

OpBuilder mlir::plan::atBegin(Block &block, ValueRange given) {
  Operation *first = &*llvm::find_if(block, [](Operation &op) { return !isParameter(&op) && !isa<BorderOp>(op); });
  moveParametersBefore(first, given);
  return OpBuilder(first);
}
