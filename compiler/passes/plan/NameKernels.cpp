// NameKernels (plan-name-kernels): kernels that do the same share one function.
//
// In     plan.kernels
// Out    each with a `symbol`: equal for equal bodies, whatever they read and whichever random sites they have
// Errs   none
// Why here  last but for buffers: nothing changes a body any more
#include "compiler/passes/plan/Passes.h"
#include "dialects/plan/Plan.h"
#include "mlir/IR/OperationSupport.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/Support/FormatVariadic.h"

using namespace mlir;
using namespace mlir::plan;

/// Equal for kernels that do the same; nearly always another one for others.
static llvm::hash_code hashOf(KernelOp op) {
  llvm::hash_code hash = llvm::hash_value(op.getSpace());
  for (BlockArgument argument : op.getBody().getArguments())
    hash = llvm::hash_combine(hash, argument.getType());
  for (Operation &made : op.getBody().front())
    hash = llvm::hash_combine(hash, OperationEquivalence::computeHash(&made, OperationEquivalence::ignoreHashValue, OperationEquivalence::ignoreHashValue, OperationEquivalence::IgnoreLocations));
  return hash;
}

/// Whether they do the same, wherever it was written.
static bool doTheSame(KernelOp one, KernelOp other) {
  return one.getSpace() == other.getSpace() && OperationEquivalence::isRegionEquivalentTo(&one.getBody(), &other.getBody(), OperationEquivalence::IgnoreLocations);
}

LogicalResult mlir::plan::nameKernels(ModuleOp module) {
  llvm::DenseMap<size_t, SmallVector<KernelOp, 1>> firsts; // by hash, the first kernel of each name
  size_t names = 0;
  module.walk<WalkOrder::PreOrder>([&](KernelOp op) {
    SmallVector<KernelOp, 1> &alike = firsts[hashOf(op)];
    auto *first = llvm::find_if(alike, [&](KernelOp other) { return doTheSame(op, other); });
    if (first != alike.end()) {
      op.setSymbol(*first->getSymbol());
    } else {
      op.setSymbol(llvm::formatv("{0}_{1}", op.getSpace(), names++).str());
      alike.push_back(op);
    }
    return WalkResult::skip(); // no kernel is in another
  });
  return success();
}
