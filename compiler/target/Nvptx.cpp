// Nvptx: see the header.
#include "compiler/target/Nvptx.h"
#include "compiler/target/Lowering.h"
#include "llvm/IR/Intrinsics.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FileUtilities.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Program.h"
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
#define PEFT_GPU_TARGET(NAME, ...) {NAME, __VA_ARGS__},
#include "compiler/target/Targets.def"
  };
  return kTargets;
}

const GpuTarget *peftc::target::gpuTargetNamed(llvm::StringRef name) {
  const auto *found = llvm::find_if(gpuTargets(), [&](const GpuTarget &target) { return target.name == name; });
  return found == gpuTargets().end() ? nullptr : found;
}

FailureOr<std::string> peftc::target::ptxOf(ModuleOp module, const GpuTarget &target) {
  std::string error;
  const std::unique_ptr<llvm::TargetMachine> machine = machineOf(target, error);
  if (!machine)
    return module.emitError("no code can be made for `") << target.name << "`: " << error, failure();
  llvm::LLVMContext context;
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

llvm::Expected<std::string> peftc::target::assemblePtx(llvm::StringRef text, const GpuTarget &target, const std::string &assembler) {
  llvm::SmallString<64> paths[3]; // the text, the cubin, what is said
  const char *suffixes[] = {"ptx", "cubin", "txt"};
  llvm::FileRemover removers[3];
  for (int index = 0; index < 3; ++index) {
    if (std::error_code error = llvm::sys::fs::createTemporaryFile("peft-kernels", suffixes[index], paths[index]))
      return llvm::createStringError(error, "no temporary file: " + error.message());
    removers[index].setFile(paths[index]);
  }
  std::error_code error;
  llvm::raw_fd_ostream file(paths[0], error);
  file << text;
  file.close();
  if (error || file.has_error())
    return llvm::createStringError(file.error(), "a temporary file cannot be written");
  const std::string arch = "-arch=" + target.name.str();
  const llvm::StringRef byAllThreads = "--split-compile=0"; // since CUDA 12.1
  std::string why;
  int code = 0;
  const auto assemble = [&](std::vector<llvm::StringRef> more) {
    more.insert(more.begin(), {assembler, arch, paths[0], "-o", paths[1]});
    code = llvm::sys::ExecuteAndWait(assembler, more, std::nullopt, {llvm::StringRef(""), llvm::StringRef(paths[2]), llvm::StringRef(paths[2])}, 0, 0, &why);
    return llvm::MemoryBuffer::getFile(paths[2]);
  };
  auto said = assemble({byAllThreads});
  if (code != 0 && said && (*said)->getBuffer().contains("split-compile"))
    said = assemble({});
  auto made = llvm::MemoryBuffer::getFile(paths[1]);
  if (code == 0 && made && (*made)->getBufferSize() > 0)
    return (*made)->getBuffer().str();
  const llvm::StringRef words = said ? (*said)->getBuffer().trim() : "";
  return llvm::createStringError(llvm::inconvertibleErrorCode(), !words.empty() ? words.split('\n').first.str() : !why.empty() ? why : "it ended with " + std::to_string(code));
}
