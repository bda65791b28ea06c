// BodyNames: every name in the body of a declaration, or in an expression, means something that is visible there.
//
// Errs   E0356 nothing is called so, E0199 a function that is not built yet, E0206 a field said twice, E0212 files of unknown software; of calls: Arguments.h
#pragma once
#include "lang/sema/Arguments.h"

namespace peftc::sema {

class BodyNames {
public:
  BodyNames(const Spec &spec, diag::Engine &diags) : spec(spec), diags(diags) {}

  void block(const ast::Block &body, Visible &scope);
  void let(const ast::LetStmt &stmt, Visible &scope);
  void expr(const ast::Expr &value, Visible &scope);
  /// Kinds of sites by name.
  void kinds(const std::vector<ast::Ident> &names, const Visible &scope);
  void parameters(const std::vector<ast::Parameter> &params, Visible &scope);
  void typeName(const ast::TypeExpr &type, const Visible &scope);
  /// `attach lora to …`: a method that is named without a call is given nothing.
  void method(const ast::Expr &use, Visible &scope);
  void selector(const ast::Selector &selector, Visible &scope);
  /// The axis of a call may be said by its name in the shape, which is no value.
  void arguments(const std::vector<ast::Argument> &args, const std::vector<std::string> &names, Visible &scope);
  void unknown(const std::string &name, Range range, const std::vector<std::string> &known, const Visible &scope);
  /// `adamw`, `adamw(…)`: one of a table of declarations, and its arguments.
  template <typename T> void choice(const ast::Expr &use, const std::map<std::string, T> &table, Visible &top) {
    auto *call = use.as<ast::CallExpr>();
    const ast::Expr &callee = call ? *call->callee : use;
    auto *name = callee.as<ast::NameExpr>();
    if (!name)
      diags.report(diag::Kind::E0356, use.range, {std::string(diags.sources().text(use.range))});
    if (name && !table.count(name->name)) {
      std::vector<std::string> known;
      for (const auto &[key, value] : table)
        known.push_back(key);
      unknown(name->name, name->range, known, top);
    }
    if (call)
      arguments(call->args, {}, top);
    static const std::vector<ast::Argument> none;
    if (name && table.count(name->name))
      checkArguments(signatureOf(*table.at(name->name)), call ? call->args : none, name->range, top, diags);
  }

protected:
  const Spec &spec;
  diag::Engine &diags;
  std::set<std::string> runReads; ///< options of `run` that somebody asks for

private:
  void type(const std::unique_ptr<ast::TypeExpr> &type, Visible &scope);
  void optional(const ast::ExprPtr &value, Visible &scope);
  void param(const ast::ParamStmt &stmt, Visible &scope);
  void sharing(const ast::Ident &kind, Visible &scope);
  void statement(const ast::Stmt &stmt, Visible &scope);
  void attach(const ast::AttachStmt &stmt, Visible &scope);
  void event(const ast::Stmt &stmt, Visible &scope);
  void interop(const ast::InteropStmt &stmt, Visible &scope);
  void row(const ast::RowStmt &stmt, Visible &scope);
  void sample(const ast::Expr &distribution, Visible &scope);
  void module(const ast::ModuleStmt &stmt, Visible &scope);
  void checkpointName(const std::optional<ast::CheckpointName> &name, Visible &scope);
  void constructor(const ast::Expr &use, Visible &scope);
  void declaration(const ast::ModuleDeclStmt &stmt, Visible &scope);
  static bool isAxisWord(const std::string &parameter, const ast::Expr &value);
  void path(const std::vector<ast::SelectorPart> &parts, Visible &scope);
  void call(const ast::CallExpr &call, Visible &scope);
  void name(const ast::NameExpr &expr, Visible &scope);
};

} // namespace peftc::sema
