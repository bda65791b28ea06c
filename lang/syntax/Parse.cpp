// Parse: lexer, filter, parser, builder in a row; the only place where ANTLR's objects live.
#include "lang/syntax/Parse.h"
#include "lang/syntax/AstBuilder.h"
#include "lang/syntax/ErrorStrategy.h"

namespace peftc {
namespace syntax {
namespace {

/// Parses `range` and hands parser and builder to `use`.
template <typename Use> void withParser(const SourceMap &sources, Range range, diag::Engine &diags, Use use) {
  size_t bad = invalidByte(sources.text(range));
  if (bad < range.end - range.begin) {
    uint32_t at = range.begin + static_cast<uint32_t>(bad);
    diags.report(diag::Kind::E0110, {range.file, at, at + 1});
    return;
  }
  Piece piece(sources, range);
  FilteredTokens filtered = filterTokens(piece, diags);
  AstBuilder builder(sources, piece, filtered, diags);
  auto strategy = std::make_shared<ErrorStrategy>(piece, filtered, diags);
  antlr4::ListTokenSource source(std::move(filtered.tokens));
  antlr4::CommonTokenStream stream(&source);
  stream.fill(); // messages look beyond the present token
  P parser(&stream);
  parser.removeErrorListeners();
  parser.setErrorHandler(strategy);
  use(parser, builder);
}

Range wholeOf(const SourceMap &sources, int32_t source) {
  return {source, 0, static_cast<uint32_t>(sources.file(source).text().size())};
}

} // namespace

ast::ExprPtr parseExpressionIn(const SourceMap &sources, Range range, diag::Engine &diags) {
  ast::ExprPtr out;
  withParser(sources, range, diags, [&](P &parser, AstBuilder &builder) {
    auto *context = parser.onlyExpression();
    if (!context->exception)
      out = builder.expr(context->expr());
  });
  return out;
}

} // namespace syntax

ast::File parse(const SourceMap &sources, int32_t source, diag::Engine &diags) {
  ast::File out;
  out.source = source;
  syntax::withParser(sources, syntax::wholeOf(sources, source), diags, [&](syntax::P &parser, syntax::AstBuilder &builder) {
    auto *context = parser.file();
    out.statements = builder.statements(context->stmts(), syntax::Place::File);
  });
  return out;
}

ast::ExprPtr parseExpression(const SourceMap &sources, int32_t source, diag::Engine &diags) {
  size_t before = diags.all().size();
  auto out = syntax::parseExpressionIn(sources, syntax::wholeOf(sources, source), diags);
  return diags.all().size() == before ? std::move(out) : nullptr;
}

} // namespace peftc
