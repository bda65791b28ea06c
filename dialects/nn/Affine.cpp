// Affine: which ops keep a value an affine map of x, and how its coefficients follow.
//
// A value [seq, f…] of x [seq, in] is `M x + c` for each token, with M [f…, in] and c [f…]. What an op does along an axis of features it does to both, one axis
// further to the front; what it does along the tokens ends the map.
#include "dialects/nn/Affine.h"
#include "dialects/nn/Nn.h"

using namespace mlir;
using namespace mlir::nn;

using Map = std::optional<Affine>;
using Operands = ArrayRef<AffineOperand>;

static NNType typeOf(Value value) { return cast<NNType>(value.getType()); }

/// A value of the run whose axes meet those of features alone; null if it has one for the tokens.
static Value overFeatures(Value value, int64_t features, AffineContext &context) {
  while (typeOf(value).rank() > features && typeOf(value).getDims()[0].is(1))
    value = SqueezeOp::create(context.builder, value.getLoc(), value, context.builder.getI64IntegerAttr(0));
  if (typeOf(value).rank() <= features)
    return value;
  context.reason = "it adds or scales by a matrix over the tokens";
  return {};
}

/// The identity as a matrix, where nothing cheaper stands for it.
static Affine materialized(Affine map, AffineContext &context, Location loc) {
  if (!map.identity)
    return map;
  OpBuilder &b = context.builder;
  const NNType scalar = NNType::get(b.getContext(), false, {}, b.getF32Type());
  Value zero = ConstantOp::create(b, loc, scalar, b.getF64FloatAttr(0));
  Value length = BroadcastOp::create(b, loc, scalar.withDims({Dim{context.features, 0}}), zero);
  Value index = IotaOp::create(b, loc, length, b.getI64IntegerAttr(0));
  auto along = [&](int64_t axis) { return ExpandDimsOp::create(b, loc, index, b.getI64IntegerAttr(axis)).getResult(); };
  Value same = EqOp::create(b, loc, along(1), along(0));
  return {false, CastOp::create(b, loc, same, TypeAttr::get(b.getF32Type())), {}};
}

/// The coefficients in the shape that a result of this type wants.
static Affine shaped(Affine map, NNType result, AffineContext &context, Location loc) {
  SmallVector<Dim> dims(result.getDims().drop_front());
  auto fit = [&](Value value) -> Value {
    const NNType type = NNType::get(context.builder.getContext(), false, dims, context.builder.getF32Type());
    return !value || value.getType() == type ? value : BroadcastOp::create(context.builder, loc, type, value).getResult();
  };
  map.c = fit(map.c);
  dims.push_back({context.features, 0});
  map.M = fit(map.M);
  return map;
}

/// The map with each feature multiplied (or divided) by its factor.
static Affine scaled(const Affine &operand, Value factor, bool divide, NNType result, AffineContext &context, Location loc) {
  OpBuilder &b = context.builder;
  const Affine map = materialized(operand, context, loc);
  auto times = [&](Value value, Value by) -> Value {
    return divide ? DivOp::create(b, loc, value, by).getResult() : MulOp::create(b, loc, value, by).getResult();
  };
  const int64_t rank = typeOf(factor).rank();
  Value column = rank == 0 ? factor : ExpandDimsOp::create(b, loc, factor, b.getI64IntegerAttr(rank)).getResult();
  return shaped({false, map.M ? times(map.M, column) : Value(), map.c ? times(map.c, factor) : Value()}, result, context, loc);
}

static Map sum(Operation *op, Operands operands, bool minus, AffineContext &context) {
  OpBuilder &b = context.builder;
  const Location loc = op->getLoc();
  const NNType result = typeOf(op->getResult(0));
  Affine parts[2];
  for (int i : {0, 1}) {
    if (operands[i].dependsOnX && typeOf(op->getOperand(i)).rank() != result.rank())
      return context.reject("it makes features of tokens");
    if (operands[i].dependsOnX)
      parts[i] = materialized(operands[i].map, context, loc);
    else if (!(parts[i].c = overFeatures(operands[i].run, result.rank() - 1, context)))
      return std::nullopt;
  }
  auto join = [&](Value x, Value y) -> Value {
    if (!y)
      return x;
    if (!x)
      return minus ? NegOp::create(b, loc, y).getResult() : y;
    return minus ? SubOp::create(b, loc, x, y).getResult() : AddOp::create(b, loc, x, y).getResult();
  };
  return shaped({false, join(parts[0].M, parts[1].M), join(parts[0].c, parts[1].c)}, result, context, loc);
}

Map AddOp::affineIn(AffineContext &context, Operands operands) { return sum(*this, operands, false, context); }
Map SubOp::affineIn(AffineContext &context, Operands operands) { return sum(*this, operands, true, context); }
Map StopGradOp::affineIn(AffineContext &, Operands operands) { return operands[0].map; }

Map NegOp::affineIn(AffineContext &context, Operands operands) {
  OpBuilder &b = context.builder;
  Value minusOne = ConstantOp::create(b, getLoc(), NNType::get(b.getContext(), false, {}, b.getF32Type()), b.getF64FloatAttr(-1));
  return scaled(operands[0].map, minusOne, false, getType(), context, getLoc());
}

static Map product(Operation *op, Operands operands, int varying, bool divide, AffineContext &context) {
  const NNType result = typeOf(op->getResult(0));
  if (typeOf(op->getOperand(varying)).rank() != result.rank())
    return context.reject("it makes features of tokens");
  Value factor = overFeatures(operands[1 - varying].run, result.rank() - 1, context);
  return factor ? Map(scaled(operands[varying].map, factor, divide, result, context, op->getLoc())) : std::nullopt;
}

Map MulOp::affineIn(AffineContext &context, Operands operands) {
  if (operands[0].dependsOnX && operands[1].dependsOnX)
    return context.reject("it multiplies two values that depend on x");
  return product(*this, operands, operands[0].dependsOnX ? 0 : 1, false, context);
}

Map DivOp::affineIn(AffineContext &context, Operands operands) {
  if (operands[1].dependsOnX)
    return context.reject("it divides by a value that depends on x");
  return product(*this, operands, 0, true, context);
}

/// "s…" against a value of the run, into "s…": the same product of the coefficients, to which the axis of x is one more.
Map ContractOp::affineIn(AffineContext &context, Operands operands) {
  if (operands[0].dependsOnX && operands[1].dependsOnX)
    return context.reject("it multiplies two values that depend on x");
  const int varying = operands[0].dependsOnX ? 0 : 1;
  auto [inputs, out] = getEquation().split("->");
  auto [lhs, rhs] = inputs.split(',');
  StringRef own = varying == 0 ? lhs : rhs, other = varying == 0 ? rhs : lhs;
  if (own.empty() || out.empty() || own[0] != out[0] || other.contains(own[0]))
    return context.reject("it mixes tokens");
  OpBuilder &b = context.builder;
  Value factor = operands[1 - varying].run;
  const std::string wanted = (out.drop_front() + own.drop_front()).str(); // of x itself: the factor is M, in this order
  if (operands[varying].map.identity && !out.contains(own[1]) && wanted.size() == other.size() && llvm::all_of(wanted, [&](char c) { return other.contains(c); })) {
    SmallVector<int64_t> order;
    for (char letter : wanted)
      order.push_back(other.find(letter));
    return Affine{false, llvm::is_sorted(order) ? factor : TransposeOp::create(b, getLoc(), factor, b.getDenseI64ArrayAttr(order)).getResult(), {}};
  }
  const Affine map = shaped(materialized(operands[varying].map, context, getLoc()), typeOf(getOperand(varying)), context, getLoc());
  const char input = *llvm::find_if(StringRef("abcdefghijklmnopqrstuvwxyz"), [&](char c) { return !getEquation().contains(c); });
  auto times = [&](Value value, StringRef more) {
    const std::string equation = (other + "," + own.drop_front() + more + "->" + out.drop_front() + more).str();
    return ContractOp::create(b, getLoc(), factor, value, b.getStringAttr(equation), b.getBoolAttr(false)).getResult();
  };
  return Affine{false, map.M ? times(map.M, StringRef(&input, 1)) : Value(), map.c ? times(map.c, "") : Value()};
}

// ---- along axes of features -----------------------------------------------------------------------------------------

/// An op along one axis does to the coefficients what it does to the value.
static Map alongAxis(Operation *op, Operands operands, AffineContext &context) {
  const int64_t axis = op->getAttrOfType<IntegerAttr>("axis").getInt();
  if (axis == 0)
    return context.reject("it moves tokens");
  const Affine map = shaped(materialized(operands[0].map, context, op->getLoc()), typeOf(op->getOperand(0)), context, op->getLoc());
  auto again = [&](Value value) -> Value {
    if (!value)
      return {};
    Operation *copy = op->clone();
    copy->setOperands(value);
    copy->setAttr("axis", context.builder.getI64IntegerAttr(axis - 1));
    SmallVector<Type> types;
    [[maybe_unused]] LogicalResult inferred = cast<InferTypeOpInterface>(copy).inferReturnTypes(op->getContext(), op->getLoc(), copy->getOperands(), copy->getAttrDictionary(),
                                                                                                 copy->getPropertiesStorage(), {}, types);
    assert(succeeded(inferred) && "the coefficients have the value's axes");
    copy->getResult(0).setType(types.front());
    return context.builder.insert(copy)->getResult(0);
  };
  return Affine{false, again(map.M), again(map.c)};
}

Map SplitOp::affineIn(AffineContext &context, Operands operands) { return alongAxis(*this, operands, context); }
Map MergeOp::affineIn(AffineContext &context, Operands operands) { return alongAxis(*this, operands, context); }
Map ExpandDimsOp::affineIn(AffineContext &context, Operands operands) { return alongAxis(*this, operands, context); }
Map SqueezeOp::affineIn(AffineContext &context, Operands operands) { return alongAxis(*this, operands, context); }
Map SliceOp::affineIn(AffineContext &context, Operands operands) { return alongAxis(*this, operands, context); }
Map RollOp::affineIn(AffineContext &context, Operands operands) { return alongAxis(*this, operands, context); }
Map RepeatOp::affineIn(AffineContext &context, Operands operands) { return alongAxis(*this, operands, context); }

Map TransposeOp::affineIn(AffineContext &context, Operands operands) {
  if (getPerm()[0] != 0)
    return context.reject("it makes features of tokens");
  OpBuilder &b = context.builder;
  const Affine map = shaped(materialized(operands[0].map, context, getLoc()), typeOf(getX()), context, getLoc());
  SmallVector<int64_t> perm;
  for (int64_t axis : getPerm().drop_front())
    perm.push_back(axis - 1);
  Value c = map.c ? TransposeOp::create(b, getLoc(), map.c, b.getDenseI64ArrayAttr(perm)).getResult() : Value();
  perm.push_back(perm.size());
  return Affine{false, map.M ? TransposeOp::create(b, getLoc(), map.M, b.getDenseI64ArrayAttr(perm)).getResult() : Value(), c};
}

Map ReduceOp::affineIn(AffineContext &context, Operands operands) {
  if (getKind() != "sum")
    return context.reject("it takes the largest or smallest");
  if (getOverExamples() || llvm::is_contained(getAxes(), 0))
    return context.reject("it mixes tokens");
  OpBuilder &b = context.builder;
  const Affine map = shaped(materialized(operands[0].map, context, getLoc()), typeOf(getX()), context, getLoc());
  SmallVector<int64_t> axes;
  for (int64_t axis : getAxes())
    axes.push_back(axis - 1);
  auto again = [&](Value value) -> Value {
    return value ? ReduceOp::create(b, getLoc(), value, getKindAttr(), b.getDenseI64ArrayAttr(axes), getKeepAttr(), b.getBoolAttr(false)).getResult() : Value();
  };
  return Affine{false, again(map.M), again(map.c)};
}
