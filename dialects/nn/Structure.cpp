// Structure: which ops of matrices are cheaper applied than formed, and how.
#include "dialects/nn/Nn.h"

using namespace mlir;
using namespace mlir::nn;

static NNType typeOf(Value value) { return cast<NNType>(value.getType()); }
static bool isMatrix(Value value) { return typeOf(value).rank() == 2 && !typeOf(value).getExample() && typeOf(value).isStatic(); }
static bool sameShapes(Value x, Value y) { return typeOf(x).sameShape(typeOf(y)); }
static Value contract(StructureContext &context, Value x, Value y, const std::string &equation) {
  OpBuilder &b = context.builder;
  return ContractOp::create(b, context.location, x, y, b.getStringAttr(equation), b.getBoolAttr(false));
}

// ---- values --------------------------------------------------------------------------------------------------------

bool mlir::nn::isCheaperApplied(Value E) {
  auto op = E.getDefiningOp<Structured>();
  return op && isMatrix(E) && op.cheaperApplied();
}

Value mlir::nn::applyTo(StructureContext &context, Value x, Value E, bool transposed) {
  if (isCheaperApplied(E))
    return E.getDefiningOp<Structured>().applyTo(context, x, transposed);
  return contract(context, x, E, context.rows + "Y," + (transposed ? "YZ" : "ZY") + "->" + context.rows + "Z");
}

static bool addendsOf(StructureContext &context, Value E, Addend scale, SmallVectorImpl<Addend> &addends) {
  if (isCheaperApplied(E))
    return E.getDefiningOp<Structured>().addends(context, scale, addends);
  scale.dense = E;
  addends.push_back(scale);
  return true;
}

/// Σ_in S ∘ T, row by row.
static Value rowProduct(StructureContext &context, const Addend &s, const Addend &t) {
  auto left = [](const Addend &a, char r) { return a.leftSwapped ? std::string{r, 'o'} : std::string{'o', r}; };
  auto right = [](const Addend &a, char r) { return a.rightSwapped ? std::string{'i', r} : std::string{r, 'i'}; };
  Value value;
  if (s.dense && t.dense) {
    value = contract(context, s.dense, t.dense, "oi,oi->o");
  } else if (!s.dense && !t.dense) { // (B₁ (A₁ A₂ᵀ)) ∘ B₂ summed over r
    Value gram = contract(context, s.right, t.right, right(s, 'p') + "," + right(t, 'q') + "->pq");
    Value half = contract(context, s.left, gram, left(s, 'p') + ",pq->oq");
    value = contract(context, half, t.left, "oq," + left(t, 'q') + "->o");
  } else {
    const Addend &product = s.dense ? t : s;
    Value projected = contract(context, s.dense ? s.dense : t.dense, product.right, "oi," + right(product, 'r') + "->or");
    value = contract(context, projected, product.left, "or," + left(product, 'r') + "->o");
  }
  for (Value factor : {s.factor, t.factor})
    if (factor)
      value = MulOp::create(context.builder, context.location, value, factor);
  return s.negative != t.negative ? NegOp::create(context.builder, context.location, value).getResult() : value;
}

Value mlir::nn::rowNormSq(StructureContext &context, Value E) {
  SmallVector<Addend> addends;
  if (!addendsOf(context, E, {}, addends))
    return {};
  OpBuilder &b = context.builder;
  Value total;
  for (size_t i = 0; i < addends.size(); ++i)
    for (size_t j = i; j < addends.size(); ++j) {
      Value part = rowProduct(context, addends[i], addends[j]);
      if (i != j) {
        auto scalar = NNType::get(b.getContext(), false, {}, b.getF32Type());
        part = MulOp::create(b, context.location, part, ConstantOp::create(b, context.location, scalar, b.getF64FloatAttr(2)));
      }
      total = total ? AddOp::create(b, context.location, total, part).getResult() : part;
    }
  return total;
}

// ---- sums ----------------------------------------------------------------------------------------------------------

bool AddOp::cheaperApplied() { return sameShapes(getX(), getY()) && (isCheaperApplied(getX()) || isCheaperApplied(getY())); }
Value AddOp::applyTo(StructureContext &context, Value x, bool transposed) {
  Value first = nn::applyTo(context, x, getX(), transposed);
  return AddOp::create(context.builder, context.location, first, nn::applyTo(context, x, getY(), transposed));
}
bool AddOp::addends(StructureContext &context, const Addend &scale, SmallVectorImpl<Addend> &list) {
  return addendsOf(context, getX(), scale, list) && addendsOf(context, getY(), scale, list);
}

static Addend negated(Addend scale) {
  scale.negative = !scale.negative;
  return scale;
}
bool SubOp::cheaperApplied() { return sameShapes(getX(), getY()) && (isCheaperApplied(getX()) || isCheaperApplied(getY())); }
Value SubOp::applyTo(StructureContext &context, Value x, bool transposed) {
  Value first = nn::applyTo(context, x, getX(), transposed);
  return SubOp::create(context.builder, context.location, first, nn::applyTo(context, x, getY(), transposed));
}
bool SubOp::addends(StructureContext &context, const Addend &scale, SmallVectorImpl<Addend> &list) {
  return addendsOf(context, getX(), scale, list) && addendsOf(context, getY(), negated(scale), list);
}

bool NegOp::cheaperApplied() { return isCheaperApplied(getX()); }
Value NegOp::applyTo(StructureContext &context, Value x, bool transposed) {
  return NegOp::create(context.builder, context.location, nn::applyTo(context, x, getX(), transposed));
}
bool NegOp::addends(StructureContext &context, const Addend &scale, SmallVectorImpl<Addend> &list) {
  return addendsOf(context, getX(), negated(scale), list);
}

// ---- scales --------------------------------------------------------------------------------------------------------

namespace {
/// A matrix times (or divided by) a scalar, a column [out, 1] or a row [in] or [1, in].
struct Scaled {
  Value matrix, factor;
  enum { Scalar, Rows, Columns } axis = Scalar;
};
std::optional<Scaled> scaledBy(Value result, Value matrix, Value factor) {
  NNType type = typeOf(factor);
  if (!isMatrix(result) || !isMatrix(matrix) || !sameShapes(matrix, result) || type.getExample())
    return std::nullopt;
  if (type.rank() == 0)
    return Scaled{matrix, factor, Scaled::Scalar};
  if (type.rank() == 2 && type.getDims()[1].is(1))
    return Scaled{matrix, factor, Scaled::Rows};
  if (type.rank() == 1 || (type.rank() == 2 && type.getDims()[0].is(1)))
    return Scaled{matrix, factor, Scaled::Columns};
  return std::nullopt;
}
std::optional<Scaled> scaled(MulOp op) {
  for (auto [matrix, factor] : {std::pair(op.getX(), op.getY()), std::pair(op.getY(), op.getX())})
    if (auto found = scaledBy(op.getResult(), matrix, factor); found && isCheaperApplied(matrix))
      return found;
  return std::nullopt;
}
std::optional<Scaled> scaled(DivOp op) {
  auto found = scaledBy(op.getResult(), op.getX(), op.getY());
  return found && isCheaperApplied(op.getX()) ? found : std::nullopt;
}

/// The factor as a scalar or a vector over its axis.
Value flat(StructureContext &context, const Scaled &part) {
  if (part.axis == Scaled::Scalar || typeOf(part.factor).rank() == 1)
    return part.factor;
  return SqueezeOp::create(context.builder, context.location, part.factor, context.builder.getI64IntegerAttr(part.axis == Scaled::Rows ? 1 : 0));
}
template <typename Op> Value applyScaled(StructureContext &context, Value x, const Scaled &part, bool transposed) {
  Value factor = flat(context, part);
  const bool onResult = part.axis == Scaled::Scalar || (part.axis == Scaled::Rows) != transposed;
  if (!onResult)
    x = Op::create(context.builder, context.location, x, factor);
  Value y = nn::applyTo(context, x, part.matrix, transposed);
  return onResult ? Op::create(context.builder, context.location, y, factor).getResult() : y;
}
} // namespace

bool MulOp::cheaperApplied() { return scaled(*this).has_value(); }
Value MulOp::applyTo(StructureContext &context, Value x, bool transposed) { return applyScaled<MulOp>(context, x, *scaled(*this), transposed); }
bool MulOp::addends(StructureContext &context, const Addend &scale, SmallVectorImpl<Addend> &list) {
  Scaled part = *scaled(*this);
  if (part.axis != Scaled::Scalar)
    return false;
  Addend inner = scale;
  inner.factor = scale.factor ? MulOp::create(context.builder, context.location, scale.factor, part.factor).getResult() : part.factor;
  return addendsOf(context, part.matrix, inner, list);
}

bool DivOp::cheaperApplied() { return scaled(*this).has_value(); }
Value DivOp::applyTo(StructureContext &context, Value x, bool transposed) { return applyScaled<DivOp>(context, x, *scaled(*this), transposed); }
bool DivOp::addends(StructureContext &, const Addend &, SmallVectorImpl<Addend> &) { return false; }

// ---- products and views --------------------------------------------------------------------------------------------

/// "or,ri->oi" whatever the letters and their order, r below both outer lengths: its factors as an addend.
static std::optional<Addend> lowRank(ContractOp op) {
  if (!isMatrix(op.getResult()) || !isMatrix(op.getX()) || !isMatrix(op.getY()))
    return std::nullopt;
  auto [inputs, out] = op.getEquation().split("->");
  auto [lhs, rhs] = inputs.split(',');
  Addend product;
  product.left = op.getX(), product.right = op.getY();
  if (!lhs.contains(out[0])) {
    std::swap(product.left, product.right);
    std::swap(lhs, rhs);
  }
  const size_t outer = lhs.find(out[0]), inner = rhs.find(out[1]);
  if (outer == StringRef::npos || inner == StringRef::npos || lhs[1 - outer] != rhs[1 - inner] || lhs[1 - outer] == out[0] || lhs[1 - outer] == out[1])
    return std::nullopt;
  product.leftSwapped = outer == 1, product.rightSwapped = inner == 0;
  const int64_t rank = typeOf(product.left).getDims()[1 - outer].constant;
  auto dims = typeOf(op.getResult()).getDims();
  return rank < dims[0].constant && rank < dims[1].constant ? std::optional(product) : std::nullopt;
}

bool ContractOp::cheaperApplied() { return lowRank(*this).has_value(); }
Value ContractOp::applyTo(StructureContext &context, Value x, bool transposed) {
  // The factor that meets x first, then the other.
  const Addend product = *lowRank(*this);
  auto times = [&](Value value, Value matrix, bool lastMeets) {
    return contract(context, value, matrix, context.rows + "Y," + (lastMeets ? "ZY" : "YZ") + "->" + context.rows + "Z");
  };
  if (transposed) // x B A
    return times(times(x, product.left, product.leftSwapped), product.right, product.rightSwapped);
  return times(times(x, product.right, !product.rightSwapped), product.left, !product.leftSwapped); // (x Aᵀ) Bᵀ
}
bool ContractOp::addends(StructureContext &, const Addend &scale, SmallVectorImpl<Addend> &list) {
  Addend product = *lowRank(*this);
  product.factor = scale.factor, product.negative = scale.negative;
  list.push_back(product);
  return true;
}

bool TransposeOp::cheaperApplied() { return getPerm() == ArrayRef<int64_t>{1, 0} && isCheaperApplied(getX()); }
Value TransposeOp::applyTo(StructureContext &context, Value x, bool transposed) { return nn::applyTo(context, x, getX(), !transposed); }
bool TransposeOp::addends(StructureContext &, const Addend &, SmallVectorImpl<Addend> &) { return false; }
