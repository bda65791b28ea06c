// Spec: a checked program, what `lang` hands to the compiler.
//
// All texts are parsed, every `use` is resolved, names, types, symbolic shapes, kinds and scopes are checked; the
// values of `input`s are bound. What depends on a checkpoint (dims, layers, selectors) is not known here.
// Declarations live in one table per class, so `linear` may be a fn, a module, a kind and a schedule.
#pragma once
#include "lang/ast/Ast.h"
#include "lang/spec/Space.h"
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

namespace peftc {

/// Visible declarations by name, one table a class of declaration.
struct Scope {
  std::map<std::string, const ast::FnStmt *> fns;
  std::map<std::string, const ast::MethodStmt *> methods;
  std::map<std::string, const ast::ArchStmt *> archs;
  std::map<std::string, const ast::ModuleDeclStmt *> modules;
  std::map<std::string, const ast::OptimizerStmt *> optimizers;
  std::map<std::string, const ast::ScheduleStmt *> schedules;
  std::map<std::string, const ast::TaskStmt *> tasks;
  std::map<std::string, const ast::KindDeclStmt *> kinds;
  std::set<std::string> missing; ///< names of a `use` that gave nothing: one message was enough
  bool open = false;             ///< a text that is used could not be read: it may declare anything
  bool mayHold(const std::string &name) const { return open || missing.count(name); }
};

/// A value given on the command line: `--set r=16`, as text; it is parsed as an expression.
struct InputOverride {
  std::string name;
  std::string text;
};

/// A text of the library is shared by all programs that read it.
using FilePtr = std::shared_ptr<const ast::File>;

struct Spec {
  std::vector<FilePtr> files;               ///< own all syntax
  size_t mainFile = 0;                      ///< of the user's
  std::map<int32_t, Scope> scopes;          ///< by source index: what that file sees (prelude included)
  std::vector<ast::ExprPtr> overrides;      ///< owns expressions from the command line

  // The statements of the user's file, in textual order.
  std::map<std::string, const ast::Expr *> inputs; ///< name -> value (default or override)
  std::vector<const ast::LetStmt *> lets;
  std::vector<const ast::ParamStmt *> params;      ///< parameters shared by several attaches
  const ast::ModelStmt *model = nullptr;
  const ast::TaskUseStmt *task = nullptr;
  std::vector<const ast::Stmt *> attachments;      ///< AttachStmt and TrainStmt, in order
  const ast::OptimizeStmt *optimize = nullptr;
  std::vector<const ast::RunStmt *> runs;
  std::vector<const ast::BudgetStmt *> budgets;

  Space space;                                     ///< of the program as it is written; its choices are made in all else

  const ast::File &main() const { return *files[mainFile]; }
  const Scope &scopeOf(Range range) const { return scopes.at(range.file); }
};

} // namespace peftc
