// peft-opt: runs passes on a module in text form, for tests and for looking. All dialects, and every pass of the phases' table.
#include "compiler/driver/Phases.h"
#include "compiler/tools/peft-opt/EmitBundle.h"
#include "dialects/nn/Nn.h"
#include "dialects/peft/Peft.h"
#include "dialects/plan/Plan.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Pass/Pass.h"
#include "mlir/Tools/mlir-opt/MlirOptMain.h"
#include "mlir/Transforms/Passes.h"
#include "llvm/ADT/StringSet.h"

namespace {
/// A row of the table as MLIR's pass manager wants it.
struct TablePass : mlir::PassWrapper<TablePass, mlir::OperationPass<mlir::ModuleOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(TablePass)
  explicit TablePass(const peftc::PassEntry &entry) : entry(entry) {}
  llvm::StringRef getArgument() const override { return entry.name; }
  llvm::StringRef getDescription() const override { return entry.purpose; }
  void getDependentDialects(mlir::DialectRegistry &registry) const override {
    registry.insert<mlir::func::FuncDialect, mlir::nn::NNDialect, mlir::plan::PlanDialect>();
  }
  void runOnOperation() override {
    if (failed(entry.run(getOperation())))
      signalPassFailure();
  }
  const peftc::PassEntry &entry;
};
} // namespace

int main(int count, char **words) {
  mlir::DialectRegistry registry;
  registry.insert<mlir::func::FuncDialect, mlir::nn::NNDialect, mlir::peft::PEFTDialect, mlir::plan::PlanDialect>();
  llvm::StringSet<> known; // passes may be in several phases
  const auto registerPasses = [&](const peftc::Phase &phase) {
    for (const peftc::PassEntry &entry : phase.passes)
      if (known.insert(entry.name).second)
        mlir::registerPass([&entry] { return std::make_unique<TablePass>(entry); });
  };
  llvm::for_each(peftc::phases(), registerPasses);
  registerPasses(peftc::devicePhase());
  peftc::emit::registerEmitBundle();
  mlir::registerCanonicalizerPass();
  mlir::registerCSEPass();
  return mlir::asMainReturnCode(mlir::MlirOptMain(count, words, "peft-opt\n", registry));
}
