// Tokens: a text as plain tokens with comments, for tools that keep its form (`peftc fmt`).
#pragma once
#include "lang/diag/Engine.h"

namespace peftc {

struct Token {
  enum class Kind { Word, Number, String, Symbol, Comment, Doc } kind = Kind::Symbol;
  std::string text;
  Range range;
  bool startsStatement = false; ///< the first token after a line end or `;` that ends a statement, or of the text
};

/// All tokens in order; `6%` is one Number, `;` is a Symbol.
std::vector<Token> tokenize(const SourceMap &sources, int32_t source, diag::Engine &diags);

} // namespace peftc
