// Entry: what a GPU starts for a kernel: every team of threads (a thread, where it is one) takes its share of the tasks and does them by the kernel's function.
#pragma once
#include "compiler/conversion/Code.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/IR/Builders.h"

namespace peftc::conversion {

/// The function that an entry calls, which becomes internal.
struct Bodies {
  mlir::LLVM::LLVMFuncOp any;
  mlir::LLVM::LLVMFuncOp whole = {}; ///< null, or the same for operands that begin where a whole vector may
  int64_t pointers = 0;              ///< operands and results, if there are two
};

/// `NAME__entry` (Kernels.h) for the body NAME. `share`: tasks that a team takes at a time. `block`: threads of a block, at most.
void emitEntry(Bodies bodies, mlir::OpBuilder &builder, Machine machine, int64_t share, int64_t block);

} // namespace peftc::conversion
