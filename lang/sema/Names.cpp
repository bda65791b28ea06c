// Names: declarations and statements of files; what stands in bodies is in BodyNames.cpp.
#include "lang/sema/Names.h"
#include "lang/sema/Arguments.h"
#include "lang/sema/BodyNames.h"
#include "lang/sema/Literals.h"
#include <algorithm>

namespace peftc::sema {
namespace {
using namespace ast;
using diag::Kind;

class Walker : BodyNames {
public:
  Walker(const Spec &spec, const Network &network, diag::Engine &diags) : BodyNames(spec, diags), network(network) {}

  void file(const File &file) {
    Visible top(spec.scopes.at(file.source));
    if (file.source == spec.main().source) {
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
      inner.addModules(network.modules);
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

  const Network &network;
  std::vector<const RunStmt *> runs;
};
} // namespace

void checkNames(const Spec &spec, diag::Engine &diags) {
  const Network network(spec);
  Walker walker(spec, network, diags);
  for (const FilePtr &file : spec.files)
    walker.file(*file);
  walker.runOptions();
}

} // namespace peftc::sema
