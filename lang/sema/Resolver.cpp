// Resolver: fills the tables of declarations, and orders the program's statements.
//
// Visible in every file: its own declarations, the prelude's, what it `use`s, and every arch, optimizer, schedule and task of
// the standard library. Methods are named by `use peft.methods.{…}`.
// Errs   E0202 declared twice, E0203 no such module, E0204 no such declaration in it, E0205 no such input,
//        E0206 said twice, E0207 what a program lacks
#include "lang/diag/Suggest.h"
#include "lang/sema/Constants.h"
#include "lang/sema/Names.h"
#include "lang/sema/Gradients.h"
#include "lang/sema/Points.h"
#include "lang/sema/Shapes.h"
#include "lang/sema/Space.h"
#include "lang/sema/Texts.h"
#include "lang/syntax/Parse.h"
#include <algorithm>

namespace peftc {
namespace {
using namespace ast;
using diag::Kind;
using sema::Texts;

class Resolver {
public:
  Resolver(const Texts &texts, SourceMap &sources, diag::Engine &diags) : texts(texts), sources(sources), diags(diags), spec(std::make_unique<Spec>()) {}

  std::unique_ptr<Spec> run(const std::vector<InputOverride> &overrides) {
    for (const auto &[module, file] : texts.library())
      spec->files.push_back(file);
    spec->mainFile = spec->files.size();
    spec->files.insert(spec->files.end(), texts.own().begin(), texts.own().end());
    for (const FilePtr &file : spec->files)
      fillScope(*file);
    collect(overrides);
    return std::move(spec);
  }

private:
  template <typename T> void declare(std::map<std::string, const T *> &table, const Stmt &stmt, bool own) {
    auto *decl = stmt.as<T>();
    if (!decl)
      return;
    auto [it, inserted] = table.insert({decl->name.text, decl});
    if (inserted || it->second == decl)
      return;
    if (own && it->second->range.file == decl->range.file)
      diags.report(Kind::E0202, decl->name.range, {decl->name.text}).label(it->second->name.range, "first declared here");
    else if (own)
      it->second = decl; // one's own shadows the library's
  }
  void declareAll(Scope &scope, const Stmt &stmt, bool own) {
    declare(scope.fns, stmt, own);
    declare(scope.methods, stmt, own);
    declare(scope.archs, stmt, own);
    declare(scope.modules, stmt, own);
    declare(scope.optimizers, stmt, own);
    declare(scope.schedules, stmt, own);
    declare(scope.tasks, stmt, own);
    declare(scope.kinds, stmt, own);
  }

  void declareAll(Scope &scope, const File &file, bool own) {
    for (const StmtPtr &stmt : file.statements)
      declareAll(scope, *stmt, own);
  }

  void fillScope(const File &file) {
    Scope &scope = spec->scopes[file.source];
    if (auto it = texts.library().find(sema::kPrelude); it != texts.library().end())
      declareAll(scope, *it->second, false);
    for (const auto &[name, text] : texts.library())
      if (name != sema::kPrelude && !name.starts_with("methods."))
        for (const StmtPtr &stmt : text->statements)
          if (stmt->as<ArchStmt>() || stmt->as<OptimizerStmt>() || stmt->as<ScheduleStmt>() || stmt->as<TaskStmt>() || text->source == file.source)
            declareAll(scope, *stmt, false);
    for (const StmtPtr &stmt : file.statements)
      if (auto *use = stmt->as<UseStmt>())
        import(*use, scope);
    declareAll(scope, file, true);
  }

  void import(const UseStmt &use, Scope &scope) {
    if (use.file) {
      const FilePtr file = texts.used(use);
      scope.open |= !file;
      if (file)
        declareAll(scope, *file, false);
      return;
    }
    // `peft.methods.{a, b}` or `peft.methods.a`: a file of the library, or a folder of files named as what they declare.
    const sema::Used used(use);
    std::vector<std::string> known;
    for (const auto &[module, file] : texts.library())
      if (used.covers(module))
        for (const StmtPtr &stmt : file->statements)
          if (auto *declared = declaration(*stmt))
            known.push_back(declared->name.text);
    if (known.empty()) {
      for (const Ident &name : used.names)
        scope.missing.insert(name.text);
      reportNoModule(use);
      return;
    }
    for (const Ident &name : used.names)
      if (!importOne(name, used, scope)) {
        scope.missing.insert(name.text);
        auto report = diags.report(Kind::E0204, name.range, {"peft." + used.path, name.text});
        if (auto better = diag::suggest(name.text, known)) {
          report.help("there is `" + *better + "`");
          report.fixit(name.range, *better);
        }
      }
  }
  bool importOne(const Ident &name, const sema::Used &used, Scope &scope) {
    bool found = false;
    for (const auto &[module, file] : texts.library())
      if (used.covers(module))
        for (const StmtPtr &stmt : file->statements)
          if (auto *declared = declaration(*stmt); declared && declared->name.text == name.text) {
            declareAll(scope, *stmt, false);
            found = true;
          }
    return found;
  }
  /// A folder has many declarations: `use` says which. Otherwise the module that was meant.
  void reportNoModule(const UseStmt &use) {
    std::string whole;
    for (const Ident &part : use.path)
      whole += (whole.empty() ? "" : ".") + part.text;
    const std::string inside = whole.starts_with("peft.") ? whole.substr(5) : "";
    std::vector<std::string> names;
    bool folder = false;
    for (const auto &[name, file] : texts.library()) {
      folder |= !inside.empty() && (name == inside || name.starts_with(inside + "."));
      names.push_back("peft." + name.substr(0, name.find('.')));
    }
    if (folder) {
      diags.report(Kind::E0203, use.range, {whole}).here("this has many declarations").help("`use " + whole + ".{…}` names those that are wanted");
      return;
    }
    const std::string module = use.names.empty() && use.path.size() > 1 ? whole.substr(0, whole.rfind('.')) : whole;
    auto report = diags.report(Kind::E0203, use.path.back().range, {module});
    if (auto better = diag::suggest(module, names))
      report.help("there is `" + *better + "`");
  }
  static const Declaration *declaration(const Stmt &stmt) { return dynamic_cast<const Declaration *>(&stmt); }

  template <typename T> bool once(const Stmt &stmt, const T *&slot, const char *what) {
    auto *typed = stmt.as<T>();
    if (!typed)
      return false;
    if (slot)
      diags.report(Kind::E0206, stmt.range, {what}).label(slot->range, "first said here");
    else
      slot = typed;
    return true;
  }

  void collect(const std::vector<InputOverride> &overrides) {
    const File &main = spec->main();
    std::vector<std::string> inputs;
    for (const StmtPtr &owned : main.statements) {
      const Stmt &stmt = *owned;
      if (auto *input = stmt.as<SpecInputStmt>()) {
        inputs.push_back(input->parameter.name.text);
        spec->inputs[input->parameter.name.text] = input->parameter.defaultValue.get();
      } else if (auto *let = stmt.as<LetStmt>()) {
        spec->lets.push_back(let);
      } else if (auto *param = stmt.as<ParamStmt>()) {
        spec->params.push_back(param);
      } else if (stmt.as<AttachStmt>() || stmt.as<TrainStmt>()) {
        spec->attachments.push_back(&stmt);
      } else if (auto *run = stmt.as<RunStmt>()) {
        spec->runs.push_back(run);
      } else if (auto *budget = stmt.as<BudgetStmt>()) {
        spec->budgets.push_back(budget);
      } else if (!once(stmt, spec->model, "model") && !once(stmt, spec->task, "task")) {
        once(stmt, spec->optimize, "optimize");
      }
    }
    std::set<std::string> given;
    for (const InputOverride &override : overrides) {
      if (std::find(inputs.begin(), inputs.end(), override.name) == inputs.end()) {
        auto report = diags.report(Kind::E0205, Range{}, {override.name});
        if (auto better = diag::suggest(override.name, inputs))
          report.help("there is `" + *better + "`");
        continue;
      }
      int32_t id = sources.add("--set " + override.name, override.text);
      spec->scopes[id] = spec->scopes[main.source];
      spec->overrides.push_back(parseExpression(sources, id, diags));
      spec->inputs[override.name] = spec->overrides.back().get();
      given.insert(override.name);
    }
    for (const auto &[name, value] : spec->inputs)
      if (!value && !given.count(name)) // else what was given is no expression, which is said
        diags.report(Kind::E0208, Range{}, {name}).help("`--set " + name + "=…` gives it one");
  }

  const Texts &texts;
  SourceMap &sources;
  diag::Engine &diags;
  std::unique_ptr<Spec> spec;
};

/// What is read so far, in tables, with all that is wrong with it. Where choices are made, the program's text with them is `chosen`, and nothing more is checked.
std::unique_ptr<Spec> checked(const Texts &texts, SourceMap &sources, const std::vector<InputOverride> &overrides, const std::vector<MadeChoice> &choices,
                              diag::Engine &diags, std::optional<std::string> &chosen) {
  auto spec = Resolver(texts, sources, diags).run(overrides);
  if (!texts.readable())
    return spec;
  const size_t before = diags.all().size();
  Space space = sema::spaceOf(*spec, diags);
  if (diags.all().size() > before || (diags.hasErrors() && !space.choices.empty()))
    return spec; // what would be chosen from is not known
  if (!sema::checkChoices(space, choices, diags))
    return spec;
  if (!choices.empty()) {
    chosen = sema::withChoices(space, sources.file(spec->main().source).text(), choices);
    spec->space = std::move(space);
    return spec;
  }
  sema::checkNames(*spec, diags);
  sema::checkPoints(*spec, diags);
  sema::checkGradients(*spec, diags);
  if (!diags.hasErrors())
    sema::checkShapes(*spec, diags);
  if (!diags.hasErrors())
    sema::checkConstants(*spec, diags);
  return spec;
}

bool namesNetwork(const File &file) {
  return std::any_of(file.statements.begin(), file.statements.end(), [](const StmtPtr &stmt) { return stmt->as<ModelStmt>(); });
}
} // namespace

std::unique_ptr<Spec> check(SourceMap &sources, const std::string &mainPath, Library &stdlib, const std::vector<InputOverride> &overrides,
                            diag::Engine &diags, const FileLoader &load, const std::vector<MadeChoice> &choices) {
  Texts texts(sources, stdlib, load, diags);
  if (!texts.read(mainPath))
    return std::make_unique<Spec>();
  std::unique_ptr<Spec> spec;
  std::optional<std::string> chosen;
  if (diags.all().empty() && namesNetwork(*texts.own().front())) {
    texts.reach(overrides);
    diag::Engine trial(sources);
    spec = checked(texts, sources, overrides, choices, trial, chosen);
    if (!diags.all().empty() || !trial.all().empty())
      spec.reset(), chosen.reset();
  }
  if (!spec) {
    texts.readLibrary();
    spec = checked(texts, sources, overrides, choices, diags, chosen);
  }
  if (!chosen)
    return spec;
  Space space = std::move(spec->space);
  sources = SourceMap(); // none of its texts is spoken of
  spec = check(sources, mainPath, stdlib, overrides, diags, [&](const std::string &path) { return path == mainPath ? chosen : load(path); });
  spec->space = std::move(space);
  return spec;
}

std::unique_ptr<Spec> readSpace(SourceMap &sources, const std::string &mainPath, Library &stdlib, const std::vector<InputOverride> &overrides,
                                diag::Engine &diags, const FileLoader &load) {
  Texts texts(sources, stdlib, load, diags);
  if (!texts.read(mainPath))
    return std::make_unique<Spec>();
  texts.readLibrary();
  auto spec = Resolver(texts, sources, diags).run(overrides);
  if (texts.readable())
    spec->space = sema::spaceOf(*spec, diags);
  return spec;
}

} // namespace peftc
