// KernelSpace: over what a kernel goes, and which of its values are whole rows of that.
#pragma once
#include "compiler/passes/plan/Space.h"
#include "dialects/plan/Plan.h"

namespace mlir::plan {

/// The space that holds all ops of the kernel.
Space spaceOf(KernelOp op);
/// In a space of rows: a vector that all parts of a row share, or rows share where it is the run's.
bool isShared(const Space &space, nn::NNType type);
/// In a space of rows: a number of each part, of the row's or of any row's where it is the run's.
bool isOfPart(const Space &space, nn::NNType type);
/// In a space of rows: all parts of each row, one behind the other.
bool isWholeRow(const Space &space, nn::NNType type);

} // namespace mlir::plan
