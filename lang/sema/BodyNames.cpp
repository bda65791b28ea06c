// BodyNames: see the header.
#include "lang/sema/BodyNames.h"
#include "lang/sema/Literals.h"
#include <algorithm>

namespace peftc::sema {
using namespace ast;
using diag::Kind;

void BodyNames::method(const Expr &use, Visible &scope) {
  expr(use, scope);
  if (auto *name = use.as<NameExpr>(); name && !scope.hasLocal(name->name) && scope.declared().methods.count(name->name))
    checkArguments(signatureOf(*scope.declared().methods.at(name->name)), {}, name->range, scope, diags);
}

void BodyNames::kinds(const std::vector<Ident> &names, const Visible &top) {
  for (const Ident &name : names)
    if (name.text != "module" && !top.declared().kinds.count(name.text)) {
      std::vector<std::string> known;
      for (const auto &[key, kind] : top.declared().kinds)
        known.push_back(key);
      unknown(name.text, name.range, known, top);
    }
}

void BodyNames::parameters(const std::vector<Parameter> &params, Visible &scope) {
  for (const Parameter &param : params) {
    if (param.type)
      typeName(*param.type, scope);
    if (param.type && param.defaultValue)
      checkLiteral(param.name.text, *param.type, *param.defaultValue, &scope.declared(), diags);
    if (param.defaultValue && !isAxisWord(param.name.text, *param.defaultValue))
      expr(*param.defaultValue, scope);
    scope.add(param.name.text);
  }
}

void BodyNames::typeName(const TypeExpr &type, const Visible &scope) {
  if (type.isTensor)
    return;
  if (type.element)
    typeName(*type.element, scope);
  if (!type.methodKind.empty())
    kinds({{type.methodKind, type.range}}, scope);
  else if (!type.name.empty() && std::find(typeNames().begin(), typeNames().end(), type.name) == typeNames().end())
    unknown(type.name, type.range, typeNames(), scope);
}

// ---- statements of bodies ----------------------------------------------------------------------------------------

void BodyNames::block(const Block &body, Visible &scope) {
  for (const StmtPtr &stmt : body)
    statement(*stmt, scope);
}
void BodyNames::let(const LetStmt &stmt, Visible &scope) {
  expr(*stmt.value, scope);
  for (const Ident &name : stmt.names)
    scope.add(name.text);
}
void BodyNames::type(const std::unique_ptr<TypeExpr> &type, Visible &scope) {
  if (!type)
    return;
  Visible inner(scope);
  inner.add({"seq", "keys"});
  for (const ExprPtr &dim : type->dims)
    expr(*dim, inner);
}
void BodyNames::optional(const ExprPtr &value, Visible &scope) {
  if (value)
    expr(*value, scope);
}

void BodyNames::param(const ParamStmt &stmt, Visible &scope) {
  if (stmt.sharedPer)
    sharing(*stmt.sharedPer, scope);
  type(stmt.type, scope);
  optional(stmt.init, scope);
  scope.add(stmt.name.text);
}

void BodyNames::sharing(const Ident &kind, Visible &scope) {
  if (kind.text == "task") {
    diags.report(Kind::E0199, kind.range, {"per task"});
    return;
  }
  if (scope.hasLocal(kind.text)) // the site's weight: one for all sites that have it in common
    return;
  std::vector<std::string> known;
  for (const auto &[name, decl] : scope.declared().kinds)
    known.push_back(name);
  if (std::find(known.begin(), known.end(), kind.text) == known.end())
    unknown(kind.text, kind.range, known, scope);
}

void BodyNames::statement(const Stmt &stmt, Visible &scope) {
  auto named = [&](const Expr &value, const Ident &name) { expr(value, scope), scope.add(name.text); };
  if (auto *s = stmt.as<LetStmt>()) {
    let(*s, scope);
  } else if (auto *s = stmt.as<ParamStmt>()) {
    param(*s, scope);
  } else if (auto *s = stmt.as<InputStmt>()) {
    type(s->type, scope);
    scope.add(s->name.text);
  } else if (auto *s = stmt.as<WeightStmt>()) {
    type(s->type, scope);
    optional(s->init, scope);
    checkpointName(s->checkpoint, scope);
    scope.add(s->name.text);
  } else if (auto *s = stmt.as<BindStmt>()) {
    named(*s->value, s->name);
  } else if (auto *s = stmt.as<RewireStmt>()) {
    if (auto *member = s->target->as<MemberExpr>())
      expr(*member->object, scope);
    expr(*s->value, scope);
  } else if (auto *s = stmt.as<SampleStmt>()) {
    sample(*s->distribution, scope);
    scope.add(s->name.text);
  } else if (auto *s = stmt.as<IfStmt>()) {
    expr(*s->condition, scope);
    block(s->thenBody, scope); // compile-time: bindings of the branch taken stay visible
    block(s->elseBody, scope);
  } else if (auto *s = stmt.as<ForStmt>()) {
    expr(*s->over, scope);
    scope.add(s->variable.text);
    block(s->body, scope);
  } else if (auto *s = stmt.as<AttachStmt>()) {
    attach(*s, scope);
  } else if (auto *s = stmt.as<TrainStmt>()) {
    selector(s->selector, scope);
  } else if (auto *s = stmt.as<DimStmt>()) {
    named(*s->value, s->name);
  } else if (auto *s = stmt.as<RequireStmt>()) {
    expr(*s->condition, scope), optional(s->message, scope);
  } else if (auto *s = stmt.as<ModuleStmt>()) {
    module(*s, scope);
  } else if (auto *s = stmt.as<ModuleDeclStmt>()) {
    declaration(*s, scope);
  } else if (auto *s = stmt.as<CheckpointStmt>()) {
    for (const Field &field : s->fields)
      expr(*field.value, scope);
  } else if (auto *s = stmt.as<InteropStmt>()) {
    interop(*s, scope);
  } else if (auto *s = stmt.as<RowStmt>()) {
    row(*s, scope);
  } else if (auto *s = stmt.as<MetricStmt>()) {
    expr(*s->value, scope);
  } else if (auto *s = stmt.as<StateStmt>()) {
    optional(s->init, scope), scope.add(s->name.text);
  } else if (auto *s = stmt.as<LossStmt>()) {
    expr(*s->value, scope);
  } else {
    event(stmt, scope);
  }
}

void BodyNames::attach(const AttachStmt &stmt, Visible &scope) {
  method(*stmt.method, scope);
  selector(stmt.selector, scope);
  if (stmt.alias)
    scope.add(stmt.alias->text); // what it adds is read as `l.A`
}

/// What an event knows beside the method's names: where the run stands.
void BodyNames::event(const Stmt &stmt, Visible &scope) {
  Visible inner(scope);
  if (auto *s = stmt.as<OnGradStmt>()) {
    inner.add({"step", "steps"});
    block(s->body, inner);
  } else if (auto *s = stmt.as<GradStmt>()) {
    expr(*s->parameter, scope);
    inner.add("lr"); // of the parameter's group
    expr(*s->value, inner);
  }
}

/// Beside the method's own names: what the site, and a weight that is trained beside it, are called by in the other software.
void BodyNames::interop(const InteropStmt &stmt, Visible &scope) {
  if (stmt.format.text != "peft")
    diags.report(Kind::E0212, stmt.format.range, {stmt.format.text}).help("files of Hugging Face PEFT are `peft`");
  std::set<std::string> said;
  for (const InteropItem &item : stmt.items) {
    if (item.field && !said.insert(item.field->text).second)
      diags.report(Kind::E0206, item.field->range, {item.field->text});
    Visible inner(scope);
    inner.add({"module", "transposed"});
    if (item.kind == InteropItem::Kind::Trained)
      inner.add("tensor");
    for (const ExprPtr *part : {&item.key, &item.value, &item.message})
      optional(*part, inner);
  }
}

void BodyNames::row(const RowStmt &stmt, Visible &scope) {
  if (auto *call = stmt.encoder->as<CallExpr>())
    arguments(call->args, {}, scope); // how a row is read is no function
  scope.add(stmt.name.text);
}

/// A distribution's numbers, then the shape.
void BodyNames::sample(const Expr &distribution, Visible &scope) {
  auto *call = distribution.as<CallExpr>();
  if (!call)
    return expr(distribution, scope);
  expr(*call->callee, scope);
  arguments(call->args, {}, scope);
}

void BodyNames::checkpointName(const std::optional<CheckpointName> &name, Visible &scope) {
  if (!name)
    return;
  optional(name->name, scope);
  optional(name->from, scope);
  optional(name->to, scope);
}

/// A module that a file declares, or that an arch does: which one of theirs, and what it takes, hangs on the model.
void BodyNames::constructor(const Expr &use, Visible &scope) {
  auto *call = use.as<CallExpr>();
  auto *name = (call ? *call->callee : use).as<NameExpr>();
  if (call && name && scope.hasModule(name->name))
    return arguments(call->args, {}, scope);
  choice(use, scope.declared().modules, scope);
}

void BodyNames::declaration(const ModuleDeclStmt &stmt, Visible &scope) {
  Visible inner(scope);
  parameters(stmt.params, inner);
  kinds(stmt.kinds, scope);
  block(stmt.body, inner);
  scope.addModules({stmt.name.text});
}

void BodyNames::module(const ModuleStmt &stmt, Visible &scope) {
  optional(stmt.over, scope);
  Visible inner(scope);
  if (stmt.variable)
    inner.add(stmt.variable->text);
  checkpointName(stmt.checkpoint, inner);
  optional(stmt.tiedTo, scope);
  optional(stmt.tiedWhen, scope);
  kinds(stmt.kinds, scope);
  if (stmt.constructor)
    constructor(*stmt.constructor, inner);
  block(stmt.body, inner);
  for (const Ident &name : stmt.names)
    scope.add(name.text);
}

// ---- expressions -------------------------------------------------------------------------------------------------

bool BodyNames::isAxisWord(const std::string &parameter, const Expr &value) {
  return parameter == "axis" && value.as<NameExpr>();
}

void BodyNames::arguments(const std::vector<Argument> &args, const std::vector<std::string> &names, Visible &scope) {
  size_t place = 0;
  for (const Argument &arg : args) {
    std::string name = arg.name ? arg.name->text : place < names.size() ? names[place] : "";
    place += !arg.name;
    if (!isAxisWord(name, *arg.value))
      expr(*arg.value, scope);
  }
}

void BodyNames::path(const std::vector<SelectorPart> &parts, Visible &scope) {
  for (const SelectorPart &part : parts) {
    for (const ExprPtr *bound : {&part.index, &part.start, &part.stop, &part.step})
      optional(*bound, scope);
    for (const auto &alternative : part.alternatives)
      path(alternative, scope);
  }
}
void BodyNames::selector(const Selector &selector, Visible &scope) {
  for (const auto &parts : selector.paths)
    path(parts, scope);
  for (const auto &parts : selector.except)
    path(parts, scope);
  if (!selector.where)
    return;
  Visible inner(scope);
  inner.add({"kind", "name", "path", "index", "module"});
  for (const auto &[name, kind] : scope.declared().kinds)
    inner.add(name);
  expr(*selector.where, inner);
}

void BodyNames::call(const CallExpr &call, Visible &scope) {
  expr(*call.callee, scope);
  optional(call.from, scope);
  if (auto *get = call.callee->as<MemberExpr>(); get && get->member.text == "get" && !call.args.empty())
    if (auto *key = call.args.front().value->as<StringExpr>(); key && key->texts.size() == 1)
      runReads.insert(key->texts.front()); // of `run`, or harmlessly of a config
  auto *name = call.callee->as<NameExpr>();
  arguments(call.args, name ? scope.parameterNames(name->name) : std::vector<std::string>{}, scope);
  if (!name || scope.hasLocal(name->name))
    return; // a value or a module: what it takes shows when it is there
  const Scope &declared = scope.declared();
  if (auto it = declared.fns.find(name->name); it != declared.fns.end())
    checkArguments(signatureOf(*it->second), call.args, name->range, scope, diags);
  else if (auto *builtin = findBuiltin(name->name))
    checkArguments(signatureOf(*builtin), call.args, name->range, scope, diags);
  else if (auto method = declared.methods.find(name->name); method != declared.methods.end())
    checkArguments(signatureOf(*method->second), call.args, name->range, scope, diags);
}

void BodyNames::expr(const Expr &value, Visible &scope) {
  if (auto *e = value.as<NameExpr>()) {
    this->name(*e, scope);
  } else if (auto *e = value.as<StringExpr>()) {
    for (const ExprPtr &hole : e->holes)
      expr(*hole, scope);
  } else if (auto *e = value.as<ListExpr>()) {
    for (const ExprPtr &item : e->items)
      expr(*item, scope);
  } else if (auto *e = value.as<MemberExpr>()) {
    expr(*e->object, scope);
    if (auto *object = e->object->as<NameExpr>(); object && object->name == "run" && e->member.text != "get")
      runReads.insert(e->member.text);
  } else if (auto *e = value.as<CallExpr>()) {
    call(*e, scope);
  } else if (auto *e = value.as<IndexExpr>()) {
    expr(*e->object, scope);
    for (const Subscript &subscript : e->subscripts)
      for (const ExprPtr *part : {&subscript.index, &subscript.start, &subscript.stop, &subscript.step})
        optional(*part, scope);
  } else if (auto *e = value.as<UnaryExpr>()) {
    expr(*e->operand, scope);
  } else if (auto *e = value.as<BinaryExpr>()) {
    expr(*e->lhs, scope);
    expr(*e->rhs, scope);
  } else if (auto *e = value.as<IfExpr>()) {
    expr(*e->condition, scope);
    expr(*e->thenValue, scope);
    expr(*e->elseValue, scope);
  } else if (auto *e = value.as<LambdaExpr>()) {
    Visible inner(scope);
    for (const Ident &param : e->params)
      inner.add(param.text);
    expr(*e->body, inner);
  } else if (auto *e = value.as<ComprehensionExpr>()) {
    expr(*e->over, scope);
    Visible inner(scope);
    inner.add(e->variable.text);
    expr(*e->body, inner);
  } else if (auto *e = value.as<BlockExpr>()) {
    Visible inner(scope);
    block(e->statements, inner);
    expr(*e->value, inner);
  } else if (auto *e = value.as<SelectorValueExpr>()) {
    selector(*e->selector, scope);
  }
}

// ---- what is wrong -----------------------------------------------------------------------------------------------

void BodyNames::name(const NameExpr &expr, Visible &scope) {
  if (auto *builtin = findBuiltin(expr.name); builtin && !builtin->built && !scope.hasLocal(expr.name))
    diags.report(Kind::E0199, expr.range, {expr.name});
  if (scope.has(expr.name))
    return;
  unknown(expr.name, expr.range, scope.candidates(), scope);
  scope.add(expr.name); // one message a scope
}

void BodyNames::unknown(const std::string &name, Range range, const std::vector<std::string> &known, const Visible &scope) {
  if (scope.declared().mayHold(name))
    return;
  auto report = diags.report(Kind::E0356, range, {name});
  std::string module = moduleOf(spec, diags.sources(), name);
  if (!module.empty() && !scope.declared().methods.count(name)) {
    report.help("`use " + module + "` makes it visible");
    return;
  }
  if (auto better = diag::suggest(name, known)) {
    report.help("there is `" + *better + "`");
    report.fixit(range, *better);
  }
}

} // namespace peftc::sema
