// Nvptx: a module of kernels becomes PTX, the text that NVIDIA's assembler and driver take, for one generation of GPUs.
//
// In   as Cpu.h's; what a GPU starts has the calling convention `ptx_kernelcc`, everything else is internal.
// Out  PTX of one module: an `.entry` for every such function. It needs no other module, libdevice included.
// Errs through emitError on the module: an op that cannot be lowered, a function that is nowhere.
// Numerics  as on a CPU: f32, subnormal numbers stay; division and roots are rounded correctly; products and sums may fuse. Equal modules give equal text.
#pragma once
#include "mlir/IR/BuiltinOps.h"
#include "llvm/Support/Error.h"
#include <string>

namespace peftc::target {

/// A row of Targets.def.
struct GpuTarget {
  llvm::StringRef name, features;
  unsigned lanes; ///< f32 elements that a thread takes at a time
  int64_t halfRate, rate, bandwidth; ///< GFLOP/s of bf16 and f32, GB/s
};

/// Older before newer.
llvm::ArrayRef<GpuTarget> gpuTargets();
/// Null where there is none of this name.
const GpuTarget *gpuTargetNamed(llvm::StringRef name);

/// PTX as a cubin, by NVIDIA's `assembler` (the path of ptxas). Errs: what it says.
llvm::Expected<std::string> assemblePtx(llvm::StringRef text, const GpuTarget &target, const std::string &assembler);
/// Of a module that is in the LLVM dialect. Any number of threads.
mlir::FailureOr<std::string> ptxOf(mlir::ModuleOp module, const GpuTarget &target);

} // namespace peftc::target
