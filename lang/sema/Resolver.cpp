// Resolver: reads every file that a program needs, fills the tables of declarations, and orders the program's statements.
//
// Visible in every file: its own declarations, the prelude's, what it `use`s, and every arch, optimizer, schedule and task of
// the standard library. Methods are named by `use peft.methods.{…}`.
// Errs   E0201 cannot read, E0202 declared twice, E0203 no such module, E0204 no such declaration in it, E0205 no such input,
//        E0206 said twice, E0207 what a program lacks
#include "lang/diag/Suggest.h"
#include "lang/sema/Check.h"
#include "lang/sema/Constants.h"
#include "lang/sema/Names.h"
#include "lang/sema/Points.h"
#include "lang/sema/Shapes.h"
#include "lang/sema/Space.h"
#include "lang/syntax/Parse.h"
#include <algorithm>
#include <filesystem>

namespace peftc {
namespace {
using namespace ast;
using diag::Kind;

class Resolver {
public:
  Resolver(SourceMap &sources, const std::vector<StdlibFile> &stdlib, diag::Engine &diags, const FileLoader &load)
      : sources(sources), stdlib(stdlib), diags(diags), load(load), spec(std::make_unique<Spec>()) {}

  bool readable = false; ///< after `run`: nothing of a text was misread, which would mislead all checks behind it

  std::unique_ptr<Spec> run(const std::string &mainPath, const std::vector<InputOverride> &overrides) {
    auto text = load(mainPath);
    if (!text) {
      diags.report(Kind::E0201, Range{}, {mainPath, "there is no such text"});
      return std::move(spec);
    }
    for (const StdlibFile &file : stdlib)
      modules[moduleName(file.name)] = parseInto("<stdlib>/" + file.name, file.text);
    spec->mainFile = parseInto(mainPath, *text);
    mainFolder = std::filesystem::path(mainPath).parent_path();
    userFiles[(mainFolder / std::filesystem::path(mainPath).filename()).lexically_normal()] = spec->mainFile; // a text may `use` itself
    for (size_t i = 0; i < spec->files.size(); ++i) // grows while files are used
      loadUses(i);
    readable = std::none_of(diags.all().begin(), diags.all().end(), [](const diag::Diagnostic &slip) { return std::string_view(diag::code(slip.kind)).starts_with("E01"); });
    for (size_t i = 0; i < spec->files.size(); ++i)
      fillScope(i);
    collect(overrides);
    return std::move(spec);
  }

private:
  /// "methods/lora.peft" -> "methods.lora"
  static std::string moduleName(std::string name) {
    if (name.size() > 5 && name.ends_with(".peft"))
      name.resize(name.size() - 5);
    std::replace(name.begin(), name.end(), '/', '.');
    return name;
  }
  size_t parseInto(const std::string &name, const std::string &text) {
    int32_t id = sources.add(name, text);
    spec->files.push_back(parse(sources, id, diags));
    return spec->files.size() - 1;
  }

  void loadUses(size_t index) {
    std::vector<std::pair<std::string, std::string>> found;
    for (const StmtPtr &stmt : spec->files[index].statements)
      if (auto *use = stmt->as<UseStmt>(); use && use->file) {
        const std::string path = pathOf(*use);
        if (userFiles.count(path))
          continue;
        if (auto text = load(path)) {
          userFiles[path] = 0;
          found.emplace_back(path, *text);
        } else {
          diags.report(Kind::E0201, use->range, {*use->file, "there is no text at `" + path + "`"});
        }
      }
    for (const auto &[path, text] : found) {
      userFiles[path] = parseInto(path, text);
      for (const StmtPtr &stmt : spec->files[userFiles[path]].statements)
        if (!declaration(*stmt) && !stmt->as<UseStmt>())
          reportNoDeclaration(*stmt);
    }
  }
  /// What a program does is said by itself: a text that it uses only declares.
  void reportNoDeclaration(const Stmt &stmt) {
    const std::string_view text = sources.text(stmt.range);
    diags.report(Kind::E0199, stmt.range, {std::string(text.substr(0, text.find(' '))) + " in a text that is used"}).help("the program itself may say it");
  }
  std::string pathOf(const UseStmt &use) const { return (mainFolder / *use.file).lexically_normal(); }

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
  void declareAll(Scope &scope, const Stmt &stmt, bool own, bool withMethods = true) {
    declare(scope.fns, stmt, own);
    if (withMethods)
      declare(scope.methods, stmt, own);
    declare(scope.archs, stmt, own);
    declare(scope.modules, stmt, own);
    declare(scope.optimizers, stmt, own);
    declare(scope.schedules, stmt, own);
    declare(scope.tasks, stmt, own);
    declare(scope.kinds, stmt, own);
  }

  void fillScope(size_t index) {
    const File &file = spec->files[index];
    Scope &scope = spec->scopes[file.source];
    if (auto it = modules.find("prelude"); it != modules.end())
      for (const StmtPtr &stmt : spec->files[it->second].statements)
        declareAll(scope, *stmt, false);
    for (const auto &[name, at] : modules)
      if (name != "prelude" && !name.starts_with("methods."))
        for (const StmtPtr &stmt : spec->files[at].statements)
          if (stmt->as<ArchStmt>() || stmt->as<OptimizerStmt>() || stmt->as<ScheduleStmt>() || stmt->as<TaskStmt>() || at == index)
            declareAll(scope, *stmt, false);
    for (const StmtPtr &stmt : file.statements)
      if (auto *use = stmt->as<UseStmt>())
        import(*use, scope);
    for (const StmtPtr &stmt : file.statements)
      declareAll(scope, *stmt, true);
  }

  void import(const UseStmt &use, Scope &scope) {
    if (use.file) {
      auto it = userFiles.find(pathOf(use));
      scope.open |= it == userFiles.end();
      if (it != userFiles.end() && it->second)
        for (const StmtPtr &stmt : spec->files[it->second].statements)
          declareAll(scope, *stmt, false);
      return;
    }
    // `peft.methods.{a, b}` or `peft.methods.a`: a file of the library, or a folder of files named as what they declare.
    std::string path;
    size_t last = use.path.size() - (use.names.empty() ? 1 : 0);
    for (size_t i = 0; i < last; ++i)
      if (!(i == 0 && use.path[i].text == "peft"))
        path += (path.empty() ? "" : ".") + use.path[i].text;
    std::vector<Ident> names = use.names;
    if (names.empty())
      names.push_back(use.path.back());
    std::vector<std::string> known;
    for (const auto &[name, at] : modules)
      if (name.starts_with(path + ".") || name == path)
        for (const StmtPtr &stmt : spec->files[at].statements)
          if (auto *declared = declaration(*stmt))
            known.push_back(declared->name.text);
    if (known.empty()) {
      for (const Ident &name : names)
        scope.missing.insert(name.text);
      reportNoModule(use);
      return;
    }
    for (const Ident &name : names) {
      bool found = false;
      for (const auto &[module, at] : modules)
        if (module.starts_with(path + ".") || module == path)
          for (const StmtPtr &stmt : spec->files[at].statements)
            if (auto *declared = declaration(*stmt); declared && declared->name.text == name.text) {
              declareAll(scope, *stmt, false);
              found = true;
            }
      if (found)
        continue;
      scope.missing.insert(name.text);
      auto report = diags.report(Kind::E0204, name.range, {"peft." + path, name.text});
      if (auto better = diag::suggest(name.text, known)) {
        report.help("there is `" + *better + "`");
        report.fixit(name.range, *better);
      }
    }
  }
  /// A folder has many declarations: `use` says which. Otherwise the module that was meant.
  void reportNoModule(const UseStmt &use) {
    std::string whole;
    for (const Ident &part : use.path)
      whole += (whole.empty() ? "" : ".") + part.text;
    const std::string inside = whole.starts_with("peft.") ? whole.substr(5) : "";
    std::vector<std::string> names;
    bool folder = false;
    for (const auto &[name, at] : modules) {
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
    const File &main = spec->files[spec->mainFile];
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

  SourceMap &sources;
  const std::vector<StdlibFile> &stdlib;
  diag::Engine &diags;
  const FileLoader &load;
  std::unique_ptr<Spec> spec;
  std::map<std::string, size_t> modules;   ///< "methods.lora" -> index in spec->files
  std::map<std::string, size_t> userFiles; ///< path of `use "path"` from here -> index
  std::filesystem::path mainFolder;
};
} // namespace

std::unique_ptr<Spec> check(SourceMap &sources, const std::string &mainPath, const std::vector<StdlibFile> &stdlib,
                            const std::vector<InputOverride> &overrides, diag::Engine &diags, const FileLoader &load,
                            const std::vector<MadeChoice> &choices) {
  Resolver resolver(sources, stdlib, diags, load);
  auto spec = resolver.run(mainPath, overrides);
  if (!resolver.readable)
    return spec;
  const size_t before = diags.all().size();
  Space space = sema::spaceOf(*spec, diags);
  if (diags.all().size() > before || (diags.hasErrors() && !space.choices.empty()))
    return spec; // what would be chosen from is not known
  if (!sema::checkChoices(space, choices, diags))
    return spec;
  if (!choices.empty()) {
    const std::string chosen = sema::withChoices(space, sources.file(spec->files[spec->mainFile].source).text(), choices);
    sources = SourceMap(); // none of its texts is spoken of
    spec = check(sources, mainPath, stdlib, overrides, diags, [&](const std::string &path) { return path == mainPath ? std::optional(chosen) : load(path); });
    spec->space = std::move(space);
    return spec;
  }
  sema::checkNames(*spec, diags);
  sema::checkPoints(*spec, diags);
  if (!diags.hasErrors())
    sema::checkShapes(*spec, diags);
  if (!diags.hasErrors())
    sema::checkConstants(*spec, diags);
  return spec;
}

std::unique_ptr<Spec> readSpace(SourceMap &sources, const std::string &mainPath, const std::vector<StdlibFile> &stdlib,
                                const std::vector<InputOverride> &overrides, diag::Engine &diags, const FileLoader &load) {
  Resolver resolver(sources, stdlib, diags, load);
  auto spec = resolver.run(mainPath, overrides);
  if (resolver.readable)
    spec->space = sema::spaceOf(*spec, diags);
  return spec;
}

} // namespace peftc
