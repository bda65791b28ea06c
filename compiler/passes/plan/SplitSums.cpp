// SplitSums (plan-split-sums): a sum of all that a batch's rows have, to one number, is a sum over rows of the rows' own sums.
//
// In     plan.program of nn ops and plan.products
// Out    no sum over rows and columns together of a table of rows; both halves are what kernels know
// Errs   none
// Why here  before kernels are formed, so that the gradient of a gate, or a loss of every token's numbers, is summed where they are made
//
// Numerics  a row's numbers are added first
#include "compiler/passes/plan/Passes.h"
#include "compiler/passes/plan/Space.h"
#include "dialects/plan/Plan.h"

using namespace mlir;
using namespace mlir::nn;

namespace {
/// Whether it sums all axes of packed rows of more than one number.
bool isOfAll(ReduceOp op) {
  auto type = cast<NNType>(op.getX().getType());
  auto shape = plan::rowShapeOf(type);
  const bool rows = shape && type.isFloat() && type.getExample() && !type.isStatic() && shape->columns > 1;
  return rows && op.getKind() == "sum" && op.getOverExamples() && !op.getKeep() && static_cast<int64_t>(op.getAxes().size()) == type.rank();
}

void split(ReduceOp op) {
  OpBuilder b(op);
  const int64_t rank = cast<NNType>(op.getX().getType()).rank();
  auto columns = llvm::to_vector(llvm::seq<int64_t>(1, rank));
  op.getXMutable().assign(ReduceOp::create(b, op.getLoc(), op.getX(), op.getKindAttr(), b.getDenseI64ArrayAttr(columns), b.getBoolAttr(true), b.getBoolAttr(false)));
}
} // namespace

LogicalResult mlir::plan::splitSums(ModuleOp module) {
  for (plan::ProgramOp program : module.getOps<plan::ProgramOp>())
    for (auto op : llvm::make_early_inc_range(program.getBody().front().getOps<ReduceOp>()))
      if (isOfAll(op))
        split(op);
  return success();
}
