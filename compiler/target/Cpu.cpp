// Cpu: see the header. Three parts: ops to the LLVM dialect (lowerToLlvm), LLVM IR to an object (optimize, emitObject), the link (LinkShared.cpp).
#include "compiler/target/Cpu.h"
#include "compiler/target/Elementary.h"
#include "compiler/target/LinkShared.h"
#include "mlir/Conversion/ArithToLLVM/ArithToLLVM.h"
#include "mlir/Conversion/ControlFlowToLLVM/ControlFlowToLLVM.h"
#include "mlir/Conversion/IndexToLLVM/IndexToLLVM.h"
#include "mlir/Conversion/MathToLLVM/MathToLLVM.h"
#include "mlir/Conversion/ReconcileUnrealizedCasts/ReconcileUnrealizedCasts.h"
#include "mlir/Conversion/SCFToControlFlow/SCFToControlFlow.h"
#include "mlir/Conversion/UBToLLVM/UBToLLVM.h"
#include "mlir/Conversion/VectorToLLVM/ConvertVectorToLLVMPass.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlow.h"
#include "mlir/Dialect/Index/IR/IndexDialect.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/UB/IR/UBOps.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Export.h"
#include "mlir/Transforms/Passes.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/IR/Module.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Target/TargetMachine.h"
#include "llvm/Target/TargetOptions.h"
#include <mutex>

using namespace mlir;
using namespace peftc::target;

namespace {

constexpr const char *kTriple = "x86_64-unknown-linux-gnu";

LogicalResult lowerToLlvm(ModuleOp module) {
  PassManager manager(module.getContext());
  // A function at a time, so that a context with threads uses them.
  OpPassManager &functions = manager.nest<LLVM::LLVMFuncOp>();
  functions.addPass(createApproximateElementary());
  // Because approximations make the same constants again for every function that they replace.
  functions.addPass(createCanonicalizerPass());
  functions.addPass(createCSEPass());
  functions.addPass(createSCFToControlFlowPass());
  ConvertVectorToLLVMPassOptions vectors;
  vectors.reassociateFPReductions = true; // else a sum over lanes is a chain of as many additions
  functions.addPass(createConvertVectorToLLVMPass(vectors));
  ConvertMathToLLVMPassOptions functionsOfMath;
  functionsOfMath.approximateLog1p = false;
  functions.addPass(createConvertMathToLLVMPass(functionsOfMath));
  functions.addPass(createArithToLLVMConversionPass());
  functions.addPass(createConvertIndexToLLVMPass());
  functions.addPass(createUBToLLVMConversionPass());
  manager.addPass(createConvertControlFlowToLLVMPass()); // takes whole modules only
  manager.addPass(createReconcileUnrealizedCastsPass());
  return manager.run(module);
}

std::unique_ptr<llvm::TargetMachine> machineOf(const CpuTarget &target, std::string &error) {
  static std::once_flag once;
  std::call_once(once, [] {
    LLVMInitializeX86TargetInfo();
    LLVMInitializeX86Target();
    LLVMInitializeX86TargetMC();
    LLVMInitializeX86AsmPrinter();
  });
  const llvm::Triple triple(kTriple);
  const llvm::Target *found = llvm::TargetRegistry::lookupTarget(triple, error);
  if (!found)
    return nullptr;
  llvm::TargetOptions options;
  options.AllowFPOpFusion = llvm::FPOpFusion::Fast;
  options.FunctionSections = true; // what the linker drops, it drops by section
  error = "LLVM has no such CPU";
  return std::unique_ptr<llvm::TargetMachine>(
      found->createTargetMachine(triple, target.cpu, target.features, options, llvm::Reloc::PIC_, std::nullopt, llvm::CodeGenOptLevel::Aggressive));
}

void setAttributes(llvm::Module &module, const CpuTarget &target) {
  for (llvm::Function &function : module) {
    if (function.isDeclaration())
      continue;
    function.addFnAttr("target-cpu", target.cpu);
    function.addFnAttr("target-features", target.features);
    function.addFnAttr("prefer-vector-width", std::to_string(target.vectorBits));
    // A loop that copies stays a loop: a call of memcpy would be undefined in an object that needs no other library.
    function.addFnAttr("no-builtins");
    function.setDoesNotThrow(); // else each function carries tables to unwind by
  }
}

void optimize(llvm::Module &module, llvm::TargetMachine &machine) {
  llvm::LoopAnalysisManager loops;
  llvm::FunctionAnalysisManager functions;
  llvm::CGSCCAnalysisManager components;
  llvm::ModuleAnalysisManager modules;
  llvm::PipelineTuningOptions tuning; // kernels come in vectors and in blocks that fill the registers: what would do that again only takes time
  tuning.LoopVectorization = tuning.SLPVectorization = tuning.LoopInterleaving = tuning.LoopUnrolling = false;
  llvm::PassBuilder builder(&machine, tuning);
  builder.registerModuleAnalyses(modules);
  builder.registerCGSCCAnalyses(components);
  builder.registerFunctionAnalyses(functions);
  builder.registerLoopAnalyses(loops);
  builder.crossRegisterProxies(loops, functions, components, modules);
  builder.buildPerModuleDefaultPipeline(llvm::OptimizationLevel::O2).run(module, modules);
}

FailureOr<llvm::SmallString<0>> emitObject(llvm::Module &module, llvm::TargetMachine &machine) {
  llvm::SmallString<0> bytes;
  llvm::raw_svector_ostream out(bytes);
  llvm::legacy::PassManager passes;
  if (machine.addPassesToEmitFile(passes, out, nullptr, llvm::CodeGenFileType::ObjectFile))
    return failure();
  passes.run(module);
  return bytes;
}

} // namespace

ArrayRef<CpuTarget> peftc::target::cpuTargets() {
  static constexpr CpuTarget kTargets[] = {
#define PEFT_CPU_TARGET(NAME, CPU, FEATURES, LANES, VECTOR_BITS) {NAME, CPU, FEATURES, LANES, VECTOR_BITS},
#include "compiler/target/Targets.def"
  };
  return kTargets;
}

void peftc::target::loadKernelDialects(MLIRContext &context) {
  DialectRegistry registry;
  registerBuiltinDialectTranslation(registry);
  registerLLVMDialectTranslation(registry);
  context.appendDialectRegistry(registry);
  context.loadDialect<LLVM::LLVMDialect, scf::SCFDialect, arith::ArithDialect, math::MathDialect, vector::VectorDialect, cf::ControlFlowDialect, index::IndexDialect, ub::UBDialect>();
}

FailureOr<std::string> peftc::target::compileShared(ModuleOp module, const CpuTarget &target, std::string &unwritten) {
  if (failed(lowerToLlvm(module)))
    return module.emitError("a kernel cannot be lowered to LLVM"), failure();
  llvm::LLVMContext context;
  std::unique_ptr<llvm::Module> code = translateModuleToLLVMIR(module, context, "kernels");
  if (!code)
    return module.emitError("a kernel cannot be translated to LLVM IR"), failure();
  std::string error;
  const std::unique_ptr<llvm::TargetMachine> machine = machineOf(target, error);
  if (!machine)
    return module.emitError("no code can be made for `") << target.name << "`: " << error, failure();
  code->setTargetTriple(machine->getTargetTriple());
  code->setDataLayout(machine->createDataLayout());
  setAttributes(*code, target);
  optimize(*code, *machine);
  FailureOr<llvm::SmallString<0>> object = emitObject(*code, *machine);
  if (failed(object))
    return module.emitError("LLVM writes no objects for `") << target.name << "`", failure();
  llvm::Expected<std::string> shared = linkShared(*object, unwritten);
  if (!shared)
    return module.emitError("the kernels do not link: ") << llvm::toString(shared.takeError()), failure();
  return std::move(*shared);
}
