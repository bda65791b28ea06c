// Register: each pass of the `nn` phase under its name, for peft-opt.
#include "compiler/passes/nn/Passes.h"
#include "dialects/nn/Nn.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Pass/Pass.h"
#include "mlir/Pass/PassRegistry.h"

using namespace mlir;

namespace {
/// A function over the module as a pass.
class ModulePass : public OperationPass<ModuleOp> {
public:
  using Body = LogicalResult (*)(ModuleOp);
  ModulePass(StringRef argument, StringRef description, Body body)
      : OperationPass(TypeID::get<ModulePass>()), argument(argument), description(description), body(body) {}
  StringRef getArgument() const override { return argument; }
  StringRef getDescription() const override { return description; }
  StringRef getName() const override { return argument; }
  void getDependentDialects(DialectRegistry &registry) const override { registry.insert<nn::NNDialect, func::FuncDialect>(); }
  std::unique_ptr<Pass> clonePass() const override { return std::make_unique<ModulePass>(argument, description, body); }
  void runOnOperation() override {
    if (failed(body(getOperation())))
      signalPassFailure();
  }
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(ModulePass)

private:
  StringRef argument, description;
  Body body;
};
void add(StringRef argument, StringRef description, ModulePass::Body body) {
  registerPass([=]() -> std::unique_ptr<Pass> { return std::make_unique<ModulePass>(argument, description, body); });
}
} // namespace

void mlir::nn::registerNnPasses() {
  add("nn-inline-hooks", "Inline the arch and every rewiring into whole functions", inlineHooks);
  add("nn-derive-merge", "Fold a site's rewiring into its weights, or say why not", deriveMerge);
  add("nn-expose-structure", "Products with weight expressions become products on activations", exposeStructure);
  add("nn-derive-backward", "Reverse mode over @train", deriveBackward);
  add("nn-prune-to-trainable", "Drop what no result needs", pruneToTrainable);
  add("nn-hoist-rates", "Compute what does not change between runs before them", hoistRates);
}
