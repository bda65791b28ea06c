// ShapeOf: expressions; calls are in ShapeCalls.cpp.
#include "lang/sema/ShapeOf.h"

namespace peftc::sema {
using namespace ast;
using diag::Kind;
using ShapeKind = Shape::Kind;

ShapeOf::ShapeOf(const Spec &spec, const Network &network, const Alike &alike, diag::Engine &diags)
    : spec_(spec), network_(network), alike_(alike), diags_(diags) {
  for (const auto &[name, value] : spec.inputs)
    program_.insert(name);
  for (const LetStmt *let : spec.lets)
    for (const Ident &name : let->names)
      program_.insert(name.text);
  for (const ParamStmt *param : spec.params)
    program_.insert(param->name.text);
}

void ShapeOf::say(Kind kind, Range range, std::vector<std::string> args) {
  Range at = blame_.valid() ? blame_ : range;
  if (muted_ == 0 && said_.insert({at.begin, at.end}).second)
    diags_.report(kind, at, std::move(args));
}

static std::string describe(const Shape &shape) {
  return shape.isTensor() ? "a tensor" : shape.kind == ShapeKind::Number ? "a number" : "a function";
}

bool ShapeOf::isOperand(const Shape &shape, Range range) {
  if (shape.kind == ShapeKind::Function)
    mismatch(range, "this is a function, not a tensor");
  return shape.isValue();
}

Shape ShapeOf::condition(const Expr &expr, const ShapeEnv &env) {
  Shape shape = of(expr, env);
  if (shape.isValue() || shape.kind == ShapeKind::Function)
    say(Kind::E0354, expr.range, {"the condition of an `if`"});
  return shape;
}

bool ShapeOf::compares(const Expr &condition) {
  auto *binary = condition.as<BinaryExpr>();
  if (auto *unary = condition.as<UnaryExpr>())
    return compares(*unary->operand);
  return binary && (binary->op == BinaryOp::Eq || binary->op == BinaryOp::Ne || compares(*binary->lhs) || compares(*binary->rhs));
}

Shape ShapeOf::of(const TypeExpr &type, const ShapeEnv &env) {
  std::vector<Length> lengths;
  std::vector<std::string> axes;
  for (const ExprPtr &dim : type.dims) {
    auto *name = dim->as<NameExpr>();
    axes.push_back(name ? name->name : "");
    Shape value = name && (name->name == "seq" || name->name == "keys") && !env.count(name->name) ? Shape() : of(*dim, env);
    Length length = value.kind == ShapeKind::Number ? value.number : Length::open();
    if (value.isTensor() || value.kind == ShapeKind::Function || value.kind == ShapeKind::Bool)
      say(Kind::E0354, dim->range, {"a length"});
    if (length.kind == Length::Kind::Number && length.number < 1)
      say(Kind::E0353, dim->range, {std::string(diags_.sources().text(dim->range)), "at least 1", std::to_string(length.number)});
    if (length.kind == Length::Kind::Open || length.kind == Length::Kind::Product)
      length.name = std::string(diags_.sources().text(dim->range));
    lengths.push_back(length);
  }
  return Shape::tensor(std::move(lengths), std::move(axes));
}

Shape ShapeOf::of(const Expr &expr, const ShapeEnv &env) {
  if (auto *number = expr.as<NumberExpr>())
    return Shape::scalar(number->isInteger ? Length::of(static_cast<int64_t>(number->value)) : Length());
  if (auto *flag = expr.as<BoolExpr>())
    return Shape::truth(flag->value);
  if (expr.as<NoneExpr>())
    return Shape::make(ShapeKind::None, {});
  if (auto *e = expr.as<NameExpr>())
    return name(e->name, e->range, env);
  if (auto *e = expr.as<MemberExpr>())
    return member(*e, env);
  if (auto *e = expr.as<CallExpr>())
    return call(*e, env);
  if (auto *e = expr.as<IndexExpr>())
    return index(*e, env);
  if (auto *e = expr.as<UnaryExpr>()) {
    Shape x = of(*e->operand, env);
    if (e->op == UnaryOp::Not)
      return x.kind == ShapeKind::Bool ? Shape::truth(!x.flag) : Shape();
    if (x.kind == ShapeKind::Number)
      return x.number.kind == Length::Kind::Number ? Shape::scalar(Length::of(-x.number.number)) : x.wide ? x : Shape::scalar();
    return x.isTensor() ? x : Shape();
  }
  if (auto *e = expr.as<BinaryExpr>())
    return binary(*e, env);
  if (auto *e = expr.as<IfExpr>())
    return choice(*e, env);
  if (auto *e = expr.as<LambdaExpr>()) {
    Shape shape;
    shape.kind = ShapeKind::Function;
    shape.lambda = e;
    return shape;
  }
  if (auto *e = expr.as<BlockExpr>()) {
    ShapeEnv inner = env;
    for (const StmtPtr &stmt : e->statements)
      if (auto *let = stmt->as<LetStmt>()) {
        Shape value = of(*let->value, inner);
        for (const Ident &name : let->names)
          inner[name.text] = let->tuple ? Shape() : value;
      }
    return of(*e->value, inner);
  }
  return {}; // strings, lists, comprehensions, selectors
}

Shape ShapeOf::member(const MemberExpr &expr, const ShapeEnv &env) {
  auto *name = expr.object->as<NameExpr>();
  Shape x = of(*expr.object, env);
  const bool module = name && network_.children.count(name->name); // a point may be called as a module is
  if (expr.member.text == "T" && x.isTensor()) {
    if (x.rank() > 1) {
      std::swap(x.lengths[x.rank() - 1], x.lengths[x.rank() - 2]);
      std::swap(x.axes[x.rank() - 1], x.axes[x.rank() - 2]);
    }
    return x;
  }
  // A `real` may be given a tensor, so `.T` of one is not certainly wrong.
  if (!module && (x.isTensor() || (x.kind == ShapeKind::Number && expr.member.text != "T")))
    say(Kind::E0357, expr.member.range, {describe(x), expr.member.text});
  return {};
}

Shape ShapeOf::name(const std::string &name, Range range, const ShapeEnv &env) {
  if (auto it = env.find(name); it != env.end())
    return it->second;
  Shape shape;
  if (program_.count(name) && range.file == spec_.main().source)
    return shape;
  const Scope &scope = spec_.scopeOf(range);
  if (auto it = scope.fns.find(name); it != scope.fns.end()) {
    shape.kind = ShapeKind::Function;
    shape.fn = it->second;
  } else if (findBuiltin(name)) {
    shape.kind = ShapeKind::Function;
    shape.word = name;
  } else if (scope.methods.count(name) && !network_.children.count(name)) {
    shape.kind = ShapeKind::Function; // of which nothing is known
  }
  return shape;
}

Shape ShapeOf::choice(const IfExpr &expr, const ShapeEnv &env) {
  Shape condition = this->condition(*expr.condition, env);
  if (condition.kind == ShapeKind::Bool)
    return of(condition.flag ? *expr.thenValue : *expr.elseValue, env);
  Muted muted(*this, depth_ > 0 || compares(*expr.condition));
  Shape yes = of(*expr.thenValue, env);
  return meet(yes, of(*expr.elseValue, env));
}

Shape ShapeOf::together(const Shape &a, const Shape &b, Range range) {
  if (!a.isValue() || !b.isValue())
    return {};
  if (auto both = broadcast(a, b, alike_))
    return *both;
  mismatch(range, "shapes " + a.text() + " and " + b.text() + " do not match");
  return {};
}

Shape ShapeOf::binary(const BinaryExpr &expr, const ShapeEnv &env) {
  using O = BinaryOp;
  if (expr.op == O::Else || expr.op == O::Range)
    return {};
  Shape a = of(*expr.lhs, env);
  if (expr.op == O::And || expr.op == O::Or) {
    if (a.kind == ShapeKind::Bool)
      return a.flag == (expr.op == O::And) ? of(*expr.rhs, env) : a;
    Muted muted(*this, compares(*expr.lhs));
    Shape b = of(*expr.rhs, env);
    return b.kind == ShapeKind::Bool && b.flag == (expr.op == O::Or) ? b : Shape();
  }
  Shape b = of(*expr.rhs, env);
  if (expr.op == O::Eq || expr.op == O::Ne) {
    bool none = a.kind == ShapeKind::None || b.kind == ShapeKind::None;
    if (none && a.kind != ShapeKind::Open && b.kind != ShapeKind::Open)
      return Shape::truth((a.kind == b.kind) == (expr.op == O::Eq));
    if (none)
      return {};
  }
  if (!isOperand(a, expr.lhs->range) | !isOperand(b, expr.rhs->range))
    return {};
  if (expr.op == O::MatMul)
    return matmul(a, b, expr.range);
  if (a.kind == ShapeKind::Number && b.kind == ShapeKind::Number) {
    if (expr.op == O::Mul || expr.op == O::Div) {
      Shape out = Shape::scalar(Length::product(a.number, b.number, expr.op == O::Div));
      out.wide = a.wide || b.wide;
      return out;
    }
    if (a.number.kind != Length::Kind::Number || b.number.kind != Length::Kind::Number)
      return expr.op >= O::Lt && expr.op <= O::Ne ? Shape() : together(a, b, expr.range);
    int64_t x = a.number.number, y = b.number.number;
    switch (expr.op) {
    case O::Add: return Shape::scalar(Length::of(x + y));
    case O::Sub: return Shape::scalar(Length::of(x - y));
    case O::Lt: return Shape::truth(x < y);
    case O::Le: return Shape::truth(x <= y);
    case O::Gt: return Shape::truth(x > y);
    case O::Ge: return Shape::truth(x >= y);
    case O::Eq: return Shape::truth(x == y);
    case O::Ne: return Shape::truth(x != y);
    default: return Shape::scalar(); // powers and remainders are left open
    }
  }
  return together(a, b, expr.range);
}

Shape ShapeOf::matmul(const Shape &a, const Shape &b, Range range) {
  if (!a.isValue() || !b.isValue() || b.wide || (a.wide && a.rank() == 0))
    return {};
  if (a.rank() == 0 || b.rank() == 0 || b.rank() > 2 || alike_.differ(a.lengths.back(), b.lengths.front())) {
    mismatch(range, "`@` of " + a.text() + " and " + b.text());
    return {};
  }
  Shape out = a;
  out.lengths.pop_back();
  out.axes.pop_back();
  if (b.rank() == 2) {
    out.lengths.push_back(b.lengths[1]);
    out.axes.push_back(b.axes[1]);
  }
  return out;
}

Shape ShapeOf::index(const IndexExpr &expr, const ShapeEnv &env) {
  Shape x = of(*expr.object, env);
  if (!x.isTensor() || x.wide)
    return {};
  size_t axis = 0, taken = 0;
  for (const Subscript &subscript : expr.subscripts)
    taken += subscript.kind == Subscript::Kind::Index || subscript.kind == Subscript::Kind::Slice;
  if (taken > x.rank()) {
    mismatch(expr.range, "too many indices for " + x.text());
    return {};
  }
  for (const Subscript &subscript : expr.subscripts) {
    const auto at = static_cast<std::ptrdiff_t>(axis);
    switch (subscript.kind) {
    case Subscript::Kind::Ellipsis: axis = x.rank() - taken; break;
    case Subscript::Kind::NewAxis:
      x.lengths.insert(x.lengths.begin() + at, Length::of(1));
      x.axes.insert(x.axes.begin() + at, "");
      ++axis;
      break;
    case Subscript::Kind::Slice:
      if (subscript.start || subscript.stop || subscript.step)
        x.lengths[axis] = Length::open();
      ++axis;
      --taken;
      break;
    case Subscript::Kind::Index:
      if (of(*subscript.index, env).kind != ShapeKind::Number)
        return {}; // perhaps a tensor of indices
      x.lengths.erase(x.lengths.begin() + at);
      x.axes.erase(x.axes.begin() + at);
      --taken;
      break;
    }
  }
  return x;
}

} // namespace peftc::sema
