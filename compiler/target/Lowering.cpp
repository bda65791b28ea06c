// Lowering: see the header.
#include "compiler/target/Lowering.h"
#include "compiler/target/Elementary.h"
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
#include "mlir/IR/Verifier.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Export.h"
#include "mlir/Transforms/Passes.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/IR/Module.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Target/TargetMachine.h"

using namespace mlir;
using namespace peftc::target;

static void addPasses(PassManager &manager) {
  // All take the whole module: each gathers its patterns once, not for every function. And none may go through functions by several threads: modules are
  // lowered at once, and a thread that waits for its functions would take the next module on top of the one that it is in, while another has nothing to do.
  manager.addPass(createApproximateElementary());
  // Because approximations make the same constants again for every function that they replace.
  manager.addPass(createCanonicalizerPass());
  manager.addPass(createCSEPass());
  manager.addPass(createSCFToControlFlowPass());
  ConvertVectorToLLVMPassOptions vectors;
  vectors.reassociateFPReductions = true; // else a sum over lanes is a chain of as many additions
  manager.addPass(createConvertVectorToLLVMPass(vectors));
  ConvertMathToLLVMPassOptions functionsOfMath;
  functionsOfMath.approximateLog1p = false;
  manager.addPass(createConvertMathToLLVMPass(functionsOfMath));
  manager.addPass(createArithToLLVMConversionPass());
  manager.addPass(createConvertIndexToLLVMPass());
  manager.addPass(createUBToLLVMConversionPass());
  manager.addPass(createConvertControlFlowToLLVMPass());
  manager.addPass(createReconcileUnrealizedCastsPass());
}

LogicalResult peftc::target::lowerToLlvm(ModuleOp module) {
  PassManager manager(module.getContext());
  manager.enableVerifier(false); // once behind all of them
  addPasses(manager);
  const auto verified = [](LLVM::LLVMFuncOp function) { return WalkResult(verify(function)); }; // one by one: a module's would be verified by several threads
  if (succeeded(manager.run(module)) && !module.walk<WalkOrder::PreOrder>(verified).wasInterrupted())
    return success();
  return module.emitError("a kernel cannot be lowered to LLVM"), failure();
}

void peftc::target::loadKernelDialects(MLIRContext &context) {
  DialectRegistry registry;
  registerBuiltinDialectTranslation(registry);
  registerLLVMDialectTranslation(registry);
  PassManager manager(&context);
  addPasses(manager);
  manager.getDependentDialects(registry); // now: where several modules are lowered at once, none may load any
  context.appendDialectRegistry(registry);
  for (StringRef name : registry.getDialectNames())
    context.getOrLoadDialect(name);
  context.loadDialect<LLVM::LLVMDialect, scf::SCFDialect, arith::ArithDialect, math::MathDialect, vector::VectorDialect, cf::ControlFlowDialect, index::IndexDialect, ub::UBDialect>();
}

std::unique_ptr<llvm::TargetMachine> peftc::target::machineFor(const MachineName &name, llvm::TargetOptions options, std::optional<llvm::Reloc::Model> relocation, std::string &error) {
  const llvm::Triple triple(name.triple);
  const llvm::Target *found = llvm::TargetRegistry::lookupTarget(triple, error);
  if (!found)
    return nullptr;
  options.AllowFPOpFusion = llvm::FPOpFusion::Fast;
  error = "LLVM has no `" + name.cpu.str() + "`";
  return std::unique_ptr<llvm::TargetMachine>(found->createTargetMachine(triple, name.cpu, name.features, options, relocation, std::nullopt, llvm::CodeGenOptLevel::Aggressive));
}

std::unique_ptr<llvm::Module> peftc::target::llvmOf(ModuleOp module, llvm::LLVMContext &context, const llvm::TargetMachine &machine) {
  std::unique_ptr<llvm::Module> code = translateModuleToLLVMIR(module, context, "kernels");
  if (!code)
    return module.emitError("a kernel cannot be translated to LLVM IR"), nullptr;
  code->setTargetTriple(machine.getTargetTriple());
  code->setDataLayout(machine.createDataLayout());
  for (llvm::Function &function : *code) {
    if (function.isDeclaration())
      continue;
    function.addFnAttr("target-cpu", machine.getTargetCPU());
    function.addFnAttr("target-features", machine.getTargetFeatureString());
    // A loop that copies stays a loop: a call of memcpy would be undefined in code that needs no library.
    function.addFnAttr("no-builtins");
    function.setDoesNotThrow(); // else each function carries tables to unwind by
  }
  return code;
}

/// What changes kernels for a CPU: they come in vectors and in blocks that fill the registers, and call little. The rest of a compiler's usual pipeline takes longer than all
/// of this: functions inlined, loops unrolled and made vectors again, loads behind stores looked for.
constexpr llvm::StringRef kCpuPasses = "function(sroa,early-cse<memssa>,instcombine,simplifycfg,loop-mssa(loop-instsimplify,loop-simplifycfg,licm,loop-rotate,licm,simple-loop-unswitch),"
                                       "simplifycfg,instcombine,loop(indvars),gvn,instcombine,simplifycfg)";

void peftc::target::optimize(llvm::Module &module, llvm::TargetMachine &machine) {
  llvm::LoopAnalysisManager loops;
  llvm::FunctionAnalysisManager functions;
  llvm::CGSCCAnalysisManager components;
  llvm::ModuleAnalysisManager modules;
  llvm::PipelineTuningOptions tuning;
  tuning.LoopVectorization = tuning.SLPVectorization = tuning.LoopInterleaving = tuning.LoopUnrolling = false;
  llvm::PassBuilder builder(&machine, tuning);
  builder.registerModuleAnalyses(modules);
  builder.registerCGSCCAnalyses(components);
  builder.registerFunctionAnalyses(functions);
  builder.registerLoopAnalyses(loops);
  builder.crossRegisterProxies(loops, functions, components, modules);
  if (machine.getTargetTriple().isNVPTX()) { // whose kernels' bodies are inlined into their entries, and must not need memory for registers
    builder.buildPerModuleDefaultPipeline(llvm::OptimizationLevel::O2).run(module, modules);
    return;
  }
  llvm::ModulePassManager passes;
  llvm::cantFail(builder.parsePassPipeline(passes, kCpuPasses));
  passes.run(module, modules);
}

bool peftc::target::emitCode(llvm::Module &module, llvm::TargetMachine &machine, llvm::CodeGenFileType type, llvm::SmallVectorImpl<char> &bytes) {
  llvm::raw_svector_ostream out(bytes);
  llvm::legacy::PassManager passes;
  if (machine.addPassesToEmitFile(passes, out, nullptr, type))
    return false;
  passes.run(module);
  return true;
}
