// Format: see the header. Tokens are grouped into the lines that the author chose; only white space is decided here.
#include "lang/format/Format.h"
#include "lang/syntax/Parse.h"
#include "lang/syntax/Tokens.h"
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <set>

namespace peftc {
namespace {

using Texts = std::set<std::string, std::less<>>;
const Texts kOperators = {"+", "-", "*", "/", "%", "**", "@", "<", "<=", ">", ">=", "==", "!=", "<-", "+=", "=>", "=", "~", ".."};
/// Words that a bracket or a minus does not belong to.
const Texts kHardWords = {"if", "then", "else", "and", "or", "not", "let", "for"};
/// Words that may be names as well: what stood before a bracket stays.
const Texts kSoftWords = {"in", "to", "from", "where", "except", "on", "as", "per", "train", "freeze", "attach"};

struct Line {
  std::vector<Token> tokens; ///< the last may be a comment
  bool blankBefore = false;
  unsigned indent = 0;
  std::string code, comment;
};

class Layout {
public:
  Layout(std::string_view text, const std::vector<Token> &tokens) : text_(text) {
    std::vector<Line> lines = split(tokens);
    for (size_t i = 0; i < lines.size(); ++i)
      place(lines[i], i + 1 < lines.size());
    alignComments(lines);
    for (const Line &line : lines) {
      if (line.blankBefore && !out.empty())
        out += "\n";
      out += std::string(line.indent, ' ') + line.code + line.comment + "\n";
    }
  }
  std::string out;

private:
  struct Open {
    std::string bracket;
    unsigned indent; ///< of what stands inside
    bool comprehension = false;
  };
  std::string_view text_;
  std::vector<Open> open_;
  unsigned base_ = 0;       ///< of what opens a bracket: where its statement begins
  bool inStatement_ = false; ///< the next line goes on with a statement unless it starts one

  std::vector<Line> split(const std::vector<Token> &tokens) const {
    std::vector<Line> lines;
    for (size_t i = 0; i < tokens.size(); ++i) {
      size_t begin = i == 0 ? 0 : tokens[i - 1].range.end;
      auto between = text_.substr(begin, tokens[i].range.begin - begin);
      auto breaks = std::count(between.begin(), between.end(), '\n');
      if (breaks > 0 || i == 0) {
        lines.emplace_back();
        bool afterOpener = i > 0 && tokens[i - 1].text == "{", beforeCloser = tokens[i].text == "}";
        lines.back().blankBefore = breaks > 1 && !afterOpener && !beforeCloser;
      }
      lines.back().tokens.push_back(tokens[i]);
    }
    return lines;
  }

  static bool isComment(const Token &token) { return token.kind == Token::Kind::Comment || token.kind == Token::Kind::Doc; }

  unsigned indentOf(const Line &line) const {
    size_t closers = 0;
    while (closers < line.tokens.size() && closers < open_.size() &&
           (line.tokens[closers].text == ")" || line.tokens[closers].text == "]" || line.tokens[closers].text == "}"))
      ++closers;
    if (closers > 0) { // back to the line that opened the outermost of them
      unsigned inside = open_[open_.size() - closers].indent;
      return inside >= 2 ? inside - 2 : 0;
    }
    unsigned base = open_.empty() ? 0 : open_.back().indent;
    const Token &first = line.tokens[0];
    bool block = open_.empty() || open_.back().bracket == "{";
    bool continues = block && inStatement_ && !first.startsStatement && !isComment(first) && first.text != "else";
    return base + (continues ? 2 : 0);
  }

  void place(Line &line, bool) {
    base_ = line.indent = indentOf(line);
    for (size_t i = 0; i < line.tokens.size(); ++i) {
      const Token &token = line.tokens[i];
      if (isComment(token)) {
        size_t end = token.text.find_last_not_of(" \t");
        std::string text = token.text.substr(0, end + 1);
        (line.code.empty() ? line.code : line.comment) = text;
        continue;
      }
      if (i > 0)
        line.code += spaceBetween(line.tokens, i);
      line.code += token.text;
      track(line, i);
      inStatement_ = token.text != ";" && token.text != "{";
    }
  }

  void track(const Line &line, size_t i) {
    const std::string &text = line.tokens[i].text;
    if (line.tokens[i].kind != Token::Kind::Symbol)
      return;
    if (text == "(" || text == "[" || text == "{") {
      bool each = i + 1 < line.tokens.size() && line.tokens[i + 1].text == "for";
      // Brackets that open on one line indent what follows once; behind a bracket that an earlier line opened, from that line.
      open_.push_back({text, base_ + 2, each});
    } else if ((text == ")" || text == "]" || text == "}") && !open_.empty()) {
      base_ = std::min(base_, open_.back().indent - 2);
      open_.pop_back();
    }
  }

  bool spaceInSource(const Token &a, const Token &b) const { return b.range.begin > a.range.end; }

  /// A minus that belongs to what follows it.
  static bool isSign(const std::vector<Token> &tokens, size_t i) {
    if (tokens[i].text != "-")
      return false;
    if (i == 0)
      return tokens[i].startsStatement;
    const Token &before = tokens[i - 1];
    return kOperators.count(before.text) || kHardWords.count(before.text) || before.text == "(" || before.text == "[" ||
           before.text == "{" || before.text == "," || before.text == ":" || before.text == ";" || tokens[i].startsStatement;
  }

  const char *spaceBetween(const std::vector<Token> &tokens, size_t i) const {
    const Token &a = tokens[i - 1], &b = tokens[i];
    if (b.kind == Token::Kind::String && a.kind != Token::Kind::Symbol)
      return " ";
    const std::string &x = a.text, &y = b.text;
    if (x == ";")
      return y == "}" ? " " : "  ";
    if (y == "," || y == ";" || y == ")" || y == "]" || x == "(" || x == "[" || x == "." || y == ".")
      return "";
    if (x == ",")
      return " ";
    if (x == ":" || y == ":") {
      bool slice = !open_.empty() && open_.back().bracket == "[" && !open_.back().comprehension;
      return slice || y == ":" ? "" : " ";
    }
    if (x == ".." || y == ".." || x == "..." || y == "...")
      return spaceInSource(a, b) ? " " : "";
    if (x == "{" || y == "}")
      return spaceInSource(a, b) ? " " : "";
    if (isSign(tokens, i - 1))
      return "";
    if (y == "(" || y == "[")
      return opensAfter(a, b);
    return " ";
  }

  /// What may end a part of a selector.
  static bool isStar(const Token &token) { return token.text == "*" || token.text == "**" || token.text == "}"; }

  const char *opensAfter(const Token &a, const Token &b) const {
    if (a.kind == Token::Kind::Symbol)
      return a.text == ")" || a.text == "]" || (isStar(a) && b.text == "[" && !spaceInSource(a, b)) ? "" : " ";
    if (kHardWords.count(a.text))
      return " ";
    return kSoftWords.count(a.text) && spaceInSource(a, b) ? " " : "";
  }

  /// Comments at the ends of neighbouring lines begin in one column, two spaces after the longest.
  static void alignComments(std::vector<Line> &lines) {
    auto width = [](const Line &line) {
      auto points = std::count_if(line.code.begin(), line.code.end(), [](unsigned char c) { return (c & 0xC0) != 0x80; });
      return line.indent + static_cast<size_t>(points);
    };
    for (size_t i = 0; i < lines.size();) {
      size_t end = i, widest = 0;
      for (; end < lines.size() && !lines[end].comment.empty() && (end == i || !lines[end].blankBefore); ++end)
        widest = std::max(widest, width(lines[end]));
      for (size_t k = i; k < end; ++k)
        lines[k].code += std::string(widest + 2 - width(lines[k]), ' ');
      i = std::max(end, i + 1);
    }
  }
};

/// What may not change: the tokens, and where statements begin.
bool sameTokens(const std::vector<Token> &a, const std::vector<Token> &b) {
  auto trimmed = [](const Token &token) {
    bool comment = token.kind == Token::Kind::Comment || token.kind == Token::Kind::Doc;
    return comment ? token.text.substr(0, token.text.find_last_not_of(" \t") + 1) : token.text;
  };
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [&](const Token &x, const Token &y) {
    return trimmed(x) == trimmed(y) && x.kind == y.kind && x.startsStatement == y.startsStatement;
  });
}

} // namespace

std::string format(const SourceMap &sources, int32_t source, diag::Engine &diags) {
  const SourceFile &file = sources.file(source);
  diag::Engine own(sources);
  parse(sources, source, own);
  // Reserved words are laid out like all others; anything else that is wrong leaves the text alone.
  auto isSlip = [](const diag::Diagnostic &diagnostic) { return diagnostic.kind != diag::Kind::E0199; };
  if (std::any_of(own.all().begin(), own.all().end(), isSlip)) {
    parse(sources, source, diags);
    return file.text();
  }
  std::vector<Token> tokens = tokenize(sources, source, own);
  std::string out = Layout(file.text(), tokens).out;
  SourceMap after;
  diag::Engine unused(after);
  int32_t again = after.add(file.name(), out);
  if (!sameTokens(tokens, tokenize(after, again, unused))) {
    std::fprintf(stderr, "internal error: formatting %s would change its tokens\n", file.name().c_str());
    std::abort();
  }
  return out;
}

} // namespace peftc
