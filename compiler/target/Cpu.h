// Cpu: a module of kernels becomes the bytes of a shared object for one CPU.
//
// In   `llvm.func`s whose bodies mix ops of scf, arith, math, vector, cf, index and llvm; vectors have one axis.
// Out  an ELF object; linked with others, a shared object that needs no other library; every `llvm.func` of external linkage can be looked up by its name.
// Errs through emitError on the module: an op that cannot be lowered, an undefined symbol, a folder for temporary files that cannot be written.
// Numerics  f32. A product and a sum may become one fused multiply-add; a `vector.reduction` of sums is made as a tree. README.md has the errors
//           of the elementary functions. Equal modules give equal bytes.
#pragma once
#include "mlir/IR/BuiltinOps.h"
#include <string>

namespace peftc::target {

/// A row of Targets.def.
struct CpuTarget {
  llvm::StringRef name, cpu, features;
  unsigned lanes;      ///< f32 elements that a row kernel takes at a time
  unsigned vectorBits; ///< of a register
  bool pairs;          ///< whether it multiplies pairs of bf16
};

/// Worse before better.
llvm::ArrayRef<CpuTarget> cpuTargets();
/// The best of them that this machine runs; null: none.
const CpuTarget *cpuHere();

/// An ELF object of a module that is in the LLVM dialect (Lowering.h). Any number of modules at once, if their context has threads.
mlir::FailureOr<std::string> objectOf(mlir::ModuleOp module, const CpuTarget &target);
/// Objects of one target as one shared object; `names`: further names, and of which symbols. `at` is where failures are reported. `unwritten`: a temporary file, where that is why it failed.
mlir::FailureOr<std::string> linkObjects(mlir::ModuleOp at, llvm::ArrayRef<std::string> objects, llvm::ArrayRef<std::pair<std::string, std::string>> names, std::string &unwritten);
/// All of it, of one module, which is consumed.
mlir::FailureOr<std::string> compileShared(mlir::ModuleOp module, const CpuTarget &target, std::string &unwritten);

} // namespace peftc::target
