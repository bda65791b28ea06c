// Lowering: what the back-ends of all targets share: kernels become the LLVM dialect, then LLVM IR that is optimized, then bytes.
//
// The order is lowerToLlvm, llvmOf, what a target adds (attributes, checks), optimize, emitCode. Errs through emitError on the module.
#pragma once
#include "mlir/IR/BuiltinOps.h"
#include "llvm/IR/Module.h"
#include "llvm/Target/TargetMachine.h"

namespace peftc::target {

/// What a caller needs before it builds kernels: llvm, scf, arith, math, vector, cf, index, ub and their translation to LLVM IR.
void loadKernelDialects(mlir::MLIRContext &context);

/// What of LLVM's target says a machine.
struct MachineName {
  llvm::StringRef triple, cpu, features;
};
/// Null, and why, where LLVM has no such machine. Its target must be initialized.
std::unique_ptr<llvm::TargetMachine> machineFor(const MachineName &name, llvm::TargetOptions options, std::optional<llvm::Reloc::Model> relocation, std::string &error);

/// Kernels into the LLVM dialect, in modules inside the module too. Any number of modules at once, if their context has threads.
mlir::LogicalResult lowerToLlvm(mlir::ModuleOp module);
/// Of a module that is in the LLVM dialect; null where it fails.
std::unique_ptr<llvm::Module> llvmOf(mlir::ModuleOp module, llvm::LLVMContext &context, const llvm::TargetMachine &machine);
void optimize(llvm::Module &module, llvm::TargetMachine &machine);
/// False where LLVM writes no such file for the machine.
bool emitCode(llvm::Module &module, llvm::TargetMachine &machine, llvm::CodeGenFileType type, llvm::SmallVectorImpl<char> &bytes);

} // namespace peftc::target
