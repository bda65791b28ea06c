// AstBuilder: parse tree to syntax tree; the parse tree ends here.
//
// In     contexts without syntax errors (statements with one are skipped)
// Out    lang/ast/Ast.h
// Errs   E0106 escapes, E0107 unused value, E0108 misplaced statement, E0109 string holes, E0111 numbers,
//        E0112 argument order, E0114 block without value, E0199 reserved words, E0353 a rate that is none
#pragma once
#include "lang/ast/Ast.h"
#include "lang/syntax/TokenFilter.h"
#include "PeftParser.h"

namespace peftc::syntax {
using P = grammar::PeftParser;

/// Where a statement stands; decides what it may be.
enum class Place { File, Method, Module, Optimizer, Task, Function, Gradients };

class AstBuilder {
public:
  AstBuilder(const SourceMap &sources, const Piece &piece, const FilteredTokens &filtered, diag::Engine &diags)
      : sources_(sources), piece_(piece), docs_(filtered.docs), diags_(diags) {}

  ast::Block statements(P::StmtsContext *context, Place place);
  ast::ExprPtr expr(P::ExprContext *context);

private:
  const SourceMap &sources_;
  const Piece &piece_;
  const std::map<size_t, std::string> docs_;
  diag::Engine &diags_;
  std::string closedTo_ = "a value that no statement of a program holds"; ///< where what is read stands, if no `choose` may stand there
  bool strayed_ = false; ///< the last statement of the file belongs into some body

  // AstBuilder.cpp: what everything needs
  Range range(antlr4::Token *token) const { return piece_.range(*token); }
  Range range(antlr4::ParserRuleContext *context) const;
  ast::Ident ident(antlr4::ParserRuleContext *context) const { return {context->getText(), range(context)}; }
  std::vector<ast::Ident> idents(const std::vector<P::IdentContext *> &contexts, size_t from = 0) const;
  std::string doc(antlr4::ParserRuleContext *context) const;
  void reserved(antlr4::Token *word);

  // Statements.cpp
  void add(ast::Block &out, P::StmtContext *context, Place place);
  ast::Block block(P::BlockContext *context, Place place) { return statements(context->stmts(), place); }
  static std::string closedTo(P::StmtContext *context, Place place);
  void checkPlace(const ast::Stmt &stmt, antlr4::ParserRuleContext *context, Place place);
  ast::StmtPtr specStatement(P::StmtContext *context, Place place);
  ast::StmtPtr valueStatement(P::StmtContext *context);
  ast::StmtPtr bodyStatement(P::StmtContext *context, Place place);
  ast::SampleStmt::Per drawnPer(const ast::Ident &word);
  ast::StmtPtr use(P::UseStmtContext *context);
  ast::StmtPtr input(P::InputStmtContext *context, Place place);
  ast::StmtPtr optimize(P::OptimizeStmtContext *context);
  ast::StmtPtr ifStatement(P::IfStmtContext *context, Place place);
  ast::StmtPtr param(P::ParamStmtContext *context);
  ast::StmtPtr weight(P::WeightStmtContext *context);
  ast::StmtPtr module(P::ModuleStmtContext *context, Place place);
  ast::StmtPtr interop(P::InteropStmtContext *context, Place place);
  ast::InteropItem interopItem(P::InteropItemContext *context);
  ast::StmtPtr on(P::OnStmtContext *context, Place place);
  ast::StmtPtr rewire(P::RewireStmtContext *context);
  ast::StmtPtr reservedStatement(P::ReservedStmtContext *context);
  ast::StmtPtr attach(P::AttachStmtContext *context);
  ast::StmtPtr let(P::LetStmtContext *context);
  std::vector<ast::Field> fields(P::FieldBlockContext *context);
  ast::Field field(P::FieldContext *context);
  std::optional<ast::CheckpointName> checkpointName(P::CheckpointNameContext *context);

  // Events.cpp
  ast::StmtPtr ofGradients(P::StmtContext *context);

  // Spaces.cpp
  ast::ExprPtr choose(antlr4::ParserRuleContext *whole, Range word, P::ArgumentsContext *context);
  ast::StmtPtr search(P::SearchStmtContext *context);

  // Declarations.cpp
  ast::StmtPtr declaration(P::StmtContext *context);
  ast::StmtPtr method(P::MethodDeclContext *context);
  ast::StmtPtr kind(P::KindDeclContext *context);
  void head(ast::Declaration &declaration, antlr4::ParserRuleContext *context, P::IdentContext *name, P::ParamsContext *params);
  ast::Parameter parameter(P::ParamContext *context);
  std::vector<ast::Ident> kinds(P::KindsContext *context) const;
  std::unique_ptr<ast::TypeExpr> type(P::TypeContext *context);
  ast::Bound bound(P::BoundContext *context);
  ast::Selector selector(P::SelectorContext *context);
  std::vector<ast::SelectorPart> path(P::PathContext *context);
  void partIndex(ast::SelectorPart &part, P::PartIndexContext *context);

  // Expressions.cpp
  ast::ExprPtr binary(ast::BinaryOp op, ast::ExprPtr lhs, ast::ExprPtr rhs, Range opRange);
  ast::ExprPtr lambda(P::LambdaContext *context);
  ast::ExprPtr ifExpr(P::IfExprContext *context);
  ast::ExprPtr thenExpr(P::ThenExprContext *context);
  ast::ExprPtr rangeExpr(P::RangeExprContext *context);
  ast::ExprPtr orExpr(P::OrExprContext *context);
  ast::ExprPtr andExpr(P::AndExprContext *context);
  ast::ExprPtr notExpr(P::NotExprContext *context);
  ast::ExprPtr comparison(P::ComparisonContext *context);
  ast::ExprPtr additive(P::AdditiveContext *context);
  ast::ExprPtr product(P::ProductContext *context);
  ast::ExprPtr unary(P::UnaryContext *context);
  ast::ExprPtr postfix(P::PostfixContext *context);
  ast::ExprPtr suffix(ast::ExprPtr object, P::SuffixContext *context);
  ast::ExprPtr primary(P::PrimaryContext *context);
  ast::ExprPtr blockValue(P::BlockContext *context);
  ast::ExprPtr number(antlr4::Token *token);
  static double valueOf(const std::string &spelling); ///< of a number with its sign, percent or unit of bytes
  ast::ExprPtr name(P::IdentContext *context);
  ast::ExprPtr string(antlr4::Token *token);
  std::string plainString(antlr4::Token *token);
  std::string unescape(std::string_view raw, uint32_t at);
  std::vector<ast::Argument> arguments(P::ArgumentsContext *context);
  ast::Subscript subscript(P::SubscriptContext *context);
  ast::ExprPtr call(antlr4::ParserRuleContext *whole, ast::ExprPtr callee, P::ArgumentsContext *context);
};

/// The expression in `range` of its source; null after an error.
ast::ExprPtr parseExpressionIn(const SourceMap &sources, Range range, diag::Engine &diags);

} // namespace peftc::syntax
