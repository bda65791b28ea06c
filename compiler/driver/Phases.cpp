// Phases: the table, and the one loop that runs it.
#include "compiler/driver/Phases.h"
#include "compiler/passes/nn/Passes.h"
#include "compiler/passes/plan/Passes.h"
#include "dialects/plan/Plan.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/OwningOpRef.h"
#include "mlir/IR/Verifier.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/PrettyStackTrace.h"
#include "llvm/Support/raw_ostream.h"
#include <chrono>

using namespace mlir;

namespace peftc {
namespace {

/// After `nn`: one mode a function, and the step has its gradients.
LogicalResult verifyNn(ModuleOp module) {
  bool found = false;
  for (auto function : module.getOps<func::FuncOp>()) {
    StringRef name = function.getSymName();
    found |= name == "train_step";
    if (name.starts_with("site.") || name.starts_with("hook.") || name == "train")
      return function.emitError("`@") << name << "` is left over";
  }
  return found ? success() : module.emitError("there is no @train_step");
}

/// After `plan`: every function has a program with slots.
LogicalResult verifyPlan(ModuleOp module) {
  llvm::SmallVector<StringRef> planned;
  for (auto program : module.getOps<plan::ProgramOp>()) {
    if (!program.getSlots())
      return program.emitOpError("has no slots");
    planned.push_back(program.getName());
  }
  for (auto function : module.getOps<func::FuncOp>())
    if (!llvm::is_contained(planned, function.getSymName()))
      return function.emitError("`@") << function.getSymName() << "` has no program";
  return success();
}

std::string writeReproducer(ModuleOp before, const PassEntry &pass, const std::string &folder) {
  std::string path = folder + "/peftc-" + pass.name + ".mlir";
  std::error_code error;
  llvm::raw_fd_ostream file(path, error);
  if (error)
    return "no reproducer: cannot write `" + path + "`: " + error.message();
  file << "// RUN: peft-opt --" << pass.name << " %s\n";
  before->print(file, OpPrintingFlags().enableDebugInfo());
  return "reproducer: " + path;
}

/// "" or what went wrong.
std::string runPass(const PassEntry &pass, ModuleOp module, const PhaseOptions &options) {
  llvm::PrettyStackTraceString trace(pass.name);
  OwningOpRef<ModuleOp> before(module.clone());
  std::string messages;
  ScopedDiagnosticHandler handler(module.getContext(), [&](Diagnostic &diagnostic) {
    llvm::raw_string_ostream(messages) << "\n  " << diagnostic.getLocation() << ": " << diagnostic.str();
    return success();
  });
  auto start = std::chrono::steady_clock::now();
  bool done = succeeded(pass.run(module)), valid = done && succeeded(verify(module));
  std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  if (options.timing)
    *options.timing += llvm::formatv("{0,-24} {1,8:f3} s\n", pass.name, seconds.count()).str();
  if (valid)
    return "";
  return std::string("pass `") + pass.name + "` " + (done ? "made a module that is not valid" : "failed") + messages + "\n" +
         writeReproducer(*before, pass, options.reproducerFolder);
}

} // namespace

llvm::ArrayRef<Phase> phases() {
  static const std::vector<Phase> table = {
      {"nn", Stop::Nn,
       "whole functions: every rewiring inlined, the step differentiated, the merge derived",
       {
           {"nn-inline-hooks", "arch and rewirings as whole functions", nn::inlineHooks},
           // Because a site's affine form is read off the expressions as written, before they are restructured.
           {"nn-derive-merge", "merged weights of affine sites", nn::deriveMerge},
           {"nn-derive-decode", "where a text is written on: its end, and one token more beside what is kept of it", nn::deriveDecode},
           // Before products are restructured: of one row other forms are cheaper.
           {"nn-select-rows", "what is asked for its last entry only is computed for that", nn::selectRows},
           {"nn-expose-structure", "products with weight expressions as products on activations", nn::exposeStructure},
           {"nn-derive-backward", "@train becomes @train_step", nn::deriveBackward},
           {"nn-prune-to-trainable", "what no result needs is gone", nn::pruneToTrainable},
           {"nn-hoist-rates", "what does not change between runs is computed before them", nn::hoistRates},
       },
       verifyNn},
      {"plan", Stop::Plan,
       "programs of steps on planned memory",
       {
           {"plan-open-programs", "each function gets a program beside it", plan::openPrograms},
           {"plan-recompute-layers", "what of a layer backward computes again", plan::recomputeLayers},
           {"plan-form-products", "contracts that are one matrix product of the batch, and sums that they make", plan::formProducts},
           {"plan-expand-argmax", "where a row is greatest, in words that kernels know", plan::expandArgmax},
           // After products, which are what no kernel holds.
           {"plan-form-kernels", "what stands between products becomes kernels", plan::formKernels},
           // After kernels, because what never reaches memory is never rounded.
           {"plan-choose-storage", "with `precision = bf16`, which values lie in memory as bf16", plan::chooseStorage},
           {"plan-lower-programs", "what is left becomes steps on packed arrays", plan::lowerPrograms},
           {"plan-name-kernels", "kernels that do the same share one function", plan::nameKernels},
           // After all steps are made; what runs at the same time must not share bytes, which the next pass sees to.
           {"plan-form-bands", "steps on the same rows come together", plan::formBands},
           // Last, because whatever fuses or removes steps frees slots.
           {"plan-assign-buffers", "where each step's result lies", plan::assignBuffers},
       },
       verifyPlan},
  };
  return table;
}

std::string runPhase(const Phase &phase, ModuleOp module, const PhaseOptions &options) {
  for (const PassEntry &pass : phase.passes)
    if (std::string wrong = runPass(pass, module, options); !wrong.empty())
      return wrong;
  const std::string name = std::string("after-") + phase.name;
  PassEntry check = {name.c_str(), "", phase.verify};
  PhaseOptions quiet{options.reproducerFolder, nullptr};
  std::string wrong = runPass(check, module, quiet);
  return wrong;
}

} // namespace peftc
