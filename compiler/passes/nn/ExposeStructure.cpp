// ExposeStructure (nn-expose-structure): products with a weight expression become products on activations.
//
// In     contract(x, E): E run-level, built by sums, scalings of rows or columns and low-rank products over frozen weights
// Out    the same value without E: `x (W + s B A)ᵀ` as `x Wᵀ + s (x Aᵀ) Bᵀ`, a row scale moved to y, a column scale to x;
//        and `sum(E ∘ E, in)` by Gram matrices: |W|² + 2 s (W Aᵀ) ∘ B + s² B (A Aᵀ) ∘ B, rows only
// Why here  before nn-derive-backward: what is never formed is never differentiated
// Numerics  reassociates sums; the norm by Gram matrices loses about half an ulp of |W|²
//
// An expression is opened only where it holds a low-rank product: that is when a dense [out, in] temporary (and, backward, a
// dense gradient) costs more than two thin products.
#include "compiler/passes/nn/Passes.h"
#include "dialects/nn/Nn.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

using namespace mlir;
using namespace mlir::nn;

namespace {
NNType typeOf(Value value) { return cast<NNType>(value.getType()); }
bool isMatrix(Value value) { return typeOf(value).rank() == 2 && !typeOf(value).getExample() && typeOf(value).isStatic(); }

/// B A with a middle dimension below both outer ones: "or,ri->oi" whatever the letters' order.
struct LowRank {
  Value left, right;            // B, A
  char outer, inner, middle;    // letters of out, in, r
  StringRef leftLetters, rightLetters;
};
std::optional<LowRank> lowRank(Value value) {
  auto op = value.getDefiningOp<ContractOp>();
  if (!op || !isMatrix(value) || !isMatrix(op.getX()) || !isMatrix(op.getY()))
    return std::nullopt;
  auto [inputs, out] = op.getEquation().split("->");
  auto [lhs, rhs] = inputs.split(',');
  LowRank product{op.getX(), op.getY(), out[0], out[1], 0, lhs, rhs};
  if (!lhs.contains(product.outer)) {
    std::swap(product.left, product.right);
    std::swap(product.leftLetters, product.rightLetters);
  }
  for (char letter : product.leftLetters)
    if (letter != product.outer)
      product.middle = letter;
  if (!product.leftLetters.contains(product.outer) || !product.rightLetters.contains(product.inner) ||
      !product.rightLetters.contains(product.middle))
    return std::nullopt;
  Dim rank = typeOf(product.left).getDims()[product.leftLetters.find(product.middle)];
  NNType type = typeOf(value);
  bool thin = rank.constant < type.getDims()[0].constant && rank.constant < type.getDims()[1].constant;
  return thin ? std::optional(product) : std::nullopt;
}

/// The factor of a product of a matrix with a scalar, column [out, 1] or row [in] / [1, in]; null when `value` is none.
struct Scaled {
  Value matrix, factor;
  enum { Scalar, Rows, Columns } axis;
};
std::optional<Scaled> scaled(Value value) {
  auto op = value.getDefiningOp<MulOp>();
  if (!op)
    return std::nullopt;
  for (auto [matrix, factor] : {std::pair(op.getX(), op.getY()), std::pair(op.getY(), op.getX())}) {
    if (!isMatrix(matrix) || typeOf(matrix).getDims() != typeOf(value).getDims() || typeOf(factor).getExample())
      continue;
    NNType type = typeOf(factor);
    if (type.rank() == 0)
      return Scaled{matrix, factor, Scaled::Scalar};
    if (type.rank() == 2 && type.getDims()[1].is(1))
      return Scaled{matrix, factor, Scaled::Rows};
    if (type.rank() == 1 || (type.rank() == 2 && type.getDims()[0].is(1)))
      return Scaled{matrix, factor, Scaled::Columns};
  }
  return std::nullopt;
}

bool holdsLowRank(Value value) {
  if (lowRank(value))
    return true;
  if (auto add = value.getDefiningOp<AddOp>())
    return isMatrix(value) && (holdsLowRank(add.getX()) || holdsLowRank(add.getY()));
  if (auto sub = value.getDefiningOp<SubOp>())
    return isMatrix(value) && (holdsLowRank(sub.getX()) || holdsLowRank(sub.getY()));
  if (auto part = scaled(value))
    return holdsLowRank(part->matrix);
  return false;
}

class Exposer {
public:
  Exposer(MLIRContext *context) : b(context) {}

  void visit(ContractOp op) {
    auto [inputs, out] = op.getEquation().split("->");
    auto [lhs, rhs] = inputs.split(',');
    // x[…, k] against E[z, k] (or E[k, z]) into […, z], in either order.
    bool second = isMatrix(op.getY()) && holdsLowRank(op.getY());
    Value x = second ? op.getX() : op.getY(), E = second ? op.getY() : op.getX();
    if (!second && !(isMatrix(E) && holdsLowRank(E)))
      return;
    if (!typeOf(x).getExample() || op.getOverExamples())
      return;
    StringRef xLetters = second ? lhs : rhs, letters = second ? rhs : lhs;
    char inner = xLetters.back(), outer = out.back();
    if (!letters.contains(inner) || !letters.contains(outer) || xLetters.drop_back() != out.drop_back())
      return;
    b.setInsertionPoint(op);
    prefix = xLetters.drop_back().str();
    Value result = apply(x, E, letters.find(outer) == 0, op.getLoc());
    op.getResult().replaceAllUsesWith(result);
  }

  /// sum over the last axis of E * E.
  void visit(ReduceOp op) {
    auto square = op.getX().getDefiningOp<MulOp>();
    if (!square || square.getX() != square.getY() || op.getKind() != "sum" || !isMatrix(square.getX()) || op.getKeep() ||
        op.getAxes().size() != 1 || (op.getAxes()[0] != 1 && op.getAxes()[0] != -1) || !holdsLowRank(square.getX()))
      return;
    b.setInsertionPoint(op);
    SmallVector<Term> terms;
    if (!flatten(square.getX(), {}, false, terms, op.getLoc()))
      return;
    Value total;
    for (size_t i = 0; i < terms.size(); ++i)
      for (size_t j = i; j < terms.size(); ++j) {
        Value part = rowProduct(terms[i], terms[j], op.getLoc());
        if (i != j)
          part = MulOp::create(b, op.getLoc(), part, number(2, op.getLoc()));
        total = total ? AddOp::create(b, op.getLoc(), total, part).getResult() : part;
      }
    op.getResult().replaceAllUsesWith(total);
  }

private:
  /// One addend of a matrix: a scalar times a dense matrix or a low-rank product.
  struct Term {
    Value factor; // null: 1
    bool negative = false;
    Value dense;
    std::optional<LowRank> product;
  };

  Value number(double value, Location loc) {
    auto type = NNType::get(b.getContext(), false, {}, b.getF32Type());
    return ConstantOp::create(b, loc, type, b.getF64FloatAttr(value));
  }
  Value contract(Value x, Value y, const std::string &equation, Location loc) {
    return ContractOp::create(b, loc, x, y, b.getStringAttr(equation), b.getBoolAttr(false));
  }

  /// x Eᵀ (`rows`: E is [out, in]) or x E (E is [in, out]).
  Value apply(Value x, Value E, bool rows, Location loc) {
    if (auto add = E.getDefiningOp<AddOp>(); add && holdsLowRank(E) && sameShapes(add.getX(), add.getY()))
      return AddOp::create(b, loc, apply(x, add.getX(), rows, loc), apply(x, add.getY(), rows, loc));
    if (auto sub = E.getDefiningOp<SubOp>(); sub && holdsLowRank(E) && sameShapes(sub.getX(), sub.getY()))
      return SubOp::create(b, loc, apply(x, sub.getX(), rows, loc), apply(x, sub.getY(), rows, loc));
    if (auto part = scaled(E); part && holdsLowRank(part->matrix)) {
      bool onResult = part->axis == Scaled::Scalar || (part->axis == Scaled::Rows) == rows;
      Value factor = flat(*part, loc);
      if (onResult)
        return MulOp::create(b, loc, apply(x, part->matrix, rows, loc), factor);
      return apply(MulOp::create(b, loc, x, factor), part->matrix, rows, loc);
    }
    if (auto product = lowRank(E)) {
      // The factor that meets x first, then the other.
      Value first = rows ? product->right : product->left, second = rows ? product->left : product->right;
      StringRef firstLetters = rows ? product->rightLetters : product->leftLetters;
      StringRef secondLetters = rows ? product->leftLetters : product->rightLetters;
      bool firstStraight = firstLetters[0] == product->middle;
      bool secondStraight = secondLetters[1] == product->middle;
      Value h = contract(x, first, prefix + "Y," + (firstStraight ? "ZY" : "YZ") + "->" + prefix + "Z", loc);
      return contract(h, second, prefix + "Y," + (secondStraight ? "ZY" : "YZ") + "->" + prefix + "Z", loc);
    }
    return contract(x, E, prefix + "Y," + (rows ? "ZY" : "YZ") + "->" + prefix + "Z", loc);
  }
  static bool sameShapes(Value x, Value y) { return typeOf(x).sameShape(typeOf(y)); }

  /// A factor as a scalar or a vector over its axis.
  Value flat(const Scaled &part, Location loc) {
    if (part.axis == Scaled::Rows)
      return SqueezeOp::create(b, loc, part.factor, b.getI64IntegerAttr(1));
    if (part.axis == Scaled::Columns && typeOf(part.factor).rank() == 2)
      return SqueezeOp::create(b, loc, part.factor, b.getI64IntegerAttr(0));
    return part.factor;
  }

  bool flatten(Value E, Value factor, bool negative, SmallVectorImpl<Term> &terms, Location loc) {
    if (auto product = lowRank(E)) {
      terms.push_back({factor, negative, {}, product});
      return true;
    }
    if (!holdsLowRank(E)) {
      terms.push_back({factor, negative, E, std::nullopt});
      return true;
    }
    if (auto add = E.getDefiningOp<AddOp>(); add && sameShapes(add.getX(), add.getY()))
      return flatten(add.getX(), factor, negative, terms, loc) && flatten(add.getY(), factor, negative, terms, loc);
    if (auto sub = E.getDefiningOp<SubOp>(); sub && sameShapes(sub.getX(), sub.getY()))
      return flatten(sub.getX(), factor, negative, terms, loc) && flatten(sub.getY(), factor, !negative, terms, loc);
    if (auto part = scaled(E); part && part->axis == Scaled::Scalar)
      return flatten(part->matrix, factor ? MulOp::create(b, loc, factor, part->factor).getResult() : part->factor, negative, terms, loc);
    return false;
  }

  /// Σ_in S ∘ T, row by row, without forming a low-rank product.
  Value rowProduct(const Term &s, const Term &t, Location loc) {
    Value value;
    if (s.dense && t.dense) {
      value = contract(s.dense, t.dense, "oi,oi->o", loc);
    } else if (s.product && t.product) {
      // (B₁ (A₁ A₂ᵀ)) ∘ B₂ summed over r
      auto letters = [](const LowRank &p, char r) {
        std::string out;
        for (char c : p.rightLetters)
          out += c == p.middle ? r : 'i';
        return out;
      };
      Value gram = contract(s.product->right, t.product->right, letters(*s.product, 'p') + "," + letters(*t.product, 'q') + "->pq", loc);
      Value left = contract(s.product->left, gram, leftOf(*s.product, 'p') + ",pq->oq", loc);
      value = contract(left, t.product->left, "oq," + leftOf(*t.product, 'q') + "->o", loc);
    } else {
      const LowRank &p = s.product ? *s.product : *t.product;
      Value dense = s.product ? t.dense : s.dense;
      std::string right = p.rightLetters[0] == p.middle ? "ri" : "ir";
      Value projected = contract(dense, p.right, "oi," + right + "->or", loc);
      value = contract(projected, p.left, "or," + leftOf(p, 'r') + "->o", loc);
    }
    for (Value factor : {s.factor, t.factor})
      if (factor)
        value = MulOp::create(b, loc, value, factor);
    return s.negative != t.negative ? NegOp::create(b, loc, value).getResult() : value;
  }
  static std::string leftOf(const LowRank &p, char r) {
    std::string out;
    for (char c : p.leftLetters)
      out += c == p.middle ? r : 'o';
    return out;
  }

  OpBuilder b;
  std::string prefix; // letters of x's axes in front of the features
};
} // namespace

LogicalResult mlir::nn::exposeStructure(ModuleOp module) {
  Exposer exposer(module.getContext());
  for (auto func : module.getOps<func::FuncOp>()) {
    if (!func->hasAttr("nn.mode"))
      continue;
    for (Operation &op : llvm::make_early_inc_range(func.getBody().front()))
      if (auto contract = dyn_cast<ContractOp>(op))
        exposer.visit(contract);
      else if (auto reduce = dyn_cast<ReduceOp>(op))
        exposer.visit(reduce);
    // What is no longer used must not be differentiated.
    for (Operation &op : llvm::make_early_inc_range(llvm::reverse(func.getBody().front())))
      if (isOpTriviallyDead(&op))
        op.erase();
  }
  return success();
}
