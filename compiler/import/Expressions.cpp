// Expressions: scopes, compile-time values and calls.
//
// In     ast::Expr and the scope that it is read in
// Out    a Value; tensor operations become nn ops of the region under construction
// Errs   E0351 not a whole number, E0353 argument out of range, E0354 not known when compiling, E0355 `fail` and `require`
#include "compiler/import/Elaborator.h"
#include <cmath>

namespace peftc::import {
using diag::Kind;

std::string Value::describe() const {
  static const char *names[] = {"none", "a whole number", "a number", "a bool", "a string", "a list", "a tensor", "a function",
                                "a module", "an initial value", "a part of config.json", "a bool", "a record"};
  return names[data.index()];
}

void Elaborator::fail(Kind kind, Range range, std::vector<std::string> args, std::string here, std::string help) {
  auto report = diags_.report(kind, range, std::move(args));
  if (!here.empty())
    report.here(std::move(here));
  if (!help.empty())
    report.help(std::move(help));
  throw Failed{};
}

mlir::Location Elaborator::location(Range range) {
  if (!range.valid())
    return mlir::UnknownLoc::get(context_);
  const SourceFile &file = diags_.sources().file(range.file);
  LineColumn at = file.position(range.begin);
  return mlir::FileLineColLoc::get(context_, file.name(), at.line, at.column);
}

// ---- scopes --------------------------------------------------------------------------------------------------------

EnvPtr Elaborator::fileEnv(int32_t file) {
  EnvPtr &env = fileEnvs_[file];
  if (env)
    return env;
  env = std::make_shared<Env>();
  if (file != spec_.files[spec_.mainFile].source)
    return env;
  for (const auto &[name, expr] : spec_.inputs)
    env->values[name] = eval(*expr, env);
  for (const ast::LetStmt *let : spec_.lets)
    execLet(*let, env);
  return env;
}

std::optional<Value> Elaborator::lookup(const std::string &name, const EnvPtr &env, Range range) {
  for (const Env *scope = env.get(); scope; scope = scope->parent.get()) {
    if (auto it = scope->values.find(name); it != scope->values.end())
      return it->second;
    if (scope->outside)
      if (auto value = scope->outside(name, range))
        return value;
  }
  if (name == "run") {
    auto record = std::make_shared<Record>();
    record->name = "run";
    record->fields = runFields_;
    return Value(record);
  }
  return std::nullopt;
}

std::optional<ModuleRef> Elaborator::lookupModule(const std::string &name, const EnvPtr &env) {
  for (const Env *scope = env.get(); scope; scope = scope->parent.get()) {
    if (auto it = scope->modules.find(name); it != scope->modules.end())
      return it->second;
    if (scope->outsideModule)
      if (auto module = scope->outsideModule(name))
        return module;
  }
  return std::nullopt;
}

/// `embeddings.tokens`, `layers[3]` as modules; nothing when the expression does not name one.
std::optional<ModuleRef> Elaborator::moduleOf(const ast::Expr &expr, const EnvPtr &env) {
  if (auto *name = expr.as<ast::NameExpr>())
    return lookupModule(name->name, env);
  if (auto *member = expr.as<ast::MemberExpr>()) {
    auto object = moduleOf(*member->object, env);
    if (!object || object->isList)
      return std::nullopt;
    auto &named = object->nodes.front()->named;
    auto it = named.find(member->member.text);
    return it == named.end() ? std::nullopt : std::optional(it->second);
  }
  if (auto *index = expr.as<ast::IndexExpr>()) {
    auto object = moduleOf(*index->object, env);
    if (!object || !object->isList || index->subscripts.size() != 1 || !index->subscripts[0].index)
      return std::nullopt;
    int64_t at = evalInt(*index->subscripts[0].index, env, "an index");
    int64_t count = static_cast<int64_t>(object->nodes.size());
    if (at < 0)
      at += count;
    if (at < 0 || at >= count)
      fail(Kind::E0350, expr.range, {"entry " + std::to_string(at) + " of a list of " + std::to_string(count) + " modules"});
    return ModuleRef{{object->nodes[at]}, false};
  }
  return std::nullopt;
}

void Elaborator::execLet(const ast::LetStmt &let, const EnvPtr &env) {
  Value value = eval(*let.value, env);
  if (!let.tuple) {
    env->values[let.names.front().text] = value;
    return;
  }
  const ValueList *items = value.list();
  if (!items || items->size() != let.names.size())
    fail(Kind::E0350, let.value->range,
         {std::to_string(let.names.size()) + " names for " + (items ? std::to_string(items->size()) + " values" : value.describe())});
  for (size_t i = 0; i < items->size(); ++i)
    env->values[let.names[i].text] = (*items)[i];
}

const ast::Block &Elaborator::branch(const ast::IfStmt &stmt, const EnvPtr &env) {
  return evalBool(*stmt.condition, env) ? stmt.thenBody : stmt.elseBody;
}

// ---- evaluation ----------------------------------------------------------------------------------------------------

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
  case K::Unary: {
    auto *unaryExpr = expr.as<ast::UnaryExpr>();
    Value operand = eval(*unaryExpr->operand, env);
    if (unaryExpr->op == ast::UnaryOp::Not) {
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
  case K::Comprehension: {
    auto *comprehension = expr.as<ast::ComprehensionExpr>();
    Value over = eval(*comprehension->over, env);
    if (!over.list())
      fail(Kind::E0354, comprehension->over->range, {"what a list is made over"});
    auto list = std::make_shared<ValueList>();
    for (const Value &item : *over.list()) {
      auto scope = std::make_shared<Env>(env);
      scope->values[comprehension->variable.text] = item;
      list->push_back(eval(*comprehension->body, scope));
    }
    return Value(list);
  }
  case K::Block: {
    auto scope = std::make_shared<Env>(env);
    auto *block = expr.as<ast::BlockExpr>();
    for (const ast::StmtPtr &stmt : block->statements)
      if (auto *let = stmt->as<ast::LetStmt>())
        execLet(*let, scope);
      else
        fail(Kind::E0350, stmt->range, {"only `let` may stand before a value"});
    return eval(*block->value, scope);
  }
  case K::SelectorValue: fail(Kind::E0354, expr.range, {"a selector"});
  }
  llvm_unreachable("expression kinds are exhausted");
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
    return fromJson(config->json[name]);
  }
  if (auto *record = object.as<std::shared_ptr<Record>>()) {
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
  auto result = [&](double value) { return whole ? Value(static_cast<int64_t>(value)) : Value(value); };
  switch (op) {
  case O::Add: return result(x + y);
  case O::Sub: return result(x - y);
  case O::Mul: return result(x * y);
  case O::Div:
    if (whole && y != 0 && *a.as<int64_t>() % *b.as<int64_t>() == 0)
      return Value(*a.as<int64_t>() / *b.as<int64_t>());
    return Value(x / y);
  case O::Mod: return whole && y != 0 ? Value(((*a.as<int64_t>() % *b.as<int64_t>()) + *b.as<int64_t>()) % *b.as<int64_t>()) : Value(std::fmod(x, y));
  case O::Pow: return whole && y >= 0 ? Value(static_cast<int64_t>(std::llround(std::pow(x, y)))) : Value(std::pow(x, y));
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
    if (auto value = numeric(expr.op, a, b))
      return *value;
  if (expr.op == O::Range) {
    if (!a.as<int64_t>() || !b.as<int64_t>())
      fail(Kind::E0354, expr.range, {"a range"});
    auto list = std::make_shared<ValueList>();
    for (int64_t i = *a.as<int64_t>(); i < *b.as<int64_t>(); ++i)
      list->push_back(i);
    return Value(list);
  }
  bool equality = expr.op == O::Eq || expr.op == O::Ne;
  if (equality && !(a.as<Tensor>() && !b.isNone()) && !(b.as<Tensor>() && !a.isNone())) {
    bool same = false;
    if (a.as<std::string>() && b.as<std::string>())
      same = *a.as<std::string>() == *b.as<std::string>();
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

// ---- calls ---------------------------------------------------------------------------------------------------------

Value Elaborator::evalCall(const ast::CallExpr &expr, const EnvPtr &env) {
  auto *name = expr.callee->as<ast::NameExpr>();
  if (name) {
    // A local function, then a child module, then declarations: `q(u)` calls the module although `q` is also a point.
    auto local = lookup(name->name, env, expr.range);
    if (local && local->as<Callable>())
      return call(*local->as<Callable>(), expr.args, expr.range, env);
  } else if (auto *member = expr.callee->as<ast::MemberExpr>(); member && member->member.text == "get") {
    Value object = eval(*member->object, env);
    if (object.as<Config>() || object.as<std::shared_ptr<Record>>()) {
      if (expr.args.empty())
        fail(Kind::E0350, expr.range, {"`get` wants a name"});
      std::string key = evalString(*expr.args[0].value, env);
      if (auto *config = object.as<Config>()) {
        if (config->json.contains(key))
          return fromJson(config->json[key]);
      } else if (auto it = (*object.as<std::shared_ptr<Record>>())->fields.find(key);
                 it != (*object.as<std::shared_ptr<Record>>())->fields.end()) {
        return it->second;
      }
      return expr.args.size() > 1 ? eval(*expr.args[1].value, env) : Value();
    }
  }
  if (auto module = moduleOf(*expr.callee, env)) {
    if (module->isList)
      fail(Kind::E0350, expr.callee->range, {"a list of modules is not called; `chain(modules, x)` calls one after the other"});
    std::vector<Value> args;
    for (const ast::Argument &arg : expr.args)
      args.push_back(eval(*arg.value, env));
    return callModule(*module->nodes.front(), std::move(args), expr.range);
  }
  Value callee = eval(*expr.callee, env);
  if (callee.as<Initializer>() && name)
    return callBuiltin(name->name, expr.args, expr.range, env);
  auto *callable = callee.as<Callable>();
  if (!callable)
    fail(Kind::E0350, expr.callee->range, {callee.describe() + " is not called"});
  if (callable->kind == Callable::Kind::Method && !callable->call) {
    Callable bound = *callable;
    bound.call = &expr;
    bound.env = env;
    return bound;
  }
  return call(*callable, expr.args, expr.range, env);
}

Value Elaborator::call(const Callable &callee, const std::vector<ast::Argument> &args, Range range, const EnvPtr &env) {
  struct Depth {
    int &value;
    ~Depth() { --value; }
  } depth{++depth_};
  if (depth_ > 200)
    fail(Kind::E0350, range, {"calls are nested more than 200 deep"});
  switch (callee.kind) {
  case Callable::Kind::Builtin: return callBuiltin(callee.builtin, args, range, env);
  case Callable::Kind::Fn: {
    EnvPtr scope = bindParameters(callee.fn->params, args, env, fileEnv(callee.fn->range.file), callee.fn->name.text, range);
    return eval(*callee.fn->body, scope);
  }
  case Callable::Kind::Lambda: {
    auto scope = std::make_shared<Env>(callee.env);
    if (args.size() != callee.lambda->params.size())
      fail(Kind::E0350, range, {std::to_string(args.size()) + " arguments for " + std::to_string(callee.lambda->params.size()) + " names"});
    for (size_t i = 0; i < args.size(); ++i)
      scope->values[callee.lambda->params[i].text] = eval(*args[i].value, env);
    return eval(*callee.lambda->body, scope);
  }
  case Callable::Kind::Method: break;
  }
  // A method value on a tensor: the point that it rewires, for the given value.
  std::vector<Value> values;
  for (const ast::Argument &arg : args)
    values.push_back(eval(*arg.value, env));
  if (!instance_ || values.size() != 1 || !values[0].as<Tensor>())
    fail(Kind::E0350, range, {"a method is applied to one value, inside a method"});
  return applyMethod(*instance_, callee, *values[0].as<Tensor>(), range);
}

Value Elaborator::apply(const Value &callee, std::vector<Value> args, Range range) {
  auto *callable = callee.as<Callable>();
  if (callable && callable->kind == Callable::Kind::Lambda && args.size() == callable->lambda->params.size()) {
    auto scope = std::make_shared<Env>(callable->env);
    for (size_t i = 0; i < args.size(); ++i)
      scope->values[callable->lambda->params[i].text] = args[i];
    return eval(*callable->lambda->body, scope);
  }
  fail(Kind::E0350, range, {callee.describe() + " is not a function of " + std::to_string(args.size()) + " values"});
}

EnvPtr Elaborator::bindParameters(const std::vector<ast::Parameter> &params, const std::vector<ast::Argument> &args,
                                  const EnvPtr &argEnv, const EnvPtr &scope, const std::string &what, Range range,
                                  int64_t rankLimit) {
  auto env = std::make_shared<Env>(scope);
  size_t next = 0;
  std::map<std::string, const ast::Argument *> given;
  for (const ast::Argument &arg : args) {
    std::string name;
    if (arg.name) {
      name = arg.name->text;
    } else {
      if (next >= params.size())
        fail(Kind::E0350, arg.range, {"`" + what + "` takes " + std::to_string(params.size()) + " arguments"});
      name = params[next++].name.text;
    }
    bool known = std::any_of(params.begin(), params.end(), [&](const ast::Parameter &p) { return p.name.text == name; });
    if (!known)
      fail(Kind::E0350, arg.range, {"`" + what + "` has no argument `" + name + "`"});
    given[name] = &arg;
  }
  for (const ast::Parameter &param : params) {
    auto it = given.find(param.name.text);
    if (it == given.end() && !param.defaultValue)
      fail(Kind::E0350, range, {"`" + what + "` needs `" + param.name.text + "`"});
    const ast::Expr &expr = it != given.end() ? *it->second->value : *param.defaultValue;
    const EnvPtr &exprEnv = it != given.end() ? argEnv : env;
    // An axis may be given by its name, which is no value: it is handed on as a string.
    auto *axisName = param.name.text == "axis" ? expr.as<ast::NameExpr>() : nullptr;
    Value value = axisName && axisName->name != "axis" ? Value(axisName->name) : eval(expr, exprEnv);
    checkParameter(param, value, it != given.end() ? it->second->value->range : range, rankLimit);
    env->values[param.name.text] = value;
  }
  return env;
}

void Elaborator::checkParameter(const ast::Parameter &param, const Value &value, Range range, int64_t rankLimit) {
  if (!param.type || value.isNone())
    return;
  const std::string &type = param.type->name;
  bool wantsWhole = type == "int" || type == "rank" || type == "dim";
  if (wantsWhole && !value.as<int64_t>()) {
    if (value.isNumber())
      fail(Kind::E0351, range, {param.name.text, std::to_string(value.number())});
    fail(Kind::E0350, range, {"`" + param.name.text + "` is a whole number, this is " + value.describe()});
  }
  if ((type == "rank" || type == "dim") && *value.as<int64_t>() < 1)
    fail(Kind::E0353, range, {param.name.text, "at least 1", std::to_string(*value.as<int64_t>())});
  if (type == "rank" && rankLimit > 0 && *value.as<int64_t>() > rankLimit)
    fail(Kind::E0353, range, {param.name.text, "at most " + std::to_string(rankLimit) + " (the smaller dimension of the site)", std::to_string(*value.as<int64_t>())});
  if (type == "prob" && value.isNumber() && (value.number() < 0 || value.number() >= 1))
    fail(Kind::E0353, range, {param.name.text, "in [0, 1)", std::to_string(value.number())});
}

// ---- conversions ---------------------------------------------------------------------------------------------------

Value Elaborator::fromJson(const nlohmann::json &json) {
  if (json.is_boolean())
    return json.get<bool>();
  if (json.is_number_integer())
    return json.get<int64_t>();
  if (json.is_number())
    return json.get<double>();
  if (json.is_string())
    return json.get<std::string>();
  if (json.is_null())
    return Value();
  if (json.is_array()) {
    auto list = std::make_shared<ValueList>();
    for (const auto &item : json)
      list->push_back(fromJson(item));
    return Value(list);
  }
  return Config{json};
}

nlohmann::json Elaborator::toJson(const Value &value, Range range) {
  if (value.isNone())
    return nullptr;
  if (auto *v = value.as<int64_t>())
    return *v;
  if (auto *v = value.as<double>())
    return *v;
  if (auto *v = value.as<bool>())
    return *v;
  if (auto *v = value.as<std::string>())
    return *v;
  if (auto *list = value.list()) {
    auto json = nlohmann::json::array();
    for (const Value &item : *list)
      json.push_back(toJson(item, range));
    return json;
  }
  fail(Kind::E0354, range, {value.describe()});
}

bool Elaborator::evalBool(const ast::Expr &expr, const EnvPtr &env) {
  Value value = eval(expr, env);
  if (auto *flag = value.as<bool>())
    return *flag;
  fail(Kind::E0354, expr.range, {"a condition"}, "this is " + value.describe());
}

int64_t Elaborator::evalInt(const ast::Expr &expr, const EnvPtr &env, const char *what) {
  Value value = eval(expr, env);
  if (auto *number = value.as<int64_t>())
    return *number;
  if (value.isNumber())
    fail(Kind::E0351, expr.range, {diags_.sources().text(expr.range).data() ? std::string(diags_.sources().text(expr.range)) : what, std::to_string(value.number())});
  fail(Kind::E0354, expr.range, {what}, "this is " + value.describe());
}

std::string Elaborator::evalString(const ast::Expr &expr, const EnvPtr &env) {
  if (auto *string = expr.as<ast::StringExpr>()) {
    std::string text = string->texts.empty() ? "" : string->texts[0];
    for (size_t i = 0; i < string->holes.size(); ++i) {
      Value value = eval(*string->holes[i], env);
      if (auto *number = value.as<int64_t>())
        text += std::to_string(*number);
      else if (auto *part = value.as<std::string>())
        text += *part;
      else
        fail(Kind::E0354, string->holes[i]->range, {"a part of a string"});
      text += string->texts[i + 1];
    }
    return text;
  }
  Value value = eval(expr, env);
  if (auto *text = value.as<std::string>())
    return *text;
  fail(Kind::E0350, expr.range, {"this is " + value.describe() + ", not a string"});
}

} // namespace peftc::import
