// Forward: see the header.
#include "compiler/passes/plan/Forward.h"
#include "compiler/passes/nn/Reverse.h"

using namespace mlir;

llvm::DenseSet<Operation *> mlir::plan::forwardOf(ProgramOp program, ArrayRef<Value> also) {
  llvm::DenseSet<Operation *> forward;
  SmallVector<Value> open(also);
  auto end = cast<plan::ReturnOp>(program.getBody().front().getTerminator());
  for (auto [name, value] : llvm::zip(program.getResultNames().getAsValueRange<StringAttr>(), end.getOperands()))
    if (!name.starts_with("grad."))
      open.push_back(value);
  while (!open.empty())
    if (Operation *op = open.pop_back_val().getDefiningOp(); op && forward.insert(op).second && !op->hasAttr(nn::kWayBack))
      open.append(op->getOperands().begin(), op->getOperands().end());
  return forward;
}
