// Entry: what a GPU starts for a kernel: every thread takes its share of the tasks and does them by the kernel's function.
#pragma once
#include "dialects/plan/Plan.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/IR/Builders.h"

namespace peftc::conversion {

/// `NAME__entry` (Kernels.h) for the kernel's function `body`.
void emitEntry(mlir::plan::KernelOp op, mlir::LLVM::LLVMFuncOp body, mlir::OpBuilder &builder, unsigned lanes);

} // namespace peftc::conversion
