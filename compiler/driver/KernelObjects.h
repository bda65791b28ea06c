// KernelObjects: the phase `kernels`: the code of a module's kernels for every CPU, or for a GPU, made at once and kept for the next compile.
#pragma once
#include "compiler/target/Nvptx.h"
#include "mlir/IR/BuiltinOps.h"
#include <map>
#include <string>

namespace peftc {

struct KernelObjects {
  std::map<std::string, std::string> objects; ///< target → shared object, or PTX; none where no program has a kernel
  std::string internalError;                  ///< our bug
  std::string unwritten;                      ///< a temporary file that could not be written
};

/// For every CPU, or (`here`) for this machine's. `cacheFolder`: empty for no cache; it need not exist, and what cannot be kept is not.
KernelObjects compileKernels(mlir::ModuleOp module, bool here, const std::string &cacheFolder);
/// For one GPU.
KernelObjects compileGpuKernels(mlir::ModuleOp module, const target::GpuTarget &target, const std::string &cacheFolder);

} // namespace peftc
