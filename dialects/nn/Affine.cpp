// Affine: which ops keep a value an affine map of x, and how its coefficients follow.
#include "dialects/nn/Affine.h"
#include "dialects/nn/Nn.h"

using namespace mlir;
using namespace mlir::nn;

using Map = std::optional<Affine>;
using Operands = ArrayRef<AffineOperand>;

static NNType typeOf(Value value) { return cast<NNType>(value.getType()); }

/// A value of the run as a row vector [k] or a scalar, to meet c; null if it has more axes.
static Value vectorOf(Value value, AffineContext &context) {
  while (typeOf(value).rank() > 1 && typeOf(value).getDims()[0].is(1))
    value = SqueezeOp::create(context.builder, value.getLoc(), value, context.builder.getI64IntegerAttr(0));
  if (typeOf(value).rank() <= 1)
    return value;
  context.reason = "it adds or scales by a matrix over the tokens";
  return {};
}

/// The identity as a matrix, where nothing cheaper stands for it.
static Affine materialized(Affine map, AffineContext &context, Location loc) {
  if (!map.identity)
    return map;
  OpBuilder &b = context.builder;
  const Dim dim{context.features, 0};
  std::vector<double> numbers(context.features * context.features);
  for (int64_t i = 0; i < context.features; ++i)
    numbers[i * context.features + i] = 1;
  return {false, LiteralOp::create(b, loc, NNType::get(b.getContext(), false, {dim, dim}, b.getF32Type()), b.getDenseF64ArrayAttr(numbers)), {}};
}

/// The map with each output feature multiplied (or divided) by `factor`: a scalar or [out].
static Affine scaled(const Affine &operand, Value factor, bool divide, AffineContext &context, Location loc) {
  OpBuilder &b = context.builder;
  const Affine map = materialized(operand, context, loc);
  auto times = [&](Value value, Value by) -> Value {
    return divide ? DivOp::create(b, loc, value, by).getResult() : MulOp::create(b, loc, value, by).getResult();
  };
  Value column = typeOf(factor).rank() == 0 ? factor : ExpandDimsOp::create(b, loc, factor, b.getI64IntegerAttr(1)).getResult();
  return {false, map.M ? times(map.M, column) : Value(), map.c ? times(map.c, factor) : Value()};
}

static Map sum(Operands operands, bool minus, AffineContext &context, Location loc) {
  OpBuilder &b = context.builder;
  Affine parts[2];
  for (int i : {0, 1}) {
    if (operands[i].dependsOnX)
      parts[i] = materialized(operands[i].map, context, loc);
    else if (!(parts[i].c = vectorOf(operands[i].run, context)))
      return std::nullopt;
  }
  auto join = [&](Value x, Value y) -> Value {
    if (!y)
      return x;
    if (!x)
      return minus ? NegOp::create(b, loc, y).getResult() : y;
    return minus ? SubOp::create(b, loc, x, y).getResult() : AddOp::create(b, loc, x, y).getResult();
  };
  return Affine{false, join(parts[0].M, parts[1].M), join(parts[0].c, parts[1].c)};
}

Map AddOp::affineIn(AffineContext &context, Operands operands) { return sum(operands, false, context, getLoc()); }
Map SubOp::affineIn(AffineContext &context, Operands operands) { return sum(operands, true, context, getLoc()); }
Map StopGradOp::affineIn(AffineContext &, Operands operands) { return operands[0].map; }

Map NegOp::affineIn(AffineContext &context, Operands operands) {
  OpBuilder &b = context.builder;
  Value minusOne = ConstantOp::create(b, getLoc(), NNType::get(b.getContext(), false, {}, b.getF32Type()), b.getF64FloatAttr(-1));
  return scaled(operands[0].map, minusOne, false, context, getLoc());
}

Map MulOp::affineIn(AffineContext &context, Operands operands) {
  if (operands[0].dependsOnX && operands[1].dependsOnX)
    return context.reject("it multiplies two values that depend on x");
  const int varying = operands[0].dependsOnX ? 0 : 1;
  Value factor = vectorOf(operands[1 - varying].run, context);
  return factor ? Map(scaled(operands[varying].map, factor, false, context, getLoc())) : std::nullopt;
}

Map DivOp::affineIn(AffineContext &context, Operands operands) {
  if (operands[1].dependsOnX)
    return context.reject("it divides by a value that depends on x");
  Value factor = vectorOf(operands[1].run, context);
  return factor ? Map(scaled(operands[0].map, factor, true, context, getLoc())) : std::nullopt;
}

/// "sk" against a matrix [k, z] of the run in either order, into "sz".
Map ContractOp::affineIn(AffineContext &context, Operands operands) {
  if (operands[0].dependsOnX && operands[1].dependsOnX)
    return context.reject("it multiplies two values that depend on x");
  const int varying = operands[0].dependsOnX ? 0 : 1;
  auto [inputs, out] = getEquation().split("->");
  auto [lhs, rhs] = inputs.split(',');
  StringRef own = varying == 0 ? lhs : rhs, other = varying == 0 ? rhs : lhs;
  if (own.size() != 2 || other.size() != 2 || out.size() != 2 || own[0] != out[0] || other.contains(own[0]) || !other.contains(own[1]) || !other.contains(out[1]))
    return context.reject("it mixes tokens");
  OpBuilder &b = context.builder;
  Value matrix = operands[1 - varying].run;
  const bool straight = other[0] == out[1]; // the matrix is [z, k]
  const Affine &map = operands[varying].map;
  if (map.identity)
    return Affine{false, straight ? matrix : TransposeOp::create(b, getLoc(), matrix, b.getDenseI64ArrayAttr({1, 0})).getResult(), {}};
  auto times = [&](Value value, StringRef equation) {
    return ContractOp::create(b, getLoc(), matrix, value, b.getStringAttr(equation), b.getBoolAttr(false)).getResult();
  };
  return Affine{false, map.M ? times(map.M, straight ? "zk,ki->zi" : "kz,ki->zi") : Value(), map.c ? times(map.c, straight ? "zk,k->z" : "kz,k->z") : Value()};
}
