// Passes of the `nn` phase, in the order in which compiler/driver/Phases.cpp runs them. Each file opens with its contract.
#pragma once
#include "compiler/passes/nn/InlineHooks.h"

namespace mlir::nn {
LogicalResult deriveGradients(ModuleOp module);
LogicalResult deriveMerge(ModuleOp module);
LogicalResult deriveImport(ModuleOp module);
LogicalResult deriveDecode(ModuleOp module);
LogicalResult selectRows(ModuleOp module);
LogicalResult exposeStructure(ModuleOp module);
LogicalResult deriveBackward(ModuleOp module);
LogicalResult pruneToTrainable(ModuleOp module);
LogicalResult hoistRates(ModuleOp module);
} // namespace mlir::nn
