// peft-opt: runs passes on a module in text form, for tests and for looking. All dialects and passes of the house.
#include "compiler/passes/plan/Passes.h"
#include "compiler/tools/peft-opt/EmitBundle.h"
#include "dialects/nn/Nn.h"
#include "dialects/peft/Peft.h"
#include "dialects/plan/Plan.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Tools/mlir-opt/MlirOptMain.h"
#include "mlir/Transforms/Passes.h"
#ifdef PEFT_HAS_NN_PASSES
#include "compiler/passes/nn/Passes.h"
#endif

int main(int count, char **words) {
  mlir::DialectRegistry registry;
  registry.insert<mlir::func::FuncDialect, mlir::nn::NNDialect, mlir::peft::PEFTDialect, mlir::plan::PlanDialect>();
  mlir::plan::registerPlanPasses();
#ifdef PEFT_HAS_NN_PASSES
  mlir::nn::registerNnPasses();
#endif
  peftc::emit::registerEmitBundle();
  mlir::registerCanonicalizerPass();
  mlir::registerCSEPass();
  return mlir::asMainReturnCode(mlir::MlirOptMain(count, words, "peft-opt\n", registry));
}
