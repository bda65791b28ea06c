// NameScope: see the header.
#include "lang/sema/NameScope.h"
#include <algorithm>
#include <sstream>

namespace peftc::sema {
using namespace ast;

static constexpr bool Built = true, Later = false;
static const Builtin kBuiltins[] = {
#define PEFT_BUILTIN(NAME, ARGUMENTS, STATE, DOC) {NAME, ARGUMENTS, STATE},
#include "lang/sema/Builtins.def"
#undef PEFT_BUILTIN
};

const Builtin *findBuiltin(const std::string &name) {
  for (const Builtin &builtin : kBuiltins)
    if (name == builtin.name)
      return &builtin;
  return nullptr;
}

Network::Network(const Spec &spec) {
  for (const FilePtr &file : spec.files)
    for (const StmtPtr &stmt : file->statements)
      if (auto *arch = stmt->as<ArchStmt>()) {
        rootNames.insert("cfg");
        for (const Ident &kind : arch->kinds)
          rootKinds.insert(kind.text);
        gather(arch->body, true);
      } else if (auto *task = stmt->as<TaskStmt>()) {
        for (const Parameter &param : task->params)
          rootNames.insert(param.name.text);
        gather(task->body, true);
      } else if (auto *module = stmt->as<ModuleDeclStmt>()) {
        gather(module->body, false);
      }
}

void Network::gather(const Block &body, bool root) {
  for (const StmtPtr &stmt : body) {
    std::vector<std::string> names;
    if (auto *module = stmt->as<ModuleStmt>()) {
      for (const Ident &name : module->names) {
        names.push_back(name.text);
        children.insert(name.text);
      }
      gather(module->body, false);
    } else if (auto *declared = stmt->as<ModuleDeclStmt>()) {
      modules.insert(declared->name.text);
      gather(declared->body, false);
    } else if (auto *choice = stmt->as<IfStmt>()) {
      gather(choice->thenBody, root);
      gather(choice->elseBody, root);
    } else if (auto *weight = stmt->as<WeightStmt>()) {
      names.push_back(weight->name.text);
      weights.insert(weight->name.text);
    } else if (auto *let = stmt->as<LetStmt>()) {
      for (const Ident &name : let->names)
        names.push_back(name.text);
    } else if (auto *bind = stmt->as<BindStmt>()) {
      names.push_back(bind->name.text);
    } else if (auto *input = stmt->as<InputStmt>()) {
      names.push_back(input->name.text);
    } else if (auto *row = stmt->as<RowStmt>()) {
      names.push_back(row->name.text);
    } else if (auto *dim = stmt->as<DimStmt>()) {
      names.push_back(dim->name.text);
    }
    if (root)
      rootNames.insert(names.begin(), names.end());
    if (root && (stmt->as<BindStmt>() || stmt->as<InputStmt>() || stmt->as<WeightStmt>() || stmt->as<RowStmt>()))
      rootPoints.insert(names.begin(), names.end());
  }
}

void Visible::add(const KindDeclStmt &kind) {
  for (const Ident &dim : kind.dims)
    names_.insert(dim.text);
  for (const KindPoint &point : kind.points)
    names_.insert(point.name.text);
}

void Visible::enterSite(const Network &network) {
  network_ = &network;
  add({"site", "layer"});
}

bool Visible::hasLocal(const std::string &name) const {
  if (names_.count(name))
    return true;
  if (!network_)
    return false;
  return network_->children.count(name) || (name.ends_with('0') && network_->weights.count(name.substr(0, name.size() - 1)));
}

bool Visible::has(const std::string &name) const {
  return hasLocal(name) || name == "run" || name == "training" || scope_->fns.count(name) || scope_->methods.count(name) || findBuiltin(name);
}

std::vector<std::string> Visible::candidates() const {
  std::vector<std::string> all(names_.begin(), names_.end());
  for (const auto &[name, fn] : scope_->fns)
    all.push_back(name);
  for (const auto &[name, method] : scope_->methods)
    all.push_back(name);
  for (const Builtin &builtin : kBuiltins)
    if (builtin.built)
      all.push_back(builtin.name);
  all.insert(all.end(), {"run", "training"});
  if (network_)
    all.insert(all.end(), network_->children.begin(), network_->children.end());
  return all;
}

std::vector<std::string> Visible::parameterNames(const std::string &callee) const {
  std::vector<std::string> names;
  if (hasLocal(callee))
    return names;
  const Declaration *decl = nullptr;
  if (auto it = scope_->fns.find(callee); it != scope_->fns.end())
    decl = it->second;
  else if (auto method = scope_->methods.find(callee); method != scope_->methods.end() && !findBuiltin(callee))
    decl = method->second;
  if (decl)
    for (const Parameter &param : decl->params)
      names.push_back(param.name.text);
  else if (const Builtin *builtin = findBuiltin(callee)) {
    std::istringstream words(builtin->arguments);
    for (std::string word; words >> word;)
      if (!word.ends_with(':'))
        names.push_back(word.ends_with('?') ? word.substr(0, word.size() - 1) : word);
  }
  return names;
}

std::string moduleOf(const Spec &spec, const SourceMap &sources, const std::string &method) {
  const std::string library = "<stdlib>/methods/";
  for (const FilePtr &file : spec.files)
    for (const StmtPtr &stmt : file->statements)
      if (auto *decl = stmt->as<MethodStmt>(); decl && decl->name.text == method)
        if (sources.file(file->source).name().starts_with(library))
          return "peft.methods.{" + method + "}";
  return "";
}

} // namespace peftc::sema
