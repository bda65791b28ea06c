// Passes of the plan phase, in the order in which they run: plan-lower-programs, plan-assign-buffers.
#pragma once
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/Pass.h"
#include <memory>
#include <string>

namespace mlir::plan {
std::unique_ptr<Pass> createLowerPrograms(); ///< LowerPrograms.cpp
std::unique_ptr<Pass> createAssignBuffers(); ///< AssignBuffers.cpp
void registerPlanPasses();

/// A table of what each program's arena takes, for `examples` texts of `length` tokens.
std::string memoryReport(ModuleOp module, int64_t examples, int64_t length);
} // namespace mlir::plan
