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

/// What a pass, or all passes, said.
class Messages {
public:
  explicit Messages(ModuleOp module)
      : handler(module.getContext(), [this](Diagnostic &diagnostic) {
          llvm::raw_string_ostream(text) << "\n  " << diagnostic.getLocation() << ": " << diagnostic.str();
          return success();
        }) {}
  std::string text;

private:
  ScopedDiagnosticHandler handler;
};

class Watch {
public:
  explicit Watch(std::string *lines) : lines(lines) {}
  void lap(llvm::StringRef name) {
    const auto now = std::chrono::steady_clock::now();
    if (lines)
      *lines += llvm::formatv("{0,-24} {1,8:f3} s\n", name, std::chrono::duration<double>(now - last).count()).str();
    last = now;
  }

private:
  std::string *lines;
  std::chrono::steady_clock::time_point last = std::chrono::steady_clock::now();
};

/// Which pass is to blame for what came of `module`, the module before the phase: the passes once more, each with the verifier behind it
/// and a copy of the module before it.
std::string blame(const Phase &phase, ModuleOp module, const PhaseOptions &options) {
  std::vector<PassEntry> passes = phase.passes;
  const std::string after = std::string("after-") + phase.name;
  passes.push_back({after.c_str(), "", phase.verify});
  for (const PassEntry &pass : passes) {
    llvm::PrettyStackTraceString trace(pass.name);
    OwningOpRef<ModuleOp> before(module.clone());
    Messages messages(module);
    const bool done = succeeded(pass.run(module));
    if (!done || failed(verify(module)))
      return std::string("pass `") + pass.name + "` " + (done ? "made a module that is not valid" : "failed") + messages.text + "\n" +
             writeReproducer(*before, pass, options.reproducerFolder);
  }
  return std::string("phase `") + phase.name + "` failed, and did not when it ran again";
}

/// Whether all passes are done and left a valid module. What they say is for `blame` to gather again.
bool runPasses(const Phase &phase, ModuleOp module, const PhaseOptions &options) {
  Messages unread(module);
  Watch watch(options.timing);
  for (const PassEntry &pass : phase.passes) {
    llvm::PrettyStackTraceString trace(pass.name);
    if (failed(pass.run(module)))
      return false;
    watch.lap(pass.name);
  }
  const bool valid = succeeded(verify(module)) && succeeded(phase.verify(module));
  watch.lap("verifier");
  return valid;
}

} // namespace

llvm::ArrayRef<Phase> phases() {
  static const std::vector<Phase> table = {
      {"nn", Stop::Nn,
       "whole functions: every rewiring inlined, the step differentiated, the merge derived",
       {
           {"nn-inline-hooks", "arch and rewirings as whole functions", nn::inlineHooks},
           // Before anything is written in other words: what a gradient is taken by is the very value that was inlined.
           {"nn-derive-gradients", "gradients that methods ask for, as operations", nn::deriveGradients},
           // Because a site's affine form is read off the expressions as written, before they are restructured.
           {"nn-derive-merge", "merged weights of affine sites", nn::deriveMerge},
           {"nn-derive-import", "parameters from the tensors of other software's files", nn::deriveImport},
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
           {"plan-expand-powers", "powers as products, which kernels know", plan::expandPowers},
           {"plan-split-sums", "a sum of all numbers of all rows as the sum of the rows' own", plan::splitSums},
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

const Phase &devicePhase() {
  static const Phase phase = {"device", Stop::Plan,
                              "programs of steps for a GPU",
                              {
                                  {"plan-drop-places", "what a CPU has put where is decided anew", plan::dropPlaces},
                                  // Before layouts: a library finds rows at any pitch.
                                  {"plan-choose-attention", "attention as a step of a library, where that is quicker", plan::chooseAttention},
                                  {"plan-fold-scales", "a product times a number as one product", plan::foldScales},
                                  {"plan-choose-layout", "products with a branch as one product, where that is quicker", plan::chooseLayout},
                                  {"plan-stack-weights", "a sum of products with frozen weights as one product", plan::stackWeights},
                                  // Behind layouts, whose matrices are of their products' type already.
                                  {"plan-round-weights", "weights that products of bf16 read, rounded once", plan::roundWeights},
                                  {"plan-fuse-branches", "low-rank products in the kernels that make their inputs, where that is quicker", plan::fuseBranches},
                                  {"plan-name-kernels", "kernels that do the same share one function", plan::nameKernels},
                                  {"plan-hoist-steps", "what stands between a layer's steps and is of none", plan::hoistSteps},
                                  // Behind all that puts steps between others.
                                  {"plan-narrow-bands", "wide rows some at a time", plan::narrowBands},
                                  {"plan-assign-buffers", "where each step's result lies", plan::assignBuffers},
                              },
                              verifyPlan};
  return phase;
}

std::string runPhase(const Phase &phase, ModuleOp module, const PhaseOptions &options) {
  OwningOpRef<ModuleOp> before(module.clone());
  return runPasses(phase, module, options) ? "" : blame(phase, *before, options);
}

} // namespace peftc
