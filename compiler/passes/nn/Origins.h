// Origins: `nn.origin` in terms of positions, once all that is joined to a value is known.
#pragma once
#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace mlir::nn {
/// Replaces every nn.origin of a function. Fails where an entry's place cannot be told, naming the op that hides it.
LogicalResult resolveOrigins(func::FuncOp func, OpBuilder &builder);
} // namespace mlir::nn
