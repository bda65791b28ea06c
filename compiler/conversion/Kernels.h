// Kernels: the phase `kernels`: each plan.kernel becomes a function of generated code.
//
// A function is `void name(const KernelCall *call, i64 begin, i64 end)` (runtime/cpu/Kernels.h): it does rows begin … end - 1 (space `rows`), elements
// (`flat`), or the heads of examples (`tiles`: task e * heads + h).
//
// A kernel of rows that sums over them (RowSums.h) is called with `begin` a multiple of a stretch; then `NAME__sums` is, with columns.
//
// On a GPU the functions are internal, and what is started is `NAME__entry(const KernelCall *call)`: a grid of one axis, of any size, does tasks
// `call->first` … `call->tasks` - 1. The call is read from memory, so that what changes from run to run is not in what a launch is given (runtime/cuda/Graphs.h). A row is done by
// a team of `team` neighbouring threads (callOf), and blocks are whole teams. Every team has `call->scratchBytes` of its own, a multiple of 4, behind `call->scratch`. All pointers are to memory that the GPU reaches.
#pragma once
#include "compiler/conversion/Code.h"
#include "dialects/plan/Plan.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"
#include <nlohmann/json.hpp>

namespace peftc::conversion {

/// The kernel's functions, by what stands behind its name: nothing, and `__sums` where it sums over rows.
llvm::ArrayRef<llvm::StringRef> functionsOf(mlir::plan::KernelOp op);
/// One of them. Any number of threads, each with a builder of its own.
mlir::LLVM::LLVMFuncOp emitFunction(mlir::plan::KernelOp op, llvm::StringRef which, mlir::OpBuilder &builder, Machine machine);
/// All of them with their entries, for a GPU whose threads take `lanes` f32 at a time. Any number of threads.
void emitGpuFunctions(mlir::plan::KernelOp op, mlir::OpBuilder &builder, unsigned lanes);
/// A module of llvm.funcs, one a symbol, for a CPU.
mlir::OwningOpRef<mlir::ModuleOp> kernelModule(mlir::ModuleOp plan, Machine machine);
/// The same for a GPU.
mlir::OwningOpRef<mlir::ModuleOp> gpuKernelModule(mlir::ModuleOp plan, unsigned lanes);

/// How the runtime calls the kernel (runtime/bundle/README.md).
nlohmann::json callOf(mlir::plan::KernelOp op);

} // namespace peftc::conversion
