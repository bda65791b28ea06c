// NameKernels (plan-name-kernels): kernels that do the same share one function.
//
// In     plan.kernels
// Out    each with a `symbol`: equal for equal bodies, whatever they read and whichever random sites they have
// Errs   none
// Why here  last but for buffers: nothing changes a body any more
#include "compiler/passes/plan/Passes.h"
#include "dialects/plan/Plan.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/Support/FormatVariadic.h"

using namespace mlir;
using namespace mlir::plan;

/// What a kernel does, without where it was written.
static std::string textOf(KernelOp op) {
  std::string text = op.getSpace().str();
  llvm::raw_string_ostream stream(text);
  OpPrintingFlags flags;
  flags.useLocalScope();
  for (Operation &made : op.getBody().front()) {
    made.print(stream, flags);
    stream << "\n";
  }
  for (BlockArgument argument : op.getBody().getArguments())
    stream << argument.getType();
  return text;
}

LogicalResult mlir::plan::nameKernels(ModuleOp module) {
  llvm::StringMap<std::string> names;
  module.walk([&](KernelOp op) {
    auto [entry, isNew] = names.try_emplace(textOf(op), "");
    if (isNew)
      entry->second = llvm::formatv("{0}_{1}", op.getSpace(), names.size() - 1).str();
    op.setSymbol(entry->second);
  });
  return success();
}
