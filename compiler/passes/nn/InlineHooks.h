// InlineHooks: the module tree and its instances become whole functions of `nn` ops.
#pragma once
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Support/LogicalResult.h"

namespace mlir::nn {
/// On a module whose @train is to say where its layers (modules of the kind `layer`) begin and end.
inline constexpr StringLiteral kMarksLayers = "nn.marks_layers";
/// Builds @train, @eval, @predict and a function per rewired site in `module`; see InlineHooks.cpp.
LogicalResult inlineHooks(ModuleOp module);
} // namespace mlir::nn
