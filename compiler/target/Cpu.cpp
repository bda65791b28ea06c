// Cpu: see the header. LLVM IR (Lowering.cpp) becomes an object in memory; the link is LinkShared.cpp's.
#include "compiler/target/Cpu.h"
#include "compiler/target/LinkShared.h"
#include "compiler/target/Lowering.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Target/TargetOptions.h"
#include <mutex>

using namespace mlir;
using namespace peftc::target;

namespace {

constexpr const char *kTriple = "x86_64-unknown-linux-gnu";

std::unique_ptr<llvm::TargetMachine> machineOf(const CpuTarget &target, std::string &error) {
  static std::once_flag once;
  std::call_once(once, [] {
    LLVMInitializeX86TargetInfo();
    LLVMInitializeX86Target();
    LLVMInitializeX86TargetMC();
    LLVMInitializeX86AsmPrinter();
  });
  llvm::TargetOptions options;
  options.FunctionSections = true; // what the linker drops, it drops by section
  return machineFor({kTriple, target.cpu, target.features}, options, llvm::Reloc::PIC_, error);
}

} // namespace

ArrayRef<CpuTarget> peftc::target::cpuTargets() {
  static constexpr CpuTarget kTargets[] = {
#define PEFT_CPU_TARGET(NAME, CPU, FEATURES, LANES, VECTOR_BITS, PAIRS) {NAME, CPU, FEATURES, LANES, VECTOR_BITS, PAIRS},
#define PEFT_GPU_TARGET(...)
#include "compiler/target/Targets.def"
  };
  return kTargets;
}

FailureOr<std::string> peftc::target::compileShared(ModuleOp module, const CpuTarget &target, std::string &unwritten) {
  std::string error;
  const std::unique_ptr<llvm::TargetMachine> machine = machineOf(target, error);
  if (!machine)
    return module.emitError("no code can be made for `") << target.name << "`: " << error, failure();
  llvm::LLVMContext context;
  const std::unique_ptr<llvm::Module> code = llvmOf(module, context, *machine);
  if (!code)
    return failure();
  for (llvm::Function &function : *code)
    if (!function.isDeclaration())
      function.addFnAttr("prefer-vector-width", std::to_string(target.vectorBits));
  optimize(*code, *machine);
  llvm::SmallString<0> object;
  if (!emitCode(*code, *machine, llvm::CodeGenFileType::ObjectFile, object))
    return module.emitError("LLVM writes no objects for `") << target.name << "`", failure();
  llvm::Expected<std::string> shared = linkShared(object, unwritten);
  if (!shared)
    return module.emitError("the kernels do not link: ") << llvm::toString(shared.takeError()), failure();
  return std::move(*shared);
}
