// KernelObjects: the phase `kernels`: the code of a module's kernels for every CPU, or for a GPU, made at once and kept for the next compile.
//
// A cache entry is named by a hash of everything that its bytes depend on: the kernels' text, the target and this program's own file. It is written
// beside its place and renamed, so that compiles at the same time see none or a whole one; what is not whole is made again.
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

/// For every CPU. `cacheFolder`: empty for no cache; it need not exist, and what cannot be kept is not.
KernelObjects compileKernels(mlir::ModuleOp module, const std::string &cacheFolder);
/// For one GPU.
KernelObjects compileGpuKernels(mlir::ModuleOp module, const target::GpuTarget &target, const std::string &cacheFolder);

} // namespace peftc
