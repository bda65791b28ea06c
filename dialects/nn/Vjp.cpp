// Vjp: reverse mode of every differentiable `nn` op.
//
// Each `vjp` gets the cotangent of its result (of the result's own type) and returns the operands' cotangents. Where the op
// broadcast an operand, the cotangent stays large; where a `run` operand met an `example` one, it stays per example: the
// caller sums down. Only `contract` and `scatter_add` sum over examples themselves, because their products can: the gradient
// of a weight is one product over all tokens of the batch.
#include "dialects/nn/Nn.h"
#include <cmath>

using namespace mlir;
using namespace mlir::nn;

namespace {
using Cotangents = SmallVectorImpl<Value>;

NNType typeOf(Value value) { return cast<NNType>(value.getType()); }
Value number(OpBuilder &b, Location loc, double value) {
  auto type = NNType::get(b.getContext(), false, {}, b.getF32Type());
  return ConstantOp::create(b, loc, type, b.getF64FloatAttr(value));
}
Value scale(OpBuilder &b, Location loc, Value x, double factor) { return MulOp::create(b, loc, x, number(b, loc, factor)); }
Value mask(OpBuilder &b, Location loc, Value condition) { return CastOp::create(b, loc, condition, b.getF32Type()); }
} // namespace

#define PEFT_VJP(OP) void OP::vjp(OpBuilder &b, Value ct, ArrayRef<bool> wanted, Cotangents &out)
#define PEFT_VJP_UNARY(OP, EXPR)                                                                                       \
  PEFT_VJP(OP) {                                                                                                       \
    Location loc = getLoc();                                                                                           \
    Value x = getX(), y = getResult();                                                                                 \
    (void)x, (void)y, (void)loc;                                                                                       \
    out.push_back(EXPR);                                                                                               \
  }

PEFT_VJP_UNARY(NegOp, NegOp::create(b, loc, ct))
PEFT_VJP_UNARY(ExpOp, MulOp::create(b, loc, ct, y))
PEFT_VJP_UNARY(LogOp, DivOp::create(b, loc, ct, x))
PEFT_VJP_UNARY(SqrtOp, DivOp::create(b, loc, scale(b, loc, ct, 0.5), y))
// d x^(-1/2) = -1/2 y³
PEFT_VJP_UNARY(RsqrtOp, MulOp::create(b, loc, scale(b, loc, ct, -0.5), MulOp::create(b, loc, y, MulOp::create(b, loc, y, y))))
PEFT_VJP_UNARY(TanhOp, MulOp::create(b, loc, ct, SubOp::create(b, loc, number(b, loc, 1), MulOp::create(b, loc, y, y))))
// d erf(x) = 2/√π exp(-x²)
PEFT_VJP_UNARY(ErfOp, MulOp::create(b, loc, scale(b, loc, ct, 2 / std::sqrt(M_PI)),
                                    ExpOp::create(b, loc, NegOp::create(b, loc, MulOp::create(b, loc, x, x)))))
PEFT_VJP_UNARY(SinOp, MulOp::create(b, loc, ct, CosOp::create(b, loc, x)))
PEFT_VJP_UNARY(CosOp, NegOp::create(b, loc, MulOp::create(b, loc, ct, SinOp::create(b, loc, x))))
PEFT_VJP_UNARY(AbsOp, MulOp::create(b, loc, ct, SignOp::create(b, loc, x)))
PEFT_VJP_UNARY(SignOp, Value())
PEFT_VJP_UNARY(FloorOp, Value())
PEFT_VJP_UNARY(CastOp, typeOf(x).isFloat() ? Value(ct) : Value())
PEFT_VJP_UNARY(BroadcastOp, ct)

PEFT_VJP(SiblingsOp) { out.push_back(SumSiblingsOp::create(b, getLoc(), ct, getSiblingsAttr())); }
PEFT_VJP(SumSiblingsOp) { out.push_back(SiblingsOp::create(b, getLoc(), ct, getSiblingsAttr())); }

// ---- binary --------------------------------------------------------------------------------------------------------

PEFT_VJP(AddOp) { out.append({ct, ct}); }
PEFT_VJP(SubOp) { out.append({ct, wanted[1] ? NegOp::create(b, getLoc(), ct) : Value()}); }
PEFT_VJP(MulOp) {
  out.push_back(wanted[0] ? MulOp::create(b, getLoc(), ct, getY()) : Value());
  out.push_back(wanted[1] ? MulOp::create(b, getLoc(), ct, getX()) : Value());
}
PEFT_VJP(DivOp) {
  out.push_back(wanted[0] ? DivOp::create(b, getLoc(), ct, getY()) : Value());
  out.push_back(wanted[1] ? NegOp::create(b, getLoc(), DivOp::create(b, getLoc(), MulOp::create(b, getLoc(), ct, getResult()), getY()))
                          : Value());
}
PEFT_VJP(PowOp) {
  Location loc = getLoc();
  if (wanted[0]) {
    auto known = getY().getDefiningOp<ConstantOp>(); // then so is the exponent of the derivative
    auto exponent = known ? dyn_cast<FloatAttr>(known.getValue()) : FloatAttr();
    Value less = exponent ? number(b, loc, exponent.getValueAsDouble() - 1) : SubOp::create(b, loc, getY(), number(b, loc, 1)).getResult();
    out.push_back(MulOp::create(b, loc, MulOp::create(b, loc, ct, getY()), PowOp::create(b, loc, getX(), less)));
  } else {
    out.push_back(Value());
  }
  out.push_back(wanted[1] ? MulOp::create(b, loc, MulOp::create(b, loc, ct, getResult()), LogOp::create(b, loc, getX())) : Value());
}
// On a tie the second operand gets the cotangent: relu, max(x, 0), has derivative 0 at 0.
PEFT_VJP(MaxOp) {
  Location loc = getLoc();
  out.push_back(wanted[0] ? MulOp::create(b, loc, ct, mask(b, loc, GtOp::create(b, loc, getX(), getY()))) : Value());
  out.push_back(wanted[1] ? MulOp::create(b, loc, ct, mask(b, loc, LeOp::create(b, loc, getX(), getY()))) : Value());
}
PEFT_VJP(MinOp) {
  Location loc = getLoc();
  out.push_back(wanted[0] ? MulOp::create(b, loc, ct, mask(b, loc, LtOp::create(b, loc, getX(), getY()))) : Value());
  out.push_back(wanted[1] ? MulOp::create(b, loc, ct, mask(b, loc, GeOp::create(b, loc, getX(), getY()))) : Value());
}
PEFT_VJP(SelectOp) {
  Value zero = number(b, getLoc(), 0);
  out.push_back(Value());
  out.push_back(wanted[1] ? SelectOp::create(b, getLoc(), getCondition(), ct, zero) : Value());
  out.push_back(wanted[2] ? SelectOp::create(b, getLoc(), getCondition(), zero, ct) : Value());
}

// ---- reductions and products ---------------------------------------------------------------------------------------

/// Gives a reduced value its axes (of length 1) back.
static Value restoreAxes(OpBuilder &b, ReduceOp op, Value value) {
  if (op.getKeep())
    return value;
  int64_t rank = op.getX().getType().rank();
  SmallVector<int64_t> axes;
  for (int64_t axis : op.getAxes())
    axes.push_back(axis < 0 ? axis + rank : axis);
  llvm::sort(axes);
  for (int64_t axis : axes)
    value = ExpandDimsOp::create(b, op.getLoc(), value, b.getI64IntegerAttr(axis));
  return value;
}

PEFT_VJP(ReduceOp) {
  Location loc = getLoc();
  NNType type = getX().getType();
  Value spread = BroadcastOp::create(b, loc, type, restoreAxes(b, *this, ct));
  if (getKind() == "sum") {
    out.push_back(spread);
    return;
  }
  // Entries that reach the extreme share the cotangent.
  Value hit = mask(b, loc, EqOp::create(b, loc, getX(), restoreAxes(b, *this, getResult())));
  Value count = ReduceOp::create(b, loc, hit, b.getStringAttr("sum"), getAxesAttr(), b.getBoolAttr(true), getOverExamplesAttr());
  out.push_back(DivOp::create(b, loc, MulOp::create(b, loc, spread, hit), count));
}

/// The cotangent of one operand of a product: the other operand against the result's cotangent.
static Value contractVjp(OpBuilder &b, ContractOp op, Value ct, Value operand, Value other, StringRef own, StringRef others,
                         StringRef result) {
  // A letter that only this operand has was summed away: its cotangent does not depend on it.
  std::string reach;
  for (char letter : own)
    if (result.contains(letter) || others.contains(letter))
      reach += letter;
  NNType type = typeOf(operand);
  bool over = !type.getExample() && (typeOf(ct).getExample() || typeOf(other).getExample());
  Value value = ContractOp::create(b, op.getLoc(), ct, other, b.getStringAttr((result + "," + others + "->" + reach).str()),
                                   b.getBoolAttr(over));
  for (auto [axis, letter] : llvm::enumerate(own))
    if (reach.find(letter) == std::string::npos)
      value = ExpandDimsOp::create(b, op.getLoc(), value, b.getI64IntegerAttr(axis));
  if (!typeOf(value).sameShape(type))
    value = BroadcastOp::create(b, op.getLoc(), type.withExample(typeOf(value).getExample()), value);
  return value;
}

PEFT_VJP(ContractOp) {
  auto [inputs, result] = getEquation().split("->");
  auto [lhs, rhs] = inputs.split(',');
  out.push_back(wanted[0] ? contractVjp(b, *this, ct, getX(), getY(), lhs, rhs, result) : Value());
  out.push_back(wanted[1] ? contractVjp(b, *this, ct, getY(), getX(), rhs, lhs, result) : Value());
}

// d X⁻¹ = -X⁻¹ dX X⁻¹, so the cotangent of X is -Yᵀ ct Yᵀ.
PEFT_VJP(InverseOp) {
  std::string batch;
  for (int64_t axis = 2; axis < getX().getType().rank(); ++axis)
    batch += static_cast<char>('a' + axis - 2);
  auto product = [&](Value x, Value y, StringRef own, StringRef others, StringRef result) {
    return ContractOp::create(b, getLoc(), x, y, b.getStringAttr((batch + own + "," + batch + others + "->" + batch + result).str()), b.getBoolAttr(false));
  };
  Value left = product(getResult(), ct, "wx", "wy", "xy");
  out.push_back(NegOp::create(b, getLoc(), product(left, getResult(), "xy", "zy", "xz")));
}

// ---- shapes --------------------------------------------------------------------------------------------------------

PEFT_VJP(TransposeOp) {
  SmallVector<int64_t> inverse(getPerm().size());
  for (auto [i, axis] : llvm::enumerate(getPerm()))
    inverse[axis] = i;
  out.push_back(TransposeOp::create(b, getLoc(), ct, b.getDenseI64ArrayAttr(inverse)));
}
static int64_t fromFront(int64_t axis, Value x) { return axis < 0 ? axis + typeOf(x).rank() : axis; }
PEFT_VJP(SplitOp) {
  const int64_t axis = fromFront(getAxis(), getX());
  out.push_back(MergeOp::create(b, getLoc(), ct, b.getI64IntegerAttr(axis), b.getI64IntegerAttr(getSizes().size())));
}
PEFT_VJP(MergeOp) {
  const int64_t axis = fromFront(getAxis(), getX());
  SmallVector<int64_t> sizes;
  for (Dim dim : getX().getType().getDims().slice(axis, getCount()))
    sizes.push_back(dim.isStatic() ? dim.constant : -1); // at most one depends on the text's length
  out.push_back(SplitOp::create(b, getLoc(), ct, b.getI64IntegerAttr(axis), b.getDenseI64ArrayAttr(sizes)));
}
PEFT_VJP(ExpandDimsOp) { out.push_back(SqueezeOp::create(b, getLoc(), ct, getAxisAttr())); }
PEFT_VJP(SqueezeOp) { out.push_back(ExpandDimsOp::create(b, getLoc(), ct, getAxisAttr())); }

PEFT_VJP(SliceOp) {
  NNType type = getX().getType();
  int64_t axis = getAxis() < 0 ? getAxis() + type.rank() : getAxis();
  Dim start = getStart().dim();
  if (start.isStatic() && start.constant < 0)
    start = type.getDims()[axis] + start;
  out.push_back(PadOp::create(b, getLoc(), type.withExample(typeOf(ct).getExample()), ct, b.getI64IntegerAttr(axis),
                              DimAttr::get(b.getContext(), start), getStepAttr()));
}
PEFT_VJP(PadOp) {
  Dim lo = getLo().dim(), length = getX().getType().getDims()[getAxis()];
  Dim stop = lo + Dim::of((length.constant - (length.isStatic() ? 1 : 0)) * static_cast<int64_t>(getStep()), length.scale, length.sequence) +
             Dim{length.isStatic() ? 1 : 0, 0};
  out.push_back(SliceOp::create(b, getLoc(), ct, getAxisAttr(), getLo(), DimAttr::get(b.getContext(), stop), getStepAttr()));
}
PEFT_VJP(RollOp) { out.push_back(RollOp::create(b, getLoc(), ct, getAxisAttr(), b.getI64IntegerAttr(-static_cast<int64_t>(getBy())))); }
PEFT_VJP(RepeatOp) {
  const int64_t axis = fromFront(getAxis(), getX());
  const Dim length = getX().getType().getDims()[axis];
  Value parts = SplitOp::create(b, getLoc(), ct, b.getI64IntegerAttr(axis),
                                b.getDenseI64ArrayAttr({length.isStatic() ? length.constant : -1, static_cast<int64_t>(getTimes())}));
  out.push_back(ReduceOp::create(b, getLoc(), parts, b.getStringAttr("sum"), b.getDenseI64ArrayAttr({axis + 1}), b.getBoolAttr(false), b.getBoolAttr(false)));
}
PEFT_VJP(ConcatOp) {
  int64_t rank = getResult().getType().rank(), axis = getAxis() < 0 ? getAxis() + rank : getAxis();
  Dim at;
  for (auto [i, x] : llvm::enumerate(getXs())) {
    Dim next = at + typeOf(x).getDims()[axis];
    out.push_back(wanted[i] ? SliceOp::create(b, getLoc(), ct, b.getI64IntegerAttr(axis), DimAttr::get(b.getContext(), at),
                                              DimAttr::get(b.getContext(), next), b.getI64IntegerAttr(1))
                            : Value());
    at = next;
  }
}
PEFT_VJP(GatherOp) {
  if (wanted[0]) {
    NNType table = getTable().getType();
    bool over = !table.getExample() && (typeOf(ct).getExample() || getIndices().getType().getExample());
    out.push_back(ScatterAddOp::create(b, getLoc(), getIndices(), ct, DimAttr::get(b.getContext(), table.getDims()[0]),
                                       b.getBoolAttr(over)));
  } else {
    out.push_back(Value());
  }
  out.push_back(Value());
}
PEFT_VJP(ScatterAddOp) {
  out.push_back(Value());
  out.push_back(wanted[1] ? GatherOp::create(b, getLoc(), ct, getIndices()) : Value());
}
