// Names: a walk over every body with the scope that it is evaluated in.
#include "lang/sema/Names.h"
#include "lang/sema/Arguments.h"
#include "lang/sema/Literals.h"
#include <algorithm>

namespace peftc::sema {
namespace {
using namespace ast;
using diag::Kind;

class Walker {
public:
  Walker(const Spec &spec, diag::Engine &diags) : spec(spec), diags(diags), network(spec) {}

  void file(const File &file) {
    Visible top(spec.scopes.at(file.source));
    if (file.source == spec.files[spec.mainFile].source) {
      for (const StmtPtr &stmt : file.statements) // whatever their order: inputs first, lets in theirs
        if (auto *input = stmt->as<SpecInputStmt>())
          specInput(*input, top);
      for (const StmtPtr &stmt : file.statements)
        if (auto *param = stmt->as<ParamStmt>())
          top.add(param->name.text);
      for (const auto &[name, value] : spec.inputs)
        if (value && value->range.valid())
          expr(*value, top);
      for (const LetStmt *stmt : spec.lets)
        let(*stmt, top);
    }
    for (const StmtPtr &stmt : file.statements)
      topLevel(*stmt, top);
  }

  /// Behind all files: which options there are shows in who reads them.
  void runOptions() {
    static const char *const options[] = {
#define PEFT_RUN_OPTION(NAME, TYPE) NAME,
#include "lang/sema/RunOptions.def"
#undef PEFT_RUN_OPTION
    };
    std::vector<std::string> known(std::begin(options), std::end(options));
    known.insert(known.end(), runReads.begin(), runReads.end());
    for (const RunStmt *run : runs) {
      checkFields("run", known, run->fields, diags);
      for (const Field &field : run->fields) {
#define PEFT_RUN_OPTION(NAME, TYPE)                                                                                    \
  if (field.name.text == NAME)                                                                                         \
    checkLiteral(NAME, TYPE, *field.value, diags);
#include "lang/sema/RunOptions.def"
#undef PEFT_RUN_OPTION
      }
    }
  }

private:
  // ---- declarations and statements of a file -----------------------------------------------------------------------

  void topLevel(const Stmt &stmt, const Visible &top) {
    Visible inner(top);
    if (auto *fn = stmt.as<FnStmt>()) {
      parameters(fn->params, inner);
      expr(*fn->body, inner);
    } else if (auto *method = stmt.as<MethodStmt>()) {
      methodBody(*method, top);
    } else if (auto *arch = stmt.as<ArchStmt>()) {
      inner.add("cfg");
      parameters(arch->params, inner);
      kinds(arch->kinds, top);
      block(arch->body, inner);
    } else if (auto *module = stmt.as<ModuleDeclStmt>()) {
      parameters(module->params, inner);
      kinds(module->kinds, top);
      block(module->body, inner);
    } else if (auto *task = stmt.as<TaskStmt>()) {
      inner.add(network.rootNames);
      parameters(task->params, inner);
      block(task->body, inner);
    } else if (auto *optimizer = stmt.as<OptimizerStmt>()) {
      inner.add({"p", "g", "t", "step", "steps"});
      parameters(optimizer->params, inner);
      block(optimizer->body, inner);
    } else if (auto *schedule = stmt.as<ScheduleStmt>()) {
      inner.add({"step", "steps"});
      parameters(schedule->params, inner);
      expr(*schedule->body, inner);
    } else {
      program(stmt, inner);
    }
  }

  /// Its value may come from the command line.
  void specInput(const SpecInputStmt &stmt, Visible &top) {
    const Parameter &param = stmt.parameter;
    top.add(param.name.text);
    if (!param.type)
      return;
    typeName(*param.type, top);
    if (auto it = spec.inputs.find(param.name.text); it != spec.inputs.end() && it->second)
      checkLiteral(param.name.text, *param.type, *it->second, &top.declared(), diags);
  }

  void program(const Stmt &stmt, Visible &top) {
    if (auto *attach = stmt.as<AttachStmt>()) {
      Visible args(top);
      args.add({"site", "layer"}); // an argument may differ from site to site
      method(*attach->method, args);
      selector(attach->selector, top);
    } else if (auto *train = stmt.as<TrainStmt>()) {
      selector(train->selector, top);
    } else if (auto *model = stmt.as<ModelStmt>()) {
      choice(*model->arch, top.declared().archs, top);
    } else if (auto *task = stmt.as<TaskUseStmt>()) {
      choice(*task->task, top.declared().tasks, top);
    } else if (auto *optimize = stmt.as<OptimizeStmt>()) {
      choice(*optimize->optimizer, top.declared().optimizers, top);
      if (optimize->schedule)
        choice(*optimize->schedule, top.declared().schedules, top);
      for (const OptimizerGroup &group : optimize->groups) {
        optimizerFields(*optimize->optimizer, group, top);
        for (const Field &field : group.fields)
          expr(*field.value, top);
        selector(group.selector, top);
      }
    } else if (auto *run = stmt.as<RunStmt>()) {
      runs.push_back(run);
      for (const Field &field : run->fields)
        if (!field.value->as<NameExpr>()) // `precision = auto` is a word
          expr(*field.value, top);
    } else if (auto *budget = stmt.as<BudgetStmt>()) {
      expr(*budget->limit, top);
    } else if (auto *param = stmt.as<ParamStmt>()) {
      if (param->init)
        expr(*param->init, top);
    }
  }

  /// `adamw`, `adamw(…)`: one of a table of declarations, and its arguments.
  template <typename T> void choice(const Expr &use, const std::map<std::string, T> &table, Visible &top) {
    auto *call = use.as<CallExpr>();
    const Expr &callee = call ? *call->callee : use;
    auto *name = callee.as<NameExpr>();
    if (name && !table.count(name->name)) {
      std::vector<std::string> known;
      for (const auto &[key, value] : table)
        known.push_back(key);
      unknown(name->name, name->range, known, top);
    }
    if (call)
      arguments(call->args, {}, top);
    static const std::vector<Argument> none;
    if (name && table.count(name->name))
      checkArguments(signatureOf(*table.at(name->name)), call ? call->args : none, name->range, top, diags);
  }

  /// `attach lora to …`: a method that is named without a call is given nothing.
  void method(const Expr &use, Visible &scope) {
    expr(use, scope);
    if (auto *name = use.as<NameExpr>(); name && !scope.hasLocal(name->name) && scope.declared().methods.count(name->name))
      checkArguments(signatureOf(*scope.declared().methods.at(name->name)), {}, name->range, scope, diags);
  }

  void optimizerFields(const Expr &use, const OptimizerGroup &group, const Visible &top) {
    auto *call = use.as<CallExpr>();
    auto *name = (call ? *call->callee : use).as<NameExpr>();
    if (!name || !top.declared().optimizers.count(name->name))
      return;
    std::vector<std::string> known;
    for (const Parameter &param : top.declared().optimizers.at(name->name)->params) {
      known.push_back(param.name.text);
      for (const Field &field : group.fields)
        if (param.type && field.name.text == param.name.text)
          checkLiteral(param.name.text, *param.type, *field.value, &top.declared(), diags);
    }
    checkFields(name->name, known, group.fields, diags);
  }

  void methodBody(const MethodStmt &method, const Visible &top) {
    auto clause = [&](const Ident *site, const Block &body) {
      Visible inner(top);
      inner.enterSite(network);
      if (site) {
        kinds({*site}, top);
        auto it = inner.declared().kinds.find(site->text);
        if (it != inner.declared().kinds.end())
          inner.add(*it->second);
        if (it == inner.declared().kinds.end())
          return; // what it has is not known
        if (network.rootKinds.count(site->text))
          inner.add(network.rootNames);
      }
      parameters(method.params, inner);
      block(body, inner);
    };
    if (method.site)
      return clause(&*method.site, method.body);
    bool clauses = false;
    for (const StmtPtr &stmt : method.body)
      if (auto *on = stmt->as<OnStmt>()) {
        clause(&on->site, on->body);
        clauses = true;
      }
    if (!clauses)
      clause(nullptr, method.body);
  }

  void kinds(const std::vector<Ident> &names, const Visible &top) {
    for (const Ident &name : names)
      if (name.text != "module" && !top.declared().kinds.count(name.text)) {
        std::vector<std::string> known;
        for (const auto &[key, kind] : top.declared().kinds)
          known.push_back(key);
        unknown(name.text, name.range, known, top);
      }
  }

  void parameters(const std::vector<Parameter> &params, Visible &scope) {
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

  void typeName(const TypeExpr &type, const Visible &scope) {
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

  void block(const Block &body, Visible &scope) {
    for (const StmtPtr &stmt : body)
      statement(*stmt, scope);
  }
  void let(const LetStmt &stmt, Visible &scope) {
    expr(*stmt.value, scope);
    for (const Ident &name : stmt.names)
      scope.add(name.text);
  }
  void type(const std::unique_ptr<TypeExpr> &type, Visible &scope) {
    if (!type)
      return;
    Visible inner(scope);
    inner.add({"seq", "keys"});
    for (const ExprPtr &dim : type->dims)
      expr(*dim, inner);
  }
  void optional(const ExprPtr &value, Visible &scope) {
    if (value)
      expr(*value, scope);
  }

  void statement(const Stmt &stmt, Visible &scope) {
    if (auto *s = stmt.as<LetStmt>()) {
      let(*s, scope);
    } else if (auto *s = stmt.as<ParamStmt>()) {
      type(s->type, scope);
      optional(s->init, scope);
      scope.add(s->name.text);
    } else if (auto *s = stmt.as<InputStmt>()) {
      type(s->type, scope);
      scope.add(s->name.text);
    } else if (auto *s = stmt.as<WeightStmt>()) {
      type(s->type, scope);
      optional(s->init, scope);
      if (s->checkpoint)
        optional(s->checkpoint->name, scope);
      scope.add(s->name.text);
    } else if (auto *s = stmt.as<BindStmt>()) {
      expr(*s->value, scope);
      scope.add(s->name.text);
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
      method(*s->method, scope);
      selector(s->selector, scope);
    } else if (auto *s = stmt.as<TrainStmt>()) {
      selector(s->selector, scope);
    } else if (auto *s = stmt.as<DimStmt>()) {
      expr(*s->value, scope);
      scope.add(s->name.text);
    } else if (auto *s = stmt.as<RequireStmt>()) {
      expr(*s->condition, scope);
      optional(s->message, scope);
    } else if (auto *s = stmt.as<ModuleStmt>()) {
      module(*s, scope);
    } else if (auto *s = stmt.as<CheckpointStmt>()) {
      for (const Field &field : s->fields)
        expr(*field.value, scope);
    } else if (auto *s = stmt.as<RowStmt>()) {
      row(*s, scope);
    } else if (auto *s = stmt.as<MetricStmt>()) {
      expr(*s->value, scope);
    } else if (auto *s = stmt.as<StateStmt>()) {
      optional(s->init, scope);
      scope.add(s->name.text);
    } else if (auto *s = stmt.as<LossStmt>()) {
      expr(*s->value, scope);
    }
  }

  void row(const RowStmt &stmt, Visible &scope) {
    if (auto *call = stmt.encoder->as<CallExpr>())
      arguments(call->args, {}, scope); // how a row is read is no function
    scope.add(stmt.name.text);
  }

  /// A distribution's numbers, then the shape.
  void sample(const Expr &distribution, Visible &scope) {
    auto *call = distribution.as<CallExpr>();
    if (!call)
      return expr(distribution, scope);
    expr(*call->callee, scope);
    arguments(call->args, {}, scope);
  }

  void module(const ModuleStmt &stmt, Visible &scope) {
    optional(stmt.over, scope);
    Visible inner(scope);
    if (stmt.variable)
      inner.add(stmt.variable->text);
    if (stmt.checkpoint)
      optional(stmt.checkpoint->name, inner);
    kinds(stmt.kinds, scope);
    if (stmt.constructor)
      choice(*stmt.constructor, scope.declared().modules, inner);
    block(stmt.body, inner);
    for (const Ident &name : stmt.names)
      scope.add(name.text);
  }

  // ---- expressions -------------------------------------------------------------------------------------------------

  static bool isAxisWord(const std::string &parameter, const Expr &value) {
    return parameter == "axis" && value.as<NameExpr>();
  }

  /// The axis of a call may be said by its name in the shape, which is no value.
  void arguments(const std::vector<Argument> &args, const std::vector<std::string> &names, Visible &scope) {
    size_t place = 0;
    for (const Argument &arg : args) {
      std::string name = arg.name ? arg.name->text : place < names.size() ? names[place] : "";
      place += !arg.name;
      if (!isAxisWord(name, *arg.value))
        expr(*arg.value, scope);
    }
  }

  void path(const std::vector<SelectorPart> &parts, Visible &scope) {
    for (const SelectorPart &part : parts) {
      for (const ExprPtr *bound : {&part.index, &part.start, &part.stop, &part.step})
        optional(*bound, scope);
      for (const auto &alternative : part.alternatives)
        path(alternative, scope);
    }
  }
  void selector(const Selector &selector, Visible &scope) {
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

  void call(const CallExpr &call, Visible &scope) {
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

  void expr(const Expr &value, Visible &scope) {
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

  void name(const NameExpr &expr, Visible &scope) {
    if (auto *builtin = findBuiltin(expr.name); builtin && !builtin->built && !scope.hasLocal(expr.name))
      diags.report(Kind::E0199, expr.range, {expr.name});
    if (scope.has(expr.name))
      return;
    unknown(expr.name, expr.range, scope.candidates(), scope);
    scope.add(expr.name); // one message a scope
  }

  void unknown(const std::string &name, Range range, const std::vector<std::string> &known, const Visible &scope) {
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

  const Spec &spec;
  diag::Engine &diags;
  const Network network;
  std::vector<const RunStmt *> runs;
  std::set<std::string> runReads;
};
} // namespace

void checkNames(const Spec &spec, diag::Engine &diags) {
  Walker walker(spec, diags);
  for (const File &file : spec.files)
    walker.file(file);
  walker.runOptions();
}

} // namespace peftc::sema
