// Expressions: compile-time values, and tensor operations as nn ops of the region under construction.
//
// In     ast::Expr and the scope that it is read in
// Out    a Value
// Errs   E0350 a value of another sort, E0354 not known when compiling
#include "compiler/import/Elaborator.h"
#include <cmath>

namespace peftc::import {
using diag::Kind;

Value Elaborator::eval(const ast::Expr &expr, const EnvPtr &env) {
  using K = ast::Expr::Kind;
  switch (expr.kind) {
  case K::Number: {
    auto *number = expr.as<ast::NumberExpr>();
    return number->isInteger ? Value(static_cast<int64_t>(number->value)) : Value(number->value);
  }
  case K::String: return evalString(expr, env);
  case K::Bool: return expr.as<ast::BoolExpr>()->value;
  case K::None: return Value();
  case K::Name: return evalName(*expr.as<ast::NameExpr>(), env);
  case K::List: {
    auto list = std::make_shared<ValueList>();
    for (const ast::ExprPtr &item : expr.as<ast::ListExpr>()->items)
      list->push_back(eval(*item, env));
    return Value(list);
  }
  case K::Member: return evalMember(*expr.as<ast::MemberExpr>(), env);
  case K::Call: return evalCall(*expr.as<ast::CallExpr>(), env);
  case K::Index: return index(*expr.as<ast::IndexExpr>(), env);
  case K::Unary: return evalUnary(*expr.as<ast::UnaryExpr>(), env);
  case K::Binary: return evalBinary(*expr.as<ast::BinaryExpr>(), env);
  case K::If: {
    auto *choice = expr.as<ast::IfExpr>();
    return evalIf(*choice->condition, *choice->thenValue, *choice->elseValue, expr.range, env);
  }
  case K::Lambda: {
    Callable callable;
    callable.kind = Callable::Kind::Lambda;
    callable.lambda = expr.as<ast::LambdaExpr>();
    callable.env = env;
    return callable;
  }
  case K::Comprehension: return evalComprehension(*expr.as<ast::ComprehensionExpr>(), env);
  case K::Block: return evalBlock(*expr.as<ast::BlockExpr>(), env);
  case K::SelectorValue: fail(Kind::E0354, expr.range, {"a selector"});
  }
  llvm_unreachable("expression kinds are exhausted");
}

Value Elaborator::evalUnary(const ast::UnaryExpr &expr, const EnvPtr &env) {
  Value operand = eval(*expr.operand, env);
  if (expr.op == ast::UnaryOp::Not) {
    if (auto *mode = operand.as<Mode>())
      return Mode{!mode->negated};
    if (auto *flag = operand.as<bool>())
      return !*flag;
    return unary("nn.not", operand, expr.range);
  }
  if (auto *number = operand.as<int64_t>())
    return -*number;
  if (auto *number = operand.as<double>())
    return -*number;
  return unary("nn.neg", operand, expr.range);
}

Value Elaborator::evalComprehension(const ast::ComprehensionExpr &expr, const EnvPtr &env) {
  Value over = eval(*expr.over, env);
  if (!over.list())
    fail(Kind::E0354, expr.over->range, {"what a list is made over"});
  auto list = std::make_shared<ValueList>();
  for (const Value &item : *over.list()) {
    auto scope = std::make_shared<Env>(env);
    scope->values[expr.variable.text] = item;
    list->push_back(eval(*expr.body, scope));
  }
  return Value(list);
}

Value Elaborator::evalBlock(const ast::BlockExpr &expr, const EnvPtr &env) {
  auto scope = std::make_shared<Env>(env);
  for (const ast::StmtPtr &stmt : expr.statements)
    if (auto *let = stmt->as<ast::LetStmt>())
      execLet(*let, scope);
    else
      fail(Kind::E0350, stmt->range, {"only `let` may stand before a value"});
  return eval(*expr.value, scope);
}

Value Elaborator::evalName(const ast::NameExpr &expr, const EnvPtr &env) {
  const std::string &name = expr.name;
  if (auto value = lookup(name, env, expr.range))
    return *value;
  if (name == "training")
    return Mode{};
  Callable callable;
  callable.env = env;
  const Scope &scope = spec_.scopeOf(expr.range);
  if (auto it = scope.fns.find(name); it != scope.fns.end()) {
    callable.kind = Callable::Kind::Fn;
    callable.fn = it->second;
    return callable;
  }
  if (name == "zeros" || name == "ones" || name == "eye")
    return Initializer{name, {}};
  if (isBuiltin(name)) {
    callable.builtin = name;
    return callable;
  }
  if (auto it = scope.methods.find(name); it != scope.methods.end()) {
    callable.kind = Callable::Kind::Method;
    callable.method = it->second;
    return callable;
  }
  if (auto module = lookupModule(name, env))
    return *module;
  fail(Kind::E0356, expr.range, {name});
}

Value Elaborator::evalMember(const ast::MemberExpr &expr, const EnvPtr &env) {
  const std::string &name = expr.member.text;
  if (const std::string *own = partsParameter(expr))
    return parameter(*own, parameterAxes_[*own], expr.range);
  if (auto module = moduleOf(*expr.object, env)) {
    auto &nodes = module->nodes;
    if (!module->isList) {
      if (auto it = nodes.front()->named.find(name); it != nodes.front()->named.end())
        if (!nodes.front()->points.count(name))
          return it->second;
      // A point of another module, as a method on an enclosing site sees it.
      if (instance_ && nodes.front()->points.count(name))
        return readPoint(*instance_, *nodes.front(), name, expr.range);
    }
    if (name == "count")
      return static_cast<int64_t>(nodes.size());
    if (!module->isList && name == "index" && nodes.front()->index)
      return *nodes.front()->index;
    if (!lookup(expr.object->as<ast::NameExpr>() ? expr.object->as<ast::NameExpr>()->name : "", env, expr.range))
      fail(Kind::E0357, expr.member.range, {nodes.front()->path, name});
  }
  Value object = eval(*expr.object, env);
  if (auto *tensor = object.as<Tensor>()) {
    if (name == "T")
      return transposeLast(*tensor, expr.range);
    fail(Kind::E0357, expr.member.range, {"a tensor", name});
  }
  if (auto *config = object.as<Config>()) {
    if (!config->json.is_object() || !config->json.contains(name))
      fail(Kind::E0601, expr.member.range, {name}, "", "`cfg.get(\"" + name + "\", default)` gives a default where it may be absent");
    return configEntry(*config, name);
  }
  if (auto *record = object.as<std::shared_ptr<Record>>()) {
    if ((*record)->pass)
      return readPass((*record)->pass, expr.member);
    if (auto it = (*record)->fields.find(name); it != (*record)->fields.end())
      return it->second;
    fail(Kind::E0357, expr.member.range, {(*record)->name, name});
  }
  fail(Kind::E0357, expr.member.range, {object.describe(), name});
}

Value Elaborator::evalIf(const ast::Expr &condition, const ast::Expr &yes, const ast::Expr &no, Range range, const EnvPtr &env) {
  Value chosen = eval(condition, env);
  if (auto *flag = chosen.as<bool>())
    return eval(*flag ? yes : no, env);
  if (auto *mode = chosen.as<Mode>()) {
    Value a = eval(yes, env), b = eval(no, env);
    return mode->negated ? byMode(b, a, range) : byMode(a, b, range);
  }
  fail(Kind::E0354, condition.range, {"the condition of an `if`"}, "this is " + chosen.describe(),
       "`where(condition, a, b)` chooses element by element at run time");
}

static std::optional<Value> numeric(ast::BinaryOp op, const Value &a, const Value &b) {
  using O = ast::BinaryOp;
  bool whole = a.as<int64_t>() && b.as<int64_t>();
  double x = a.number(), y = b.number();
  auto result = [&](double value) { return whole && std::abs(value) <= kLargestWhole ? Value(static_cast<int64_t>(value)) : Value(value); };
  switch (op) {
  case O::Add: return result(x + y);
  case O::Sub: return result(x - y);
  case O::Mul: return result(x * y);
  case O::Div:
    if (whole && y != 0 && *a.as<int64_t>() % *b.as<int64_t>() == 0)
      return Value(*a.as<int64_t>() / *b.as<int64_t>());
    return Value(x / y);
  case O::Mod: return whole && y != 0 ? Value(((*a.as<int64_t>() % *b.as<int64_t>()) + *b.as<int64_t>()) % *b.as<int64_t>()) : Value(std::fmod(x, y));
  case O::Pow: return whole && y >= 0 ? result(std::round(std::pow(x, y))) : Value(std::pow(x, y));
  case O::Lt: return Value(x < y);
  case O::Le: return Value(x <= y);
  case O::Gt: return Value(x > y);
  case O::Ge: return Value(x >= y);
  case O::Eq: return Value(x == y);
  case O::Ne: return Value(x != y);
  default: return std::nullopt;
  }
}

Value Elaborator::evalBinary(const ast::BinaryExpr &expr, const EnvPtr &env) {
  using O = ast::BinaryOp;
  if (expr.op == O::Else) {
    Value value = eval(*expr.lhs, env);
    return value.isNone() ? eval(*expr.rhs, env) : value;
  }
  Value a = eval(*expr.lhs, env);
  if (expr.op == O::And || expr.op == O::Or) {
    bool isAnd = expr.op == O::And;
    if (auto *flag = a.as<bool>(); flag && *flag != isAnd)
      return *flag;
    Value b = eval(*expr.rhs, env);
    if (a.as<bool>())
      return b;
    if (auto *flag = b.as<bool>(); flag && a.as<Mode>())
      return *flag == isAnd ? a : Value(*flag);
    if (a.as<Mode>() && b.as<Mode>())
      return a;
    return binary(isAnd ? "nn.and" : "nn.or", a, b, expr.range);
  }
  Value b = eval(*expr.rhs, env);
  if (a.isNumber() && b.isNumber())
    if (auto value = numeric(expr.op, a, b)) {
      if (value->isNumber() && !std::isfinite(value->number()))
        fail(Kind::E0350, expr.range, {"`" + std::string(diags_.sources().text(expr.range)) + "` is not a finite number"});
      return *value;
    }
  if (expr.op == O::Range) {
    if (!a.as<int64_t>() || !b.as<int64_t>())
      fail(Kind::E0354, expr.range, {"a range"});
    if (b.number() - a.number() > kLongestRange)
      fail(Kind::E0353, expr.range, {std::string(diags_.sources().text(expr.range)), "at most " + spelled(kLongestRange) + " long", spelled(b.number() - a.number())});
    auto list = std::make_shared<ValueList>();
    for (int64_t i = *a.as<int64_t>(); i < *b.as<int64_t>(); ++i)
      list->push_back(i);
    return Value(list);
  }
  bool equality = expr.op == O::Eq || expr.op == O::Ne;
  if (equality && !(a.as<Tensor>() && !b.isNone()) && !(b.as<Tensor>() && !a.isNone())) {
    bool same = false;
    if (a.word() && b.word())
      same = *a.word() == *b.word();
    else if (a.as<bool>() && b.as<bool>())
      same = *a.as<bool>() == *b.as<bool>();
    else
      same = a.isNone() && b.isNone();
    return same == (expr.op == O::Eq);
  }
  if (expr.op == O::Add && a.as<std::string>() && b.as<std::string>())
    return *a.as<std::string>() + *b.as<std::string>();
  if (expr.op == O::MatMul)
    return matmul(toTensor(a, f32(), expr.lhs->range), toTensor(b, f32(), expr.rhs->range), expr.range);
  static const std::map<O, const char *> ops = {{O::Add, "nn.add"}, {O::Sub, "nn.sub"}, {O::Mul, "nn.mul"}, {O::Div, "nn.div"},
                                                {O::Pow, "nn.pow"}, {O::Lt, "nn.lt"},   {O::Le, "nn.le"},   {O::Gt, "nn.gt"},
                                                {O::Ge, "nn.ge"},   {O::Eq, "nn.eq"},   {O::Ne, "nn.ne"}};
  auto it = ops.find(expr.op);
  if (it == ops.end())
    fail(Kind::E0350, expr.opRange, {"`%` of tensors"});
  return binary(it->second, a, b, expr.range);
}

} // namespace peftc::import
