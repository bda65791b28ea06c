// Reads: which names of a body an expression certainly reads, through its `let`s.
//
// Of an `if` only what both branches read counts: which one is taken may hang on an argument.
#pragma once
#include "lang/ast/Ast.h"
#include <map>
#include <set>
#include <string>

namespace peftc::sema {

/// What a name stands for at a place: the names that its value came from, each with where it was read.
using ReadSet = std::map<std::string, Range>;

class Reads {
public:
  /// Calls of these are calls of modules, not reads of a point of the same name.
  explicit Reads(const std::set<std::string> &modules) : modules_(&modules) {}
  /// At the beginning of a method's clause: its arguments read nothing.
  Reads(const std::set<std::string> &modules, const ast::MethodStmt &method) : Reads(modules) {
    for (const ast::Parameter &param : method.params)
      hide(param.name.text);
  }

  ReadSet of(const ast::Expr &expr) const;
  /// From here on `name` is what `expr` gives, whose reads are its own.
  void bind(const std::string &name, const ast::Expr &expr) { bound_[name] = of(expr); }
  /// `name` reads nothing: an argument, a variable.
  void hide(const std::string &name) { bound_[name] = {}; }
  /// After an `if`: names mean what both branches agree on.
  static Reads meet(const Reads &a, const Reads &b);

private:
  void add(ReadSet &out, const ast::Expr &expr) const;

  const std::set<std::string> *modules_;
  std::map<std::string, ReadSet> bound_;
};

} // namespace peftc::sema
