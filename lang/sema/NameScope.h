// NameScope: which names are visible at a place, and what the networks of a program may hold.
#pragma once
#include "lang/diag/Suggest.h"
#include "lang/spec/Spec.h"
#include <initializer_list>
#include <set>

namespace peftc::sema {

/// A row of Builtins.def.
struct Builtin {
  const char *name;
  const char *arguments;
  bool built;
};
const Builtin *findBuiltin(const std::string &name);

/// Names of modules, weights and points in any arch and task: a method may be attached in each of them, so each may be meant.
struct Network {
  explicit Network(const Spec &spec);
  std::set<std::string> children, weights, rootNames, rootPoints, rootKinds; ///< root: of archs and their tasks
  std::set<std::string> modules; ///< declared within an arch, for its tasks

private:
  void gather(const ast::Block &body, bool root);
};

/// The names visible at a place; copied where a scope opens.
class Visible {
public:
  explicit Visible(const Scope &declared) : scope_(&declared) {}
  void add(const std::string &name) { names_.insert(name); }
  void add(const std::set<std::string> &names) { names_.insert(names.begin(), names.end()); }
  void add(std::initializer_list<const char *> names) { names_.insert(names.begin(), names.end()); }
  void addModules(const std::set<std::string> &modules) { modules_.insert(modules.begin(), modules.end()); }
  bool hasModule(const std::string &name) const { return modules_.count(name) > 0; }
  /// Points and dims of a method's site; a weight `W` also as `W0`, without what was attached before.
  void add(const ast::KindDeclStmt &kind);
  /// Within a method: the site's modules are visible.
  void enterSite(const Network &network);

  bool hasLocal(const std::string &name) const;
  bool has(const std::string &name) const;
  const Scope &declared() const { return *scope_; }
  /// Everything that `has` holds for and a user may have meant.
  std::vector<std::string> candidates() const;
  /// Of a fn, method or builtin that is called by this name: its arguments in order.
  std::vector<std::string> parameterNames(const std::string &callee) const;

private:
  const Scope *scope_;
  const Network *network_ = nullptr;
  std::set<std::string> names_;
  std::set<std::string> modules_; ///< that an arch declares
};

/// `peft.methods.{lora}` for a method of the library, "" for other names.
std::string moduleOf(const Spec &spec, const SourceMap &sources, const std::string &method);

} // namespace peftc::sema
