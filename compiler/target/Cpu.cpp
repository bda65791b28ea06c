// Cpu: see the header. LLVM IR (Lowering.cpp) becomes an object in memory; the link is LinkShared.cpp's.
#include "compiler/target/Cpu.h"
#include "compiler/target/LinkShared.h"
#include "compiler/target/Lowering.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Target/TargetOptions.h"
#include "llvm/TargetParser/Host.h"
#include "llvm/TargetParser/X86TargetParser.h"
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

const CpuTarget *peftc::target::cpuHere() {
  const llvm::StringMap<bool> machine = llvm::sys::getHostCPUFeatures();
  const auto has = [&](StringRef feature) { // some that every x86-64 has are not listed
    const auto found = machine.find(feature);
    return found == machine.end() || found->second;
  };
  const CpuTarget *best = nullptr;
  for (const CpuTarget &target : cpuTargets()) {
    SmallVector<StringRef> needed;
    llvm::X86::getFeaturesForCPU(target.cpu, needed);
    target.features.split(needed, ',', -1, /*KeepEmpty=*/false);
    if (llvm::all_of(needed, [&](StringRef feature) { return has(feature.ltrim('+')); }))
      best = &target;
  }
  return best;
}

FailureOr<std::string> peftc::target::objectOf(ModuleOp module, const CpuTarget &target) {
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
  return object.str().str();
}

FailureOr<std::string> peftc::target::linkObjects(ModuleOp at, ArrayRef<std::string> objects, ArrayRef<std::pair<std::string, std::string>> names, std::string &unwritten) {
  llvm::Expected<std::string> shared = linkShared(objects, names, unwritten);
  if (!shared)
    return at.emitError("the kernels do not link: ") << llvm::toString(shared.takeError()), failure();
  return std::move(*shared);
}

FailureOr<std::string> peftc::target::compileShared(ModuleOp module, const CpuTarget &target, std::string &unwritten) {
  FailureOr<std::string> object = failed(lowerToLlvm(module)) ? FailureOr<std::string>(failure()) : objectOf(module, target);
  return failed(object) ? object : linkObjects(module, *object, {}, unwritten);
}
