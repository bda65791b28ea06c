// Calls: functions, methods and modules applied to arguments, and values as the plain types that a construct needs.
//
// In     ast::CallExpr; a Callable and what it is given
// Out    its value; the scope with its parameters bound
// Errs   E0351 not a whole number, E0353 argument out of range, E0355 `fail` and `require`
#include "compiler/import/Elaborator.h"
#include "lang/sema/Literals.h"
#include <cmath>

namespace peftc::import {
using diag::Kind;
using mlir::nn::NNType;

Value Elaborator::evalCall(const ast::CallExpr &expr, const EnvPtr &env) {
  auto *name = expr.callee->as<ast::NameExpr>();
  if (name) {
    // A local function, then a child module, then declarations: `q(u)` calls the module although `q` is also a point.
    auto local = lookup(name->name, env, expr.range);
    if (local && local->as<Callable>())
      return call(*local->as<Callable>(), expr.args, expr.range, env);
    if (auto *record = local ? local->as<std::shared_ptr<Record>>() : nullptr; record && (*record)->name == "run")
      return anotherPass(expr, env);
  } else if (auto *member = expr.callee->as<ast::MemberExpr>(); member && member->member.text == "get") {
    Value object = eval(*member->object, env);
    if (object.as<Config>() || object.as<std::shared_ptr<Record>>()) {
      if (expr.args.empty())
        fail(Kind::E0350, expr.range, {"`get` wants a name"});
      std::string key = evalString(*expr.args[0].value, env);
      if (auto *config = object.as<Config>()) {
        if (config->json.contains(key))
          return configEntry(*config, key);
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

/// `run(embeds = x)`: another pass through the model, in which those points have those values; a record whose fields are the model's points.
Value Elaborator::anotherPass(const ast::CallExpr &expr, const EnvPtr &env) {
  if (!instance_ || inInit_ || instance_->site->parent)
    fail(Kind::E0350, expr.range, {"`run(…)` is another pass through the model, and this is no method on it"});
  Pass pass{static_cast<int64_t>(passes_.size()) + 1, {}, {}};
  for (const ast::Argument &arg : expr.args) {
    if (!arg.name || !root_->points.count(arg.name->text))
      fail(arg.name ? Kind::E0357 : Kind::E0350, arg.range, arg.name ? std::vector<std::string>{"model", arg.name->text} : std::vector<std::string>{"`run` takes points of the model by name"});
    const NNType declared = root_->points.at(arg.name->text).type;
    Tensor value = toTensor(eval(*arg.value, env), declared.getElement(), arg.value->range);
    if (declared.isFloat())
      value = asFloat(value, arg.value->range);
    if (value.type().getElement() != declared.getElement() || value.type().rank() != declared.rank())
      fail(Kind::E0350, arg.value->range, {"`" + arg.name->text + "` is " + mlir::nn::toString(declared) + ", this is " + mlir::nn::toString(value.type())});
    pass.names.push_back(arg.name->text);
    pass.values.push_back(value.value);
  }
  passes_.push_back(pass);
  auto record = std::make_shared<Record>();
  record->name = "pass";
  record->pass = pass.number;
  return Value(record);
}

Tensor Elaborator::readPass(int64_t number, const ast::Ident &point) {
  auto known = root_->points.find(point.text);
  if (known == root_->points.end())
    fail(Kind::E0357, point.range, {"model", point.text});
  const Pass &pass = passes_[number - 1];
  llvm::SmallVector<llvm::StringRef> names(pass.names.begin(), pass.names.end());
  auto op = mlir::peft::PassOp::create(builder_, location(point.range), known->second.type, number, point.text, builder_.getStrArrayAttr(names), pass.values);
  return {op.getResult(), known->second.axes};
}

Value Elaborator::call(const Callable &callee, const std::vector<ast::Argument> &args, Range range, const EnvPtr &env) {
  callers_.push_back(range);
  llvm::scope_exit back([&] { callers_.pop_back(); });
  if (callers_.size() > 200)
    fail(Kind::E0350, range, {"calls are nested more than 200 deep"});
  diag::Blame blame(diags_, range);
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
      fail(Kind::E0351, range, {param.name.text, spelled(value.number())});
    fail(Kind::E0350, range, {"`" + param.name.text + "` is a whole number, this is " + value.describe()});
  }
  if (value.isNumber())
    if (auto should = sema::outOfRange(*param.type, value.number()))
      fail(Kind::E0353, range, {param.name.text, *should, spelled(value.number())});
  if (value.list() && param.type->element)
    for (const Value &item : *value.list())
      if (auto should = item.isNumber() ? sema::outOfRange(*param.type->element, item.number()) : std::nullopt)
        fail(Kind::E0353, range, {param.name.text, *should, spelled(item.number())});
  if (type == "rank" && rankLimit > 0 && *value.as<int64_t>() > rankLimit)
    fail(Kind::E0353, range, {param.name.text, "at most " + std::to_string(rankLimit) + " (the smaller dimension of the site)", std::to_string(*value.as<int64_t>())});
}

// ---- conversions ---------------------------------------------------------------------------------------------------

/// Notes that the key was asked for.
Value Elaborator::configEntry(const Config &config, const std::string &key) {
  const std::string path = config.path.empty() ? key : config.path + "." + key;
  if (config.read)
    config.read->insert(path);
  Value value = fromJson(config.json.at(key));
  if (auto *part = value.as<Config>())
    return Config{part->json, config.read, path};
  return value;
}

Value Elaborator::fromJson(const nlohmann::json &json) {
  if (json.is_boolean())
    return json.get<bool>();
  if (json.is_number_integer() && std::abs(json.get<double>()) <= kLargestWhole)
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
  return Config{json, nullptr, ""};
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

int64_t Elaborator::evalInt(const ast::Expr &expr, const EnvPtr &env, const char *what) { return wholeNumber(eval(expr, env), expr.range, what); }

int64_t Elaborator::wholeNumber(const Value &value, Range range, const char *what) {
  if (auto *number = value.as<int64_t>())
    return *number;
  if (value.isNumber())
    fail(Kind::E0351, range, {diags_.sources().text(range).data() ? std::string(diags_.sources().text(range)) : what, spelled(value.number())});
  fail(Kind::E0354, range, {what}, "this is " + value.describe());
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
