// ExpandArgmax (plan-expand-argmax): where a row is greatest, in words that kernels know.
//
// In     plan.program of nn ops and plan.products
// Out    argmax over the last axis of rows as the least place at which a row equals its maximum; any other argmax stays
// Errs   none
// Why here  before kernels are formed, so that what a metric asks of logits is asked in the kernel that reads them for the loss, a row at a time
//
// Numerics  exact: places are f32, so a row has at most 2^24 of them
#include "compiler/passes/plan/Passes.h"
#include "compiler/passes/plan/Space.h"
#include "dialects/plan/Plan.h"

using namespace mlir;
using namespace mlir::nn;

namespace {
constexpr int64_t kMostPlaces = int64_t{1} << 24;

bool isOfRows(ArgmaxOp op) {
  auto type = cast<NNType>(op.getX().getType());
  const int64_t last = type.rank() - 1, axis = static_cast<int64_t>(op.getAxis());
  auto shape = plan::rowShapeOf(type);
  const bool whole = shape && last > 0 && type.getDims()[last].isStatic() && shape->columns == type.getDims()[last].constant;
  return type.getExample() && type.isFloat() && whole && (axis == last || axis == -1) && shape->columns > 1 && shape->columns <= kMostPlaces;
}

Value expanded(ArgmaxOp op) {
  OpBuilder b(op);
  Location loc = op.getLoc();
  auto type = cast<NNType>(op.getX().getType());
  const int64_t last = type.rank() - 1;
  auto rowOf = [&](Value value, StringRef kind, bool keep) {
    return ReduceOp::create(b, loc, value, b.getStringAttr(kind), b.getDenseI64ArrayAttr({last}), b.getBoolAttr(keep), b.getBoolAttr(false)).getResult();
  };
  auto number = [&](double value) { return ConstantOp::create(b, loc, NNType::get(b.getContext(), false, {}, b.getF32Type()), b.getF64FloatAttr(value)).getResult(); };
  Value line = BroadcastOp::create(b, loc, NNType::get(b.getContext(), false, type.getDims().take_back(1), b.getF32Type()), number(0));
  Value places = CastOp::create(b, loc, IotaOp::create(b, loc, line, b.getI64IntegerAttr(0)), b.getF32Type());
  Value greatest = GeOp::create(b, loc, op.getX(), rowOf(op.getX(), "max", true));
  Value first = rowOf(SelectOp::create(b, loc, greatest, places, number(kMostPlaces)), "min", false);
  return CastOp::create(b, loc, first, b.getI64Type());
}
} // namespace

LogicalResult mlir::plan::expandArgmax(ModuleOp module) {
  for (plan::ProgramOp program : module.getOps<plan::ProgramOp>())
    for (Operation &op : llvm::make_early_inc_range(program.getBody().front()))
      if (auto argmax = dyn_cast<ArgmaxOp>(op); argmax && isOfRows(argmax)) {
        argmax.getResult().replaceAllUsesWith(expanded(argmax));
        argmax.erase();
      }
  return success();
}
