// Elementary: see the header. MLIR's approximations where they are as good as f32 allows; sine and cosine of our own.
#include "compiler/target/Elementary.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Math/Transforms/Passes.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

using namespace mlir;

namespace {

/// f32 arithmetic on scalars or vectors of one type.
struct Arithmetic {
  ImplicitLocOpBuilder b;
  Type type;

  Value constant(double value) {
    const FloatAttr number = b.getF32FloatAttr(static_cast<float>(value));
    if (auto vector = dyn_cast<ShapedType>(type))
      return arith::ConstantOp::create(b, DenseElementsAttr::get(vector, number.getValue()));
    return arith::ConstantOp::create(b, number);
  }
  Value mul(Value x, Value y) { return arith::MulFOp::create(b, x, y); }
  Value fma(Value x, Value y, Value z) { return math::FmaOp::create(b, x, y, z); }
  /// c[0] + z (c[1] + z (c[2] + …)).
  Value polynomial(Value z, ArrayRef<double> c) {
    Value sum = constant(c.back());
    for (const double coefficient : llvm::reverse(c.drop_back()))
      sum = fma(sum, z, constant(coefficient));
    return sum;
  }
};

/// sin(x), or cos(x) = sin(x + π/2), by quadrants: x = k π/2 + y with |y| ≤ π/4, then the minimax polynomials of Cephes' sinf and cosf in y².
/// MLIR's own pattern has π/2 in one part and is wrong in the fifth digit at |x| = 1000; with two parts and fused steps the error stays until k
/// has more bits than a float (|x| about 10⁷; beyond, the result is within [-1, 1] and says nothing). The quadrant is counted in floats because a
/// float that is not finite has no integer.
template <typename Op, bool cosine> struct Quadrants : OpRewritePattern<Op> {
  using OpRewritePattern<Op>::OpRewritePattern;

  LogicalResult matchAndRewrite(Op op, PatternRewriter &rewriter) const final {
    if (!getElementTypeOrSelf(op.getType()).isF32())
      return failure();
    Arithmetic a{ImplicitLocOpBuilder(op.getLoc(), rewriter), op.getType()};
    const Value x = op.getOperand(), one = a.constant(1);
    const Value k = math::RoundEvenOp::create(a.b, a.mul(x, a.constant(0.63661977236758134)));
    const Value rest = a.fma(k, a.constant(4.37113900018624283e-8), a.fma(k, a.constant(-1.57079637050628662), x));
    const Value y = arith::MinimumFOp::create(a.b, arith::MaximumFOp::create(a.b, rest, a.constant(-1)), one), z = a.mul(y, y);
    const Value sine = a.fma(a.mul(y, z), a.polynomial(z, {-1.6666654611e-1, 8.3321608736e-3, -1.9515295891e-4}), y);
    const Value other = a.polynomial(z, {1, -0.5, 4.166664568298827e-2, -1.388731625493765e-3, 2.443315711809948e-5});
    const Value turns = cosine ? Value(arith::AddFOp::create(a.b, k, one)) : k;
    const Value quadrant = a.fma(math::FloorOp::create(a.b, a.mul(turns, a.constant(0.25))), a.constant(-4), turns); // 0, 1, 2 or 3
    const Value half = a.fma(math::FloorOp::create(a.b, a.mul(turns, a.constant(0.5))), a.constant(-2), turns);      // its lower bit
    const Value isOther = arith::CmpFOp::create(a.b, arith::CmpFPredicate::OEQ, half, one);
    const Value isNegative = arith::CmpFOp::create(a.b, arith::CmpFPredicate::OGE, quadrant, a.constant(2));
    const Value value = arith::SelectOp::create(a.b, isOther, other, sine);
    rewriter.replaceOpWithNewOp<arith::SelectOp>(op, isNegative, arith::NegFOp::create(a.b, value), value);
    return success();
  }
};

struct ApproximateElementary : PassWrapper<ApproximateElementary, OperationPass<LLVM::LLVMFuncOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(ApproximateElementary)

  void getDependentDialects(DialectRegistry &registry) const override { registry.insert<arith::ArithDialect, math::MathDialect, vector::VectorDialect>(); }

  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    // No rsqrt: its approximation is an AVX instruction with a step of Newton's; 1 / sqrt(x) is exact.
    populateMathPolynomialApproximationPatterns(
        patterns, [](StringRef name) { return llvm::is_contained({"math.exp", "math.expm1", "math.tanh", "math.erf", "math.log", "math.log1p", "math.log2"}, name); });
    math::populateExpansionPatterns(patterns, {"powf"});
    patterns.add<Quadrants<math::SinOp, false>, Quadrants<math::CosOp, true>>(&getContext());
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      signalPassFailure();
  }
};

} // namespace

std::unique_ptr<Pass> peftc::target::createApproximateElementary() { return std::make_unique<ApproximateElementary>(); }
