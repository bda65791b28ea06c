// KernelObjects: the phase `kernels`: the code of a module's kernels for every CPU and for GPUs, made at once and kept for the next compile.
#pragma once
#include "compiler/target/Nvptx.h"
#include "mlir/IR/BuiltinOps.h"
#include "runtime/bundle/Format.h"
#include <map>
#include <string>

namespace peftc {

struct KernelObjects {
  std::map<std::string, std::string> objects; ///< CPU → shared object; none where no program has a kernel
  std::map<std::string, peftrt::GpuCode> gpu; ///< GPU → its code
  std::string internalError;                  ///< our bug
  std::string unwritten;                      ///< a temporary file that could not be written
  std::string notAssembled;                   ///< what the assembler said
};

/// For whom, and what helps.
struct KernelTargets {
  bool here = false;     ///< for this machine's CPU only, else for every one
  llvm::ArrayRef<const target::GpuTarget *> gpus;
  std::string assembler; ///< empty: none
};
/// `gpuModule`: the programs for GPUs, or null where there are none. `cacheFolder`: empty for no cache; it need not exist, and what cannot be kept is not.
KernelObjects compileKernels(mlir::ModuleOp module, mlir::ModuleOp gpuModule, const KernelTargets &targets, const std::string &cacheFolder);
/// The text for one GPU alone.
KernelObjects compileGpuKernels(mlir::ModuleOp module, const target::GpuTarget &target, const std::string &cacheFolder);

} // namespace peftc
