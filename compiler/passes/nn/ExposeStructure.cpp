// ExposeStructure (nn-expose-structure): products with a weight expression become products on activations.
//
// In     contract(x, E): E run-level, built by sums, scalings of rows or columns and low-rank products over frozen weights
// Out    the same value without E: `x (W + s B A)ᵀ` as `x Wᵀ + s (x Aᵀ) Bᵀ`, a row scale moved to y, a column scale to x;
//        and `sum(E ∘ E, in)` by Gram matrices: |W|² + 2 s (W Aᵀ) ∘ B + s² B (A Aᵀ) ∘ B, rows only
// Why here  before nn-derive-backward: what is never formed is never differentiated
// Numerics  reassociates sums; the norm by Gram matrices loses about half an ulp of |W|²
//
// An expression is opened only where it holds a part that is cheaper applied (the interface Structured): that is when a dense [out, in]
// temporary (and, backward, a dense gradient) costs more than two thin products.
#include "compiler/passes/nn/Passes.h"
#include "dialects/nn/Nn.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

using namespace mlir;
using namespace mlir::nn;

/// x[…, k] against E[z, k] (or E[k, z]) into […, z], in either order.
static void exposeProduct(ContractOp op) {
  auto [inputs, out] = op.getEquation().split("->");
  auto [lhs, rhs] = inputs.split(',');
  const bool second = isCheaperApplied(op.getY());
  Value x = second ? op.getX() : op.getY(), E = second ? op.getY() : op.getX();
  if (!isCheaperApplied(E) || !cast<NNType>(x.getType()).getExample() || op.getOverExamples())
    return;
  StringRef own = second ? lhs : rhs, letters = second ? rhs : lhs;
  const char inner = own.back(), outer = out.back();
  if (!letters.contains(inner) || !letters.contains(outer) || own.drop_back() != out.drop_back())
    return;
  OpBuilder b(op);
  StructureContext context{b, op.getLoc(), own.drop_back().str()};
  op.getResult().replaceAllUsesWith(applyTo(context, x, E, letters.find(outer) != 0));
}

/// The sum over the last axis of E ∘ E.
static void exposeNorm(ReduceOp op) {
  auto square = op.getX().getDefiningOp<MulOp>();
  const bool rows = op.getAxes().size() == 1 && (op.getAxes()[0] == 1 || op.getAxes()[0] == -1);
  if (!square || square.getX() != square.getY() || op.getKind() != "sum" || op.getKeep() || !rows || !isCheaperApplied(square.getX()))
    return;
  OpBuilder b(op);
  StructureContext context{b, op.getLoc(), ""};
  if (Value norm = rowNormSq(context, square.getX()))
    op.getResult().replaceAllUsesWith(norm);
}

LogicalResult mlir::nn::exposeStructure(ModuleOp module) {
  for (auto func : module.getOps<func::FuncOp>()) {
    if (!func->hasAttr("nn.mode"))
      continue;
    for (Operation &op : llvm::make_early_inc_range(func.getBody().front()))
      if (auto contract = dyn_cast<ContractOp>(op))
        exposeProduct(contract);
      else if (auto reduce = dyn_cast<ReduceOp>(op))
        exposeNorm(reduce);
    // What is no longer used must not be differentiated.
    for (Operation &op : llvm::make_early_inc_range(llvm::reverse(func.getBody().front())))
      if (isOpTriviallyDead(&op))
        op.erase();
  }
  return success();
}
