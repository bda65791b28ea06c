// RowSums: what a kernel of rows sums over them: sums of each stretch of rows, in memory of the call, and a second function that adds those up.
//
// The stretches are the same whoever does them (compiler/passes/plan/Space.h), and what is added comes in their order: the bits do not depend on the number of threads.
#pragma once
#include "compiler/conversion/Kernel.h"

namespace peftc::conversion {

/// One of them. Behind a kernel's operands and results its data has a table [stretches, pitch] of f32 for each, in this order.
struct RowSum {
  unsigned result;   ///< which result of the kernel
  int64_t columns;
  int64_t pitch;     ///< columns up to a multiple that all vectors divide: what lies behind them may be written
};
llvm::SmallVector<RowSum> rowSumsOf(mlir::plan::KernelOp op);

/// `NAME__sums(call, begin, end)`: columns begin … end - 1 of each sum, if it has them. The call's operands are the tables, its results the sums, `elements` is how
/// many stretches there are.
mlir::LLVM::LLVMFuncOp emitRowSums(mlir::plan::KernelOp op, mlir::OpBuilder &builder, Machine machine);

} // namespace peftc::conversion
