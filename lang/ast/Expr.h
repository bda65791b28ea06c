// Expressions, selectors, types and parameters: the parts of the abstract syntax that statements are made of.
//
// Plain structs, as in `Ast.h`, which is what others include: an expression may hold statements (a block).
#pragma once
#include "lang/ast/Bound.h"
#include "lang/source/Source.h"
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace peftc::ast {

struct Expr;
struct Stmt;
struct Selector;
using ExprPtr = std::unique_ptr<Expr>;
using StmtPtr = std::unique_ptr<Stmt>;
using Block = std::vector<StmtPtr>;

/// A name at a place.
struct Ident {
  std::string text;
  Range range;
};

// ---- expressions ---------------------------------------------------------------------------------------------------

struct Expr {
  enum class Kind {
    Number, String, Bool, None, Name, List, Member, Call, Index, Unary, Binary, If, Lambda, Comprehension, Block, SelectorValue, Choose
  };
  const Kind kind;
  Range range;
  explicit Expr(Kind kind, Range range) : kind(kind), range(range) {}
  virtual ~Expr() = default;
  template <typename T> const T *as() const { return kind == T::kKind ? static_cast<const T *>(this) : nullptr; }
  template <typename T> T *as() { return kind == T::kKind ? static_cast<T *>(this) : nullptr; }
};

#define PEFT_EXPR(NAME)                                                                                                \
  static constexpr Kind kKind = Kind::NAME;                                                                            \
  explicit NAME##Expr(Range range) : Expr(kKind, range) {}

/// `8`, `1e-3`, `0.5%` (a percent literal has its value already divided by 100), `20GiB` (a number of bytes, which is whole).
struct NumberExpr : Expr {
  PEFT_EXPR(Number)
  double value = 0;
  bool isInteger = false; ///< written without point, exponent or percent; or in bytes
  bool isPercent = false;
  std::string spelling;
};
/// `"text"`; in checkpoint names `{expr}` parts are kept apart: texts[0] {holes[0]} texts[1] …
struct StringExpr : Expr {
  PEFT_EXPR(String)
  std::vector<std::string> texts; ///< one more than holes, escapes resolved
  std::vector<ExprPtr> holes;
};
struct BoolExpr : Expr {
  PEFT_EXPR(Bool)
  bool value = false;
};
struct NoneExpr : Expr {
  PEFT_EXPR(None)
};
struct NameExpr : Expr {
  PEFT_EXPR(Name)
  std::string name;
};
/// `[a, b]`; `(a, b)` is the same with `tuple`.
struct ListExpr : Expr {
  PEFT_EXPR(List)
  std::vector<ExprPtr> items;
  bool tuple = false;
};
/// `object.name` (`.T` too).
struct MemberExpr : Expr {
  PEFT_EXPR(Member)
  ExprPtr object;
  Ident member;
};
struct Argument {
  std::optional<Ident> name; ///< absent for a positional one
  ExprPtr value;
  Range range;
};
/// `callee(args)`. `from`: the `from "run"` after a method value; `frozen`: the word after it.
struct CallExpr : Expr {
  PEFT_EXPR(Call)
  ExprPtr callee;
  std::vector<Argument> args;
  ExprPtr from;
  bool frozen = false;
};
/// One place between brackets: an index, a slice `a:b:c`, `None` (a new axis) or `...`.
struct Subscript {
  enum class Kind { Index, Slice, NewAxis, Ellipsis } kind = Kind::Index;
  ExprPtr index;             ///< Index
  ExprPtr start, stop, step; ///< Slice; each may be null
  Range range;
};
struct IndexExpr : Expr {
  PEFT_EXPR(Index)
  ExprPtr object;
  std::vector<Subscript> subscripts;
};
enum class UnaryOp { Neg, Not };
struct UnaryExpr : Expr {
  PEFT_EXPR(Unary)
  UnaryOp op = UnaryOp::Neg;
  ExprPtr operand;
};
/// `Else` is `a else b`: a unless it is `none`. `Range` is `a .. b` (half-open).
enum class BinaryOp { Add, Sub, Mul, Div, Mod, Pow, MatMul, Lt, Le, Gt, Ge, Eq, Ne, And, Or, Else, Range };
struct BinaryExpr : Expr {
  PEFT_EXPR(Binary)
  BinaryOp op = BinaryOp::Add;
  ExprPtr lhs, rhs;
  Range opRange;
};
struct IfExpr : Expr {
  PEFT_EXPR(If)
  ExprPtr condition, thenValue, elseValue;
};
/// `x => e`, `(a, b) => e`.
struct LambdaExpr : Expr {
  PEFT_EXPR(Lambda)
  std::vector<Ident> params;
  ExprPtr body;
};
/// `[for i in 0 .. n: e]`; `sum(i in 0 .. n) e` is a Call of `sum` on one.
struct ComprehensionExpr : Expr {
  PEFT_EXPR(Comprehension)
  Ident variable;
  ExprPtr over;
  ExprPtr body;
};
/// `{ let a = …; value }`: the body of a `fn` with bindings of its own.
struct BlockExpr : Expr {
  PEFT_EXPR(Block)
  Block statements; ///< lets, ifs; may be empty
  ExprPtr value;
};
/// A selector where a value is expected (a method argument).
struct SelectorValueExpr : Expr {
  PEFT_EXPR(SelectorValue)
  std::unique_ptr<Selector> selector;
};
/// `choose(4, 8, 16)`: one of them, left open. None is left in a checked program.
struct ChooseExpr : Expr {
  PEFT_EXPR(Choose)
  std::vector<ExprPtr> alternatives;
};
#undef PEFT_EXPR

// ---- selectors -----------------------------------------------------------------------------------------------------

/// One component of a path, between dots.
struct SelectorPart {
  enum class Kind { Name, Star, DoubleStar, Alternatives, Checkpoint, Subset } kind = Kind::Name;
  std::string name;                                 ///< Name; the pattern for Checkpoint (`"q_proj"`); of Subset what is chosen from, `start` up to `stop`
  std::vector<std::vector<SelectorPart>> alternatives; ///< Alternatives: `{a, b.c}`
  bool indexed = false;                             ///< has `[…]` after it
  ExprPtr index;                                    ///< `[3]`; null for slices and `[*]`
  ExprPtr start, stop, step;                        ///< `[0..6]`, `[-4..]`, `[::2]`; all null: `[*]`
  Range range;
};
/// `a.b[*].{q, v} where …  except …`, several joined by commas; a string selects by checkpoint name.
struct Selector {
  std::vector<std::vector<SelectorPart>> paths;
  ExprPtr where; ///< may be null
  std::vector<std::vector<SelectorPart>> except;
  Range range;
};

// ---- types ---------------------------------------------------------------------------------------------------------

/// `int`, `real`, `prob`, `rank`, `bool`, `string`, `fn`, `dim`, `config`, `list[real]`, `method on linear`,
/// or a tensor `[seq, d] int` (an empty shape `[]` is a scalar tensor).
struct TypeExpr {
  bool isTensor = false;
  std::vector<ExprPtr> dims;   ///< of a tensor
  std::string name;            ///< scalar name; element type of a tensor ("real" unless said)
  std::unique_ptr<TypeExpr> element; ///< of a list
  std::string methodKind;      ///< `method on KIND`
  std::vector<Bound> bounds;   ///< `int >= 0`
  Range range;
};
struct Parameter {
  Ident name;
  std::unique_ptr<TypeExpr> type; ///< may be null in `fn`
  ExprPtr defaultValue;           ///< may be null
  bool isConst = false;
  Range range;
};

} // namespace peftc::ast
