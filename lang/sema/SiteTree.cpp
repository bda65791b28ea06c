// SiteTree: see the header.
#include "lang/sema/SiteTree.h"

namespace peftc::sema {
namespace {
using namespace ast;

class Build {
public:
  explicit Build(const Spec &spec) : spec(spec) {}

  void body(const Block &statements, Place &place, bool sure) {
    for (const StmtPtr &stmt : statements)
      if (auto *weight = stmt->as<WeightStmt>()) {
        place.weights.push_back(weight->name.text);
      } else if (auto *module = stmt->as<ModuleStmt>()) {
        child(*module, place, sure);
      } else if (auto *declared = stmt->as<ModuleDeclStmt>()) {
        own[declared->name.text] = declared;
      } else if (auto *choice = stmt->as<IfStmt>()) {
        body(choice->thenBody, place, false);
        body(choice->elseBody, place, false);
      } else if (auto *bind = stmt->as<BindStmt>()) {
        place.points.insert(bind->name.text);
      } else if (auto *input = stmt->as<InputStmt>()) {
        place.points.insert(input->name.text);
      } else if (stmt->as<ForStmt>()) {
        place.open = true;
      }
  }

private:
  void child(const ModuleStmt &stmt, Place &place, bool sure) {
    for (const Ident &name : stmt.names) {
      auto made = std::make_unique<Place>();
      made->name = name.text;
      made->sure = sure && !stmt.optional;
      kindsOf(stmt.kinds, *made);
      if (stmt.constructor)
        construct(*stmt.constructor, *made);
      ++depth;
      body(stmt.body, *made, true);
      --depth;
      place.children.push_back(std::move(made));
    }
  }

  void construct(const Expr &constructor, Place &place) {
    auto *call = constructor.as<CallExpr>();
    auto *name = (call ? *call->callee : constructor).as<NameExpr>();
    const ModuleDeclStmt *declared = name ? declaration(name->name, spec.scopeOf(constructor.range)) : nullptr;
    if (!declared || depth > 16) {
      place.open = true;
      return;
    }
    kindsOf(declared->kinds, place);
    ++depth;
    body(declared->body, place, true);
    --depth;
  }

  const ModuleDeclStmt *declaration(const std::string &name, const Scope &scope) const {
    if (auto it = own.find(name); it != own.end())
      return it->second;
    auto it = scope.modules.find(name);
    return it == scope.modules.end() ? nullptr : it->second;
  }

  static void kindsOf(const std::vector<Ident> &kinds, Place &place) {
    for (const Ident &kind : kinds)
      place.kinds.push_back(kind.text);
  }

  const Spec &spec;
  std::map<std::string, const ModuleDeclStmt *> own; ///< that the arch declares
  int depth = 0;
};

/// The declaration that `bert`, `bert(…)` names.
template <typename T> T declared(const Expr &use, const std::map<std::string, T> &table) {
  auto *call = use.as<CallExpr>();
  auto *name = (call ? *call->callee : use).as<NameExpr>();
  auto it = name ? table.find(name->name) : table.end();
  return it == table.end() ? nullptr : it->second;
}
} // namespace

std::unique_ptr<Place> siteTree(const Spec &spec) {
  if (!spec.model)
    return nullptr;
  auto *arch = declared(*spec.model->arch, spec.scopeOf(spec.model->range).archs);
  if (!arch)
    return nullptr;
  auto root = std::make_unique<Place>();
  root->name = arch->name.text;
  for (const Ident &kind : arch->kinds)
    root->kinds.push_back(kind.text);
  Build build(spec);
  build.body(arch->body, *root, true);
  auto *task = spec.task ? declared(*spec.task->task, spec.scopeOf(spec.task->range).tasks) : nullptr;
  if (task)
    build.body(task->body, *root, true);
  else
    root->open = true;
  return root;
}

} // namespace peftc::sema
