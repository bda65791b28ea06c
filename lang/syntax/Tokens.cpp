// Tokens: the filter's tokens, with the comments and semicolons that it leaves out put back between them.
#include "lang/syntax/Tokens.h"
#include "lang/syntax/TokenFilter.h"
#include "PeftLexer.h"
#include "PeftParser.h"
#include <algorithm>

namespace peftc {
using Lexer = grammar::PeftLexer;

namespace {

Token::Kind kindOf(const antlr4::Token &token) {
  switch (token.getType()) {
  case grammar::PeftParser::PERCENT: case Lexer::NUMBER: return Token::Kind::Number;
  case Lexer::STRING: return Token::Kind::String;
  case Lexer::COMMENT: return Token::Kind::Comment;
  case Lexer::DOC: return Token::Kind::Doc;
  default: break;
  }
  unsigned char first = static_cast<unsigned char>(token.getText()[0]);
  return std::isalpha(first) || first == '_' ? Token::Kind::Word : Token::Kind::Symbol;
}

} // namespace

std::vector<Token> tokenize(const SourceMap &sources, int32_t source, diag::Engine &diags) {
  Range whole{source, 0, static_cast<uint32_t>(sources.file(source).text().size())};
  syntax::Piece piece(sources, whole);
  std::vector<Token> out;
  auto filtered = syntax::filterTokens(piece, diags);
  bool starts = true;
  for (const auto &token : filtered.tokens) {
    if (token->getType() == grammar::PeftParser::SEP || token->getType() == antlr4::Token::EOF) {
      starts = true;
      continue;
    }
    out.push_back({kindOf(*token), token->getText(), piece.range(*token), starts});
    starts = token->getText() == "{";
  }
  antlr4::ANTLRInputStream input{std::string(piece.text())};
  Lexer lexer(&input);
  lexer.removeErrorListeners();
  for (const auto &token : lexer.getAllTokens())
    if (token->getType() == Lexer::COMMENT || token->getType() == Lexer::DOC || token->getType() == Lexer::SEMICOLON)
      out.push_back({kindOf(*token), token->getText(), piece.range(*token), false});
  std::stable_sort(out.begin(), out.end(), [](const Token &a, const Token &b) { return a.range.begin < b.range.begin; });
  return out;
}

} // namespace peftc
