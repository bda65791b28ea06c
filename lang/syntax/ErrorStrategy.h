// ErrorStrategy: one slip is one message in plain words; reading goes on after the statement.
//
// No token is inserted or deleted. An error leaves every rule until the statement (or an item of an `optimize` or `kind`
// block), whose rest, braces included, is then skipped up to its SEP.
#pragma once
#include "lang/syntax/TokenFilter.h"

namespace peftc::syntax {

class ErrorStrategy : public antlr4::DefaultErrorStrategy {
public:
  ErrorStrategy(const Piece &piece, const FilteredTokens &filtered, diag::Engine &diags)
      : piece_(piece), damaged_(filtered.damaged), diags_(diags) {}

  void reportError(antlr4::Parser *parser, const antlr4::RecognitionException &error) override;
  void recover(antlr4::Parser *parser, std::exception_ptr error) override;
  antlr4::Token *recoverInline(antlr4::Parser *parser) override;
  void sync(antlr4::Parser *parser) override;

private:
  const Piece &piece_;
  const std::vector<Range> damaged_;
  diag::Engine &diags_;
  bool reported_ = false; ///< in the present statement

  /// `first`: the token with which the statement begins, if there is one.
  void report(antlr4::Parser *parser, antlr4::Token *token, std::string expected, antlr4::Token *first);
  void skipStatement(antlr4::Parser *parser, size_t from);
};

} // namespace peftc::syntax
