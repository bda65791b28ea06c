// ExpandPowers (plan-expand-powers): powers as products, which kernels know.
//
// In     plan.program of nn ops and plan.products
// Out    a power whose exponent is one of the whole numbers 1 … 16 as products of what it is a power of; any other one stays
// Errs   none
// Why here  before kernels are formed, so that an activation with a cube in it is part of its kernel; after derivatives are made, which are shorter for a power
//
// Numerics  a rounding for each product: at most six for the longest
#include "compiler/passes/plan/Passes.h"
#include "dialects/nn/Nn.h"
#include "dialects/plan/Plan.h"

using namespace mlir;
using namespace mlir::nn;

namespace {
constexpr int64_t kMostExponent = 16;

/// 0 where the op is not expanded.
int64_t exponentOf(PowOp op) {
  auto constant = op.getY().getDefiningOp<ConstantOp>();
  if (!constant || op.getX().getType() != op.getResult().getType() || !cast<NNType>(op.getX().getType()).isFloat())
    return 0;
  auto real = dyn_cast<FloatAttr>(constant.getValue());
  for (int64_t whole = 1; real && whole <= kMostExponent; ++whole)
    if (real.getValueAsDouble() == static_cast<double>(whole))
      return whole;
  return 0;
}

/// By squares: `exponent` is at least 1.
Value power(OpBuilder &b, Location loc, Value x, int64_t exponent) {
  if (exponent == 1)
    return x;
  Value half = power(b, loc, x, exponent / 2), square = MulOp::create(b, loc, half, half);
  return exponent % 2 ? MulOp::create(b, loc, square, x).getResult() : square;
}
} // namespace

LogicalResult mlir::plan::expandPowers(ModuleOp module) {
  for (plan::ProgramOp program : module.getOps<plan::ProgramOp>())
    for (Operation &op : llvm::make_early_inc_range(program.getBody().front()))
      if (auto pow = dyn_cast<PowOp>(op))
        if (int64_t exponent = exponentOf(pow)) {
          OpBuilder builder(pow);
          pow.getResult().replaceAllUsesWith(power(builder, pow.getLoc(), pow.getX(), exponent));
          pow.erase();
        }
  return success();
}
