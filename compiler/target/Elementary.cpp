// Elementary: see the header. MLIR's approximations where they are as good and as short as f32 allows; exp, erf, sine and cosine of our own.
#include "compiler/target/Elementary.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Math/Transforms/Passes.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "mlir/IR/TypeUtilities.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"
#include <limits>

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
  Value add(Value x, Value y) { return arith::AddFOp::create(b, x, y); }
  Value fma(Value x, Value y, Value z) { return math::FmaOp::create(b, x, y, z); }
  /// c[0] + z (c[1] + z (c[2] + …)).
  Value polynomial(Value z, ArrayRef<double> c) {
    Value sum = constant(c.back());
    for (const double coefficient : llvm::reverse(c.drop_back()))
      sum = fma(sum, z, constant(coefficient));
    return sum;
  }

  Value isAbove(Value x, Value y) { return arith::CmpFOp::create(b, arith::CmpFPredicate::OGT, x, y); }
  Value select(Value which, Value x, Value y) { return arith::SelectOp::create(b, which, x, y); }
  /// Within [-limit, limit]; NaN stays NaN. An instruction each way, which arith's minimum and maximum are not.
  Value clamped(Value x, double limit) {
    const Value high = constant(limit), low = constant(-limit), below = select(isAbove(x, high), high, x);
    return select(isAbove(low, below), low, below);
  }

  Type wordType() {
    auto vector = dyn_cast<VectorType>(type);
    return vector ? Type(VectorType::get(vector.getShape(), b.getI32Type())) : b.getI32Type();
  }
  Value wordsOf(Value x) { return arith::BitcastOp::create(b, wordType(), x); }
  Value shiftedLeft(Value words, int32_t places) {
    const IntegerAttr number = b.getI32IntegerAttr(places);
    const auto vector = dyn_cast<ShapedType>(words.getType());
    const Value by = vector ? arith::ConstantOp::create(b, DenseElementsAttr::get(vector, number.getValue())) : arith::ConstantOp::create(b, number);
    return arith::ShLIOp::create(b, words, by);
  }
};

/// exp(x) = 2^k exp(y) with |y| ≤ ln 2 / 2, then the minimax polynomial of Cephes' expf. k is counted in the last bits of a float of 1.5 2²³, from where it is
/// shifted into the exponent. What is below the least normal number is zero; infinities and NaN are as they should be. Half as many instructions as MLIR's pattern.
struct Exp : OpRewritePattern<math::ExpOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(math::ExpOp op, PatternRewriter &rewriter) const final {
    if (!getElementTypeOrSelf(op.getType()).isF32())
      return failure();
    constexpr double kLog2E = 1.44269504088896341, kCounter = 12582912, kMost = 88.7228390520683532, kLeast = -87.3365447504021;
    Arithmetic a{ImplicitLocOpBuilder(op.getLoc(), rewriter), op.getType()};
    const Value x = op.getOperand(), counter = a.fma(x, a.constant(kLog2E), a.constant(kCounter)), k = a.add(counter, a.constant(-kCounter));
    const Value y = a.fma(k, a.constant(2.12194440e-4), a.fma(k, a.constant(-0.693359375), x));
    const Value tail = a.polynomial(y, {5.0000001201e-1, 1.6666665459e-1, 4.1665795894e-2, 8.3334519073e-3, 1.3981999507e-3, 1.9875691500e-4});
    const Value whole = a.add(a.fma(tail, a.mul(y, y), y), a.constant(1));
    const Value scaled = arith::BitcastOp::create(a.b, a.type, arith::AddIOp::create(a.b, a.wordsOf(whole), a.shiftedLeft(a.wordsOf(counter), 23)));
    const Value finite = a.select(a.isAbove(x, a.constant(kMost)), a.constant(std::numeric_limits<double>::infinity()), scaled);
    rewriter.replaceOp(op, a.select(a.isAbove(a.constant(kLeast), x), a.constant(0), finite));
    return success();
  }
};

/// erf(x) = x p(x²) / q(x²) up to where it is 1 in f32: the form and the numbers that XLA has for f32. 3e-7 off at most, and never beyond 1. A third of the
/// instructions of MLIR's pattern, which selects each coefficient of a polynomial by intervals.
struct Erf : OpRewritePattern<math::ErfOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(math::ErfOp op, PatternRewriter &rewriter) const final {
    if (!getElementTypeOrSelf(op.getType()).isF32())
      return failure();
    constexpr double kOne = 3.832506856900711;
    Arithmetic a{ImplicitLocOpBuilder(op.getLoc(), rewriter), op.getType()};
    const Value x = a.clamped(op.getOperand(), kOne), z = a.mul(x, x);
    const Value above = a.polynomial(z, {1.128379143519084, 0.18520832239976145, 0.050955695062380861, 0.0034082910107109506, 0.00022905065861350646});
    const Value below = a.polynomial(z, {1, 0.49746925110067538, 0.11098505178285362, 0.014070470171167667, 0.0010179625278914885, 0.000023547966471313185, -1.1791602954361697e-7});
    rewriter.replaceOp(op, a.clamped(arith::DivFOp::create(a.b, a.mul(x, above), below), 1));
    return success();
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

struct ApproximateElementary : PassWrapper<ApproximateElementary, OperationPass<ModuleOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(ApproximateElementary)

  void getDependentDialects(DialectRegistry &registry) const override { registry.insert<arith::ArithDialect, math::MathDialect, vector::VectorDialect>(); }

  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    // No rsqrt: its approximation is an AVX instruction with a step of Newton's; 1 / sqrt(x) is exact.
    populateMathPolynomialApproximationPatterns(
        patterns, [](StringRef name) { return llvm::is_contained({"math.expm1", "math.tanh", "math.log", "math.log1p", "math.log2"}, name); });
    math::populateExpansionPatterns(patterns, {"powf"});
    patterns.add<Exp, Erf, Quadrants<math::SinOp, false>, Quadrants<math::CosOp, true>>(&getContext());
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      signalPassFailure();
  }
};

} // namespace

std::unique_ptr<Pass> peftc::target::createApproximateElementary() { return std::make_unique<ApproximateElementary>(); }
