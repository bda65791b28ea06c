// Entry: what a GPU starts for a kernel: every thread takes its share of the tasks and does them by the kernel's function.
#pragma once
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/IR/Builders.h"

namespace peftc::conversion {

/// `NAME__entry` (Kernels.h) for the function `body`, which becomes internal. `share`: tasks that a thread takes at a time.
void emitEntry(mlir::LLVM::LLVMFuncOp body, mlir::OpBuilder &builder, unsigned lanes, int64_t share);

} // namespace peftc::conversion
