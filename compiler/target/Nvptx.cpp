// Nvptx: see the header.
#include "compiler/target/Nvptx.h"
#include "compiler/target/Lowering.h"
#include "llvm/IR/Intrinsics.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Target/TargetOptions.h"
#include <mutex>

using namespace mlir;
using namespace peftc::target;

namespace {

constexpr const char *kTriple = "nvptx64-nvidia-cuda";

std::unique_ptr<llvm::TargetMachine> machineOf(const GpuTarget &target, std::string &error) {
  static std::once_flag once;
  std::call_once(once, [] {
    LLVMInitializeNVPTXTargetInfo();
    LLVMInitializeNVPTXTarget();
    LLVMInitializeNVPTXTargetMC();
    LLVMInitializeNVPTXAsmPrinter();
  });
  return machineFor({kTriple, target.name, target.features}, {}, std::nullopt, error);
}

/// Whether LLVM would make a call of libm, which a GPU does not have, of this intrinsic.
bool isLibraryCall(llvm::Intrinsic::ID id) {
  using namespace llvm;
  static constexpr Intrinsic::ID kCalls[] = {Intrinsic::acos, Intrinsic::asin,  Intrinsic::atan, Intrinsic::atan2, Intrinsic::cos, Intrinsic::cosh, Intrinsic::exp,
                                             Intrinsic::exp2, Intrinsic::exp10, Intrinsic::log,  Intrinsic::log2,  Intrinsic::log10, Intrinsic::pow, Intrinsic::powi,
                                             Intrinsic::sin,  Intrinsic::sinh,  Intrinsic::tan,  Intrinsic::tanh};
  return llvm::is_contained(kCalls, id);
}

/// A name that nothing here defines, or "". Without this check LLVM ends the process, or the driver refuses the text.
llvm::StringRef undefinedIn(const llvm::Module &module) {
  for (const llvm::Function &function : module)
    if (function.isDeclaration() && !function.use_empty() && (!function.isIntrinsic() || isLibraryCall(function.getIntrinsicID())))
      return function.getName();
  return "";
}

} // namespace

ArrayRef<GpuTarget> peftc::target::gpuTargets() {
  static constexpr GpuTarget kTargets[] = {
#define PEFT_CPU_TARGET(...)
#define PEFT_GPU_TARGET(NAME, FEATURES, LANES) {NAME, FEATURES, LANES},
#include "compiler/target/Targets.def"
  };
  return kTargets;
}

const GpuTarget *peftc::target::gpuTargetNamed(llvm::StringRef name) {
  const auto *found = llvm::find_if(gpuTargets(), [&](const GpuTarget &target) { return target.name == name; });
  return found == gpuTargets().end() ? nullptr : found;
}

FailureOr<std::string> peftc::target::compilePtx(ModuleOp module, const GpuTarget &target) {
  std::string error;
  const std::unique_ptr<llvm::TargetMachine> machine = machineOf(target, error);
  if (!machine)
    return module.emitError("no code can be made for `") << target.name << "`: " << error, failure();
  llvm::LLVMContext context;
  if (failed(lowerToLlvm(module)))
    return failure();
  const std::unique_ptr<llvm::Module> code = llvmOf(module, context, *machine);
  if (!code)
    return failure();
  optimize(*code, *machine);
  if (llvm::StringRef name = undefinedIn(*code); !name.empty())
    return module.emitError("a kernel needs `") << name << "`, which GPUs do not have", failure();
  llvm::SmallString<0> text;
  if (!emitCode(*code, *machine, llvm::CodeGenFileType::AssemblyFile, text))
    return module.emitError("LLVM writes no text for `") << target.name << "`", failure();
  return text.str().str();
}
