// TokenFilter: what stands between the lexer and the parser.
//
// In     all tokens of a text
// Out    visible tokens: statements end with SEP, `6%` is one PERCENT, brackets balance, strings are closed;
//        doc comments by the index of the token that follows them
// Errs   E0102 unclosed bracket, E0103 stray bracket, E0104 strange character, E0105 unclosed string, E0113 too deep
#pragma once
#include "lang/diag/Engine.h"
#include "antlr4-runtime.h"
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace peftc::syntax {

/// A piece of a source and the byte of each of its code points (ANTLR counts code points, we count bytes).
class Piece {
public:
  Piece(const SourceMap &sources, Range range);
  std::string_view text() const { return text_; }
  Range range(size_t firstPoint, size_t pointAfter) const;
  Range range(const antlr4::Token &token) const { return range(token.getStartIndex(), token.getStopIndex() + 1); }
  size_t points() const { return byteOf_.size() - 1; }

private:
  std::string_view text_;
  Range whole_;
  std::vector<uint32_t> byteOf_;
};

struct FilteredTokens {
  std::vector<std::unique_ptr<antlr4::Token>> tokens; ///< ends with EOF
  std::map<size_t, std::string> docs;                 ///< doc comment before tokens[key]
  std::vector<Range> damaged;                         ///< already reported on: the parser stays silent there
};

FilteredTokens filterTokens(const Piece &piece, diag::Engine &diags);

} // namespace peftc::syntax
