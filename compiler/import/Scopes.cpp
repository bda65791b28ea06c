// Scopes: what a name stands for, and how a failure is reported.
//
// In     a name, the scope that it is read in
// Out    its value or module, innermost scope first
#include "compiler/import/Elaborator.h"

namespace peftc::import {
using diag::Kind;

std::string spelled(double number) {
  char text[32];
  std::snprintf(text, sizeof text, "%.10g", number);
  return text;
}

std::string Value::describe() const {
  static const char *names[] = {"none", "a whole number", "a number", "a bool", "a string", "a list", "a tensor", "a function",
                                "a module", "an initial value", "a part of config.json", "a bool", "a record", "the length of a sequence"};
  return names[data.index()];
}

void Elaborator::fail(Kind kind, Range range, std::vector<std::string> args, std::string here, std::string help) {
  const std::string everyRow = "example ["; // that a shape is one of each row: said to us, not to a user
  for (std::string &arg : args)
    for (size_t at; (at = arg.find(everyRow)) != std::string::npos;)
      arg.erase(at, everyRow.size() - 1);
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
  mlir::Location here = mlir::FileLineColLoc::get(context_, file.name(), at.line, at.column);
  // What a function of another file does is also where it was called from.
  for (size_t i = callers_.size(); i-- > 0;)
    if (callers_[i].file != range.file) {
      const SourceFile &from = diags_.sources().file(callers_[i].file);
      LineColumn call = from.position(callers_[i].begin);
      return mlir::CallSiteLoc::get(here, mlir::FileLineColLoc::get(context_, from.name(), call.line, call.column));
    }
  return here;
}

EnvPtr Elaborator::fileEnv(int32_t file) {
  EnvPtr &env = fileEnvs_[file];
  if (env)
    return env;
  env = std::make_shared<Env>();
  if (file != spec_.main().source)
    return env;
  for (const auto &[name, expr] : spec_.inputs)
    env->values[name] = eval(*expr, env);
  env->outside = [this](const std::string &name, Range range) { return specParam(name, range); };
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
    if (auto it = scope->optional.find(name); it != scope->optional.end())
      return it->second();
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

void Elaborator::execFor(const ast::ForStmt &loop, const EnvPtr &env, llvm::function_ref<void(const ast::Stmt &)> exec) {
  Value over = eval(*loop.over, env);
  if (!over.list())
    fail(Kind::E0354, loop.over->range, {"what a loop runs over"});
  for (const Value &item : *over.list()) {
    env->values[loop.variable.text] = item;
    for (const ast::StmtPtr &inner : loop.body)
      exec(*inner);
  }
}

void Elaborator::execRequire(const ast::RequireStmt &require, const EnvPtr &env) {
  if (!evalBool(*require.condition, env))
    fail(Kind::E0355, require.range, {evalString(*require.message, env)});
}

const ast::Block &Elaborator::branch(const ast::IfStmt &stmt, const EnvPtr &env) {
  return evalBool(*stmt.condition, env) ? stmt.thenBody : stmt.elseBody;
}

} // namespace peftc::import
