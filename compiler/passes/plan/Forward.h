// Forward: which ops of a step are its forward pass.
#pragma once
#include "dialects/plan/Plan.h"
#include "llvm/ADT/DenseSet.h"

namespace mlir::plan {

/// What the program's results but the gradients are made of, and `also`; but for ways back that methods have asked for.
llvm::DenseSet<Operation *> forwardOf(ProgramOp program, ArrayRef<Value> also = {});

} // namespace mlir::plan
