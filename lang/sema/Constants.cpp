// Constants: see the header. The values are those of compiler/import/Expressions.cpp, on what is known so far.
#include "lang/sema/Constants.h"
#include "lang/sema/Literals.h"
#include <cmath>
#include <cstdio>
#include <memory>
#include <optional>
#include <variant>

namespace peftc::sema {
namespace {
using namespace ast;
using diag::Kind;

constexpr size_t kDeepest = 200;       ///< calls in each other, as in the compiler
constexpr size_t kMostSteps = 1000000; ///< expressions; what is not followed by then is the compiler's to find
constexpr size_t kMostNested = 4000;   ///< of them in each other, for the stack's sake
constexpr double kLargestWhole = 0x1p53;

struct Unknown {};
struct Number {
  double value = 0;
  bool whole = false;
};
using Known = std::variant<Unknown, Number, bool, const FnStmt *>;

/// Names and what is known of them; what is not there is looked up outside.
struct Names {
  const Names *outside = nullptr;
  std::map<std::string, Known> values{};
};

std::string spelled(double number) {
  char text[32];
  std::snprintf(text, sizeof text, "%.10g", number);
  return text;
}

std::optional<Known> computed(BinaryOp op, const Number &a, const Number &b) {
  const bool whole = a.whole && b.whole;
  const double x = a.value, y = b.value;
  auto number = [&](double value, bool stays) { return Known(Number{value, stays && std::abs(value) <= kLargestWhole}); };
  switch (op) {
  case BinaryOp::Add: return number(x + y, whole);
  case BinaryOp::Sub: return number(x - y, whole);
  case BinaryOp::Mul: return number(x * y, whole);
  case BinaryOp::Div: return number(x / y, whole && y != 0 && std::fmod(x, y) == 0);
  case BinaryOp::Mod: return whole && y != 0 ? number(x - y * std::floor(x / y), true) : number(std::fmod(x, y), false);
  case BinaryOp::Pow: return whole && y >= 0 ? number(std::round(std::pow(x, y)), true) : number(std::pow(x, y), false);
  case BinaryOp::Lt: return x < y;
  case BinaryOp::Le: return x <= y;
  case BinaryOp::Gt: return x > y;
  case BinaryOp::Ge: return x >= y;
  case BinaryOp::Eq: return x == y;
  case BinaryOp::Ne: return x != y;
  default: return std::nullopt;
  }
}

class Evaluator {
public:
  Evaluator(const Spec &spec, diag::Engine &diags) : spec(spec), diags(diags) {}

  void program() {
    for (const auto &[name, value] : spec.inputs)
      top.values[name] = value ? eval(*value, top) : Known();
    for (const StmtPtr &stmt : spec.main().statements)
      if (auto *input = stmt->as<SpecInputStmt>(); input && input->parameter.type && spec.inputs.at(input->parameter.name.text))
        if (Known &value = top.values[input->parameter.name.text]; !check(input->parameter, value, spec.inputs.at(input->parameter.name.text)->range))
          value = Unknown(); // said once
    for (const LetStmt *let : spec.lets)
      bind(*let, top);
    for (const Stmt *stmt : spec.attachments)
      if (auto *attach = stmt->as<AttachStmt>())
        use(*attach->method, scope().methods);
    if (spec.model)
      use(*spec.model->arch, scope().archs);
    if (spec.task)
      use(*spec.task->task, scope().tasks);
    if (spec.optimize) {
      use(*spec.optimize->optimizer, scope().optimizers);
      if (spec.optimize->schedule)
        use(*spec.optimize->schedule, scope().schedules);
      for (const OptimizerGroup &group : spec.optimize->groups)
        fields(group.fields);
    }
    for (const RunStmt *run : spec.runs)
      for (const Field &field : run->fields)
        runField(field);
    for (const BudgetStmt *budget : spec.budgets)
      eval(*budget->limit, top);
  }

  /// What is wrong with a function or method whatever it is given.
  void declarations() {
    for (const FilePtr &file : spec.files)
      for (const StmtPtr &stmt : file->statements)
        if (auto *fn = stmt->as<FnStmt>())
          eval(*fn->body, unknown(fn->params));
        else if (auto *method = stmt->as<MethodStmt>())
          body(method->body, unknown(method->params));
  }

private:
  const Scope &scope() const { return spec.scopes.at(spec.main().source); }

  Names unknown(const std::vector<Parameter> &params) const {
    Names names;
    for (const Parameter &param : params)
      names.values[param.name.text] = Unknown();
    return names;
  }

  void body(const Block &statements, Names names) {
    for (const StmtPtr &stmt : statements)
      if (auto *let = stmt->as<LetStmt>())
        bind(*let, names);
      else if (auto *rewire = stmt->as<RewireStmt>())
        eval(*rewire->value, names);
      else if (auto *param = stmt->as<ParamStmt>())
        names.values[param->name.text] = Unknown();
      else if (auto *on = stmt->as<OnStmt>())
        body(on->body, names);
      else if (stmt->as<IfStmt>() || stmt->as<ForStmt>())
        return; // they may bind any name
  }

  void bind(const LetStmt &let, Names &names) {
    const Known value = eval(*let.value, names);
    for (const Ident &name : let.names)
      names.values[name.text] = let.tuple ? Known() : value;
  }

  void runField(const Field &field) {
    if (field.value->as<NameExpr>() && !top.values.count(field.value->as<NameExpr>()->name))
      return; // `precision = auto` is a word
    const Known value = eval(*field.value, top);
    TypeExpr type;
#define PEFT_RUN_OPTION(NAME, TYPE)                                                                                    \
  if (field.name.text == NAME)                                                                                         \
    type.name = TYPE;
#include "lang/sema/RunOptions.def"
#undef PEFT_RUN_OPTION
    check(field.name.text, type, value, field.value->range);
  }

  void fields(const std::vector<Field> &all) {
    for (const Field &field : all)
      if (!field.value->as<NameExpr>()) // `precision = auto` is a word
        eval(*field.value, top);
  }

  /// A declaration by its name, with what it is given: values of its parameters' types.
  template <typename T> void use(const Expr &expr, const std::map<std::string, T> &table) {
    auto *call = expr.as<CallExpr>();
    auto *name = call ? call->callee->as<NameExpr>() : nullptr;
    auto found = name ? table.find(name->name) : table.end();
    if (found == table.end())
      return;
    size_t next = 0;
    for (const Argument &arg : call->args) {
      const Parameter *param = paramFor(found->second->params, arg, next);
      if (auto *inner = arg.value->as<CallExpr>(); inner && param && param->type && !param->type->methodKind.empty()) {
        use(*inner, scope().methods);
        continue;
      }
      const Known value = eval(*arg.value, top);
      if (param)
        check(*param, value, arg.value->range);
    }
  }

  static const Parameter *paramFor(const std::vector<Parameter> &params, const Argument &arg, size_t &next) {
    if (!arg.name)
      return next < params.size() ? &params[next++] : nullptr;
    for (const Parameter &param : params)
      if (param.name.text == arg.name->text)
        return &param;
    return nullptr;
  }

  bool check(const Parameter &param, const Known &value, Range range) { return !param.type || param.type->isTensor || check(param.name.text, *param.type, value, range); }

  /// False where it has complained.
  bool check(const std::string &name, const TypeExpr &type, const Known &value, Range range) {
    auto *number = std::get_if<Number>(&value);
    if (!number || stopped)
      return true;
    const bool whole = number->whole || (type.name != "int" && type.name != "rank" && type.name != "dim" && type.name != "count");
    const auto should = outOfRange(type, number->value);
    if (!whole)
      report(Kind::E0351, range, {name, spelled(number->value)});
    else if (should)
      report(Kind::E0353, range, {name, *should, spelled(number->value)});
    return whole && !should;
  }

  void report(Kind kind, Range range, std::vector<std::string> args) {
    if (reported.insert({range.file, range.begin}).second)
      diags.report(kind, range, std::move(args));
  }

  Known eval(const Expr &expr, const Names &names) {
    if (stopped || nesting >= kMostNested || ++steps > kMostSteps)
      return Unknown();
    ++nesting;
    Known value = valueOf(expr, names);
    --nesting;
    return value;
  }

  Known valueOf(const Expr &expr, const Names &names) {
    switch (expr.kind) {
    case Expr::Kind::Number: return Number{expr.as<NumberExpr>()->value, expr.as<NumberExpr>()->isInteger};
    case Expr::Kind::Bool: return expr.as<BoolExpr>()->value;
    case Expr::Kind::Name: return named(*expr.as<NameExpr>(), names);
    case Expr::Kind::Unary: return unary(*expr.as<UnaryExpr>(), names);
    case Expr::Kind::Binary: return binary(*expr.as<BinaryExpr>(), names);
    case Expr::Kind::Call: return call(*expr.as<CallExpr>(), names);
    case Expr::Kind::If: {
      auto *choice = expr.as<IfExpr>();
      const Known chosen = eval(*choice->condition, names);
      auto *flag = std::get_if<bool>(&chosen);
      return flag ? eval(*flag ? *choice->thenValue : *choice->elseValue, names) : Unknown();
    }
    case Expr::Kind::List:
      for (const ExprPtr &item : expr.as<ListExpr>()->items)
        eval(*item, names);
      return Unknown();
    case Expr::Kind::Block: return block(*expr.as<BlockExpr>(), names);
    default: return Unknown();
    }
  }

  Known named(const NameExpr &expr, const Names &names) const {
    for (const Names *at = &names; at; at = at->outside)
      if (auto it = at->values.find(expr.name); it != at->values.end())
        return it->second;
    const auto &fns = spec.scopeOf(expr.range).fns;
    auto fn = fns.find(expr.name);
    return fn == fns.end() ? Known() : Known(fn->second);
  }

  Known unary(const UnaryExpr &expr, const Names &names) {
    const Known operand = eval(*expr.operand, names);
    if (auto *number = std::get_if<Number>(&operand); number && expr.op == UnaryOp::Neg)
      return Number{-number->value, number->whole};
    if (auto *flag = std::get_if<bool>(&operand); flag && expr.op == UnaryOp::Not)
      return !*flag;
    return Unknown();
  }

  Known binary(const BinaryExpr &expr, const Names &names) {
    const Known a = eval(*expr.lhs, names);
    if (expr.op == BinaryOp::Else)
      return Unknown();
    if (expr.op == BinaryOp::And || expr.op == BinaryOp::Or) {
      auto *flag = std::get_if<bool>(&a);
      if (!flag || *flag != (expr.op == BinaryOp::And))
        return a;
      return eval(*expr.rhs, names);
    }
    const Known b = eval(*expr.rhs, names);
    auto *x = std::get_if<Number>(&a), *y = std::get_if<Number>(&b);
    const std::optional<Known> value = x && y ? computed(expr.op, *x, *y) : std::nullopt;
    if (!value)
      return Unknown();
    if (auto *number = std::get_if<Number>(&*value); number && !std::isfinite(number->value)) {
      report(Kind::E0350, expr.range, {"`" + std::string(diags.sources().text(expr.range)) + "` is not a finite number"});
      return Unknown();
    }
    return *value;
  }

  Known block(const BlockExpr &expr, const Names &names) {
    Names inner{&names};
    for (const StmtPtr &stmt : expr.statements)
      if (auto *let = stmt->as<LetStmt>())
        bind(*let, inner);
      else
        return Unknown();
    return eval(*expr.value, inner);
  }

  Known call(const CallExpr &expr, const Names &names) {
    const Known callee = expr.callee->as<NameExpr>() ? named(*expr.callee->as<NameExpr>(), names) : Known();
    auto *fn = std::get_if<const FnStmt *>(&callee);
    Names inner;
    size_t next = 0;
    for (const Argument &arg : expr.args) {
      const Known value = eval(*arg.value, names);
      if (const Parameter *param = fn ? paramFor((*fn)->params, arg, next) : nullptr)
        inner.values[param->name.text] = value;
    }
    if (!fn)
      return Unknown();
    for (const Parameter &param : (*fn)->params)
      if (!inner.values.count(param.name.text))
        inner.values[param.name.text] = param.defaultValue ? eval(*param.defaultValue, inner) : Known();
    if (depth >= kDeepest) {
      if (!stopped)
        report(Kind::E0350, expr.range, {"calls are nested more than " + std::to_string(kDeepest) + " deep"});
      stopped = true;
      return Unknown();
    }
    diag::Blame blame(diags, expr.range);
    ++depth;
    const Known value = eval(*(*fn)->body, inner);
    --depth;
    return value;
  }

  const Spec &spec;
  diag::Engine &diags;
  Names top;
  std::set<std::pair<int32_t, size_t>> reported; ///< places
  size_t steps = 0, depth = 0, nesting = 0;
  bool stopped = false; ///< calls without end were reported
};
} // namespace

void checkConstants(const Spec &spec, diag::Engine &diags) {
  Evaluator evaluator(spec, diags);
  evaluator.program();
  evaluator.declarations();
}

} // namespace peftc::sema
