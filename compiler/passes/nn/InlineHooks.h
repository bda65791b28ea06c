// InlineHooks: the module tree and its instances become whole functions of `nn` ops.
#pragma once
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Support/LogicalResult.h"

namespace mlir::nn {
/// Builds @train, @eval, @predict and a function per rewired site in `module`; see InlineHooks.cpp.
LogicalResult inlineHooks(ModuleOp module);
} // namespace mlir::nn
