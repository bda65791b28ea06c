// Begin: what a program has before anything else is done.
#pragma once
#include "dialects/plan/Plan.h"

namespace mlir::plan {

/// What holds still while a program runs, and is there at its begin: an input or a parameter.
bool isGiven(Value value);
/// Those of `given` that are parameters, and behind `first`, are moved before it.
void moveParametersBefore(Operation *first, ValueRange given);
/// Before everything but parameters and borders, so that nothing interrupts what a device does as one. Those of `given` that are parameters are moved before it.
OpBuilder atBegin(Block &block, ValueRange given);

} // namespace mlir::plan
