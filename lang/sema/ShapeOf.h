// ShapeOf: the shape of an expression, and what does not fit in it. Functions are followed into their bodies.
//
// Errs   E0350 values that do not fit, at the place in the body that is checked, however deep in a `fn` it shows;
//        E0353 and E0354 lengths that are none, E0354 a condition that is none, E0357 a member of a number or tensor
#pragma once
#include "lang/diag/Engine.h"
#include "lang/sema/NameScope.h"
#include "lang/sema/Shape.h"
#include <optional>

namespace peftc::sema {

using ShapeEnv = std::map<std::string, Shape>;

class ShapeOf {
public:
  ShapeOf(const Spec &spec, const Network &network, const Alike &alike, diag::Engine &diags);

  Shape of(const ast::Expr &expr, const ShapeEnv &env);
  /// A parameter's or an input's; `seq`, `keys` and what is computed stay open.
  Shape of(const ast::TypeExpr &type, const ShapeEnv &env);
  bool differ(const Length &a, const Length &b) const { return alike_.differ(a, b); }
  void mismatch(Range range, const std::string &text) { say(diag::Kind::E0350, range, {text}); }
  /// A condition that decides when compiling; a number or a tensor is none.
  Shape condition(const ast::Expr &expr, const ShapeEnv &env);

  /// A condition that compares may make sure of what is not known here: what it guards is not checked.
  static bool compares(const ast::Expr &condition);
  struct Muted {
    explicit Muted(ShapeOf &owner, bool on = true) : owner(owner), on(on) { owner.muted_ += on; }
    ~Muted() { owner.muted_ -= on; }
    ShapeOf &owner;
    bool on;
  };

private:
  void say(diag::Kind kind, Range range, std::vector<std::string> args);
  Shape member(const ast::MemberExpr &expr, const ShapeEnv &env);
  Shape rearrange(const std::string &pattern, const Shape &x, const std::map<std::string, Length> &sizes, Range range);
  /// A function is no operand.
  bool isOperand(const Shape &shape, Range range);
  Shape name(const std::string &name, Range range, const ShapeEnv &env);
  Shape binary(const ast::BinaryExpr &expr, const ShapeEnv &env);
  Shape together(const Shape &a, const Shape &b, Range range);
  Shape matmul(const Shape &a, const Shape &b, Range range);
  Shape index(const ast::IndexExpr &expr, const ShapeEnv &env);
  Shape choice(const ast::IfExpr &expr, const ShapeEnv &env);
  Shape call(const ast::CallExpr &expr, const ShapeEnv &env);
  Shape callFn(const ast::FnStmt &fn, const std::vector<ast::Argument> &args, Range range, const ShapeEnv &env);
  Shape callBuiltin(const std::string &name, const std::vector<ast::Argument> &args, Range range, const ShapeEnv &env);
  Shape reduce(const Shape &x, const ast::Expr *axis, bool keep, Range range, const ShapeEnv &env);
  Shape concat(const std::vector<Shape> &parts, const ast::Expr *axis, Range range, const ShapeEnv &env);
  Shape einsum(const std::string &equation, const std::vector<Shape> &operands, Range range);
  /// -1: not known here.
  int axisOf(const ast::Expr &axis, const Shape &x, Range range, const ShapeEnv &env);

  const Spec &spec_;
  const Network &network_;
  const Alike &alike_;
  diag::Engine &diags_;
  std::set<std::string> program_; ///< what the user's file binds outside of bodies
  int muted_ = 0, depth_ = 0;
  Range blame_; ///< within a fn: the outermost call
  std::set<std::pair<uint32_t, uint32_t>> said_;
};

} // namespace peftc::sema
