// TokenFilter: see the header. One pass over the tokens with a stack of open brackets.
#include "lang/syntax/TokenFilter.h"
#include "PeftLexer.h"
#include "PeftParser.h"
#include <set>

namespace peftc::syntax {
using Lexer = grammar::PeftLexer;
using Parser = grammar::PeftParser;
using antlr4::CommonToken;
using antlr4::Token;
using Words = std::set<std::string, std::less<>>;

Piece::Piece(const SourceMap &sources, Range range) : text_(sources.text(range)), whole_(range) {
  for (uint32_t i = 0; i < text_.size(); ++i)
    if ((static_cast<unsigned char>(text_[i]) & 0xC0) != 0x80)
      byteOf_.push_back(i);
  byteOf_.push_back(static_cast<uint32_t>(text_.size()));
}

Range Piece::range(size_t firstPoint, size_t pointAfter) const {
  auto byte = [&](size_t point) { return whole_.begin + byteOf_[std::min(point, byteOf_.size() - 1)]; };
  return {whole_.file, byte(firstPoint), std::max(byte(firstPoint), byte(pointAfter))};
}

namespace {

constexpr size_t kMaxDepth = 100;    // of brackets: the parser is recursive
constexpr size_t kMaxChained = 1000; // operators in one statement: each may be a level of the tree

/// A line that begins so goes on with the statement of the line before.
const Words kContinuing = {"+", "-", "*",  "/",  "%",  "**", "@",    "<",    ">",   "<=", ">=", "==", "!=",
                           "<-", "+=", "=>", "=", ".", "..", "then", "else", "and", "or", ",",  ")",  "]",  "{"};
/// A line that ends so goes on with the next.
const Words kExpecting = {"+", "-",  "*",  "/", "%", "**", "@",  "<",    ">",    "<=",  ">=", "==",  "!=", "<-",
                          "+=", "=>", "=", ".", "..", "~", "then", "else", "and", "or", "not", ",", ":"};
/// After `10%`, words that do not make it a remainder.
const Words kNotOperands = {"then", "else", "and", "or", "for", "to", "where", "except", "from", "as", "per", "in", "on"};
/// Before a name, these never stand inside an expression.
const Words kStatementWords = {"use",   "input", "model",  "task",   "attach",    "train",     "freeze", "optimize", "run",
                               "budget", "fn",   "method", "arch",   "optimizer", "schedule",  "kind",   "param",    "buffer",
                               "shared", "let",  "dim",    "require", "weight",   "row",       "metric", "state",    "sample",
                               "group",  "module"};
const Words kDeclarationWords = {"fn", "method", "arch", "module", "optimizer", "kind", "use"};
const Words kChained = {"-", "not", "**", "if", "else", "=>", "+", "*", "/", "%", "@", "and", "or", "."};

class Filter {
public:
  Filter(const Piece &piece, std::vector<std::unique_ptr<Token>> raw, diag::Engine &diags)
      : piece_(piece), raw_(std::move(raw)), diags_(diags) {}

  FilteredTokens run() {
    for (at_ = 0; at_ < raw_.size() && !tooDeep_; ++at_)
      token(static_cast<CommonToken &>(*raw_[at_]));
    if (inParentheses() && open_.back().line == brokenLine_)
      closeParentheses(false);
    closeAll();
    separator();
    make(Token::EOF, "", piece_.points());
    return std::move(out_);
  }

private:
  struct Open {
    std::string text;
    Range range;
    size_t line;
    bool assumed = false; ///< not in the text: already reported as missing
  };

  const Piece &piece_;
  std::vector<std::unique_ptr<Token>> raw_;
  diag::Engine &diags_;
  FilteredTokens out_;
  std::vector<Open> open_;
  std::string doc_;
  size_t at_ = 0, strangeLine_ = 0, brokenLine_ = 0, bracketLine_ = 0, chained_ = 0;
  std::string first_;          // token of the present statement,
  size_t firstColumn_ = 0;     // its column,
  bool hasBlock_ = false;      // and whether a `{` followed
  size_t previousLine_ = 0, end_ = 0; // of the last visible token
  std::string previous_, beforePrevious_;
  bool tooDeep_ = false;

  bool inParentheses() const { return !open_.empty() && open_.back().text != "{"; }

  void push(std::unique_ptr<Token> token) {
    if (!doc_.empty() && token->getType() != Parser::SEP) {
      out_.docs[out_.tokens.size()] = doc_;
      doc_.clear();
    }
    out_.tokens.push_back(std::move(token));
  }
  void make(size_t type, std::string text, size_t start) {
    auto made = std::make_unique<CommonToken>(type, text);
    made->setStartIndex(start);
    made->setStopIndex(start - 1);
    made->setLine(previousLine_);
    push(std::move(made));
  }
  void separator() {
    chained_ = 0;
    if (!out_.tokens.empty() && out_.tokens.back()->getType() != Parser::SEP)
      make(Parser::SEP, "\n", end_);
  }
  Range lineAround(const Token &token) const {
    size_t first = at_, last = at_;
    while (first > 0 && raw_[first - 1]->getLine() == token.getLine())
      --first;
    while (last + 1 < raw_.size() && raw_[last + 1]->getLine() == token.getLine())
      ++last;
    Range range = piece_.range(raw_[first]->getStartIndex(), raw_[last]->getStopIndex() + 1);
    ++range.end; // the line's own SEP
    return range;
  }

  /// The visible token after this one on the same line, or "".
  std::string nextOnLine() const {
    if (at_ + 1 >= raw_.size() || raw_[at_ + 1]->getLine() != raw_[at_]->getLine() || raw_[at_ + 1]->getChannel() != 0)
      return "";
    return raw_[at_ + 1]->getText();
  }
  static bool isWord(const std::string &text) { return !text.empty() && (std::isalpha(static_cast<unsigned char>(text[0])) || text[0] == '_'); }

  static const char *closer(const std::string &opener) { return opener == "{" ? "}" : opener == "(" ? ")" : "]"; }
  static size_t closerType(const std::string &opener) {
    return opener == "{" ? Lexer::RBRACE : opener == "(" ? Lexer::RPAREN : Lexer::RBRACKET;
  }
  void popWithCloser() {
    Open opener = open_.back();
    if (opener.text == "{")
      separator();
    open_.pop_back();
    make(closerType(opener.text), closer(opener.text), end_);
  }
  void reportUnclosed(const Open &opener) {
    if (tooDeep_ || opener.assumed || bracketLine_ == opener.line)
      return;
    bracketLine_ = opener.line;
    diags_.report(diag::Kind::E0102, opener.range, {opener.text}).here(std::string("no `") + closer(opener.text) + "` for this");
  }
  /// Closes open brackets down to (not including) the nearest `{`, or all of them; one message for one slip.
  void closeParentheses(bool report = true) {
    if (!inParentheses())
      return;
    Open innermost = open_.back();
    uint32_t begin = innermost.range.begin;
    while (inParentheses()) {
      begin = open_.back().range.begin;
      popWithCloser();
    }
    if (report)
      reportUnclosed(innermost);
    out_.damaged.push_back({innermost.range.file, begin, piece_.range(end_, end_).end + 1});
  }
  void closeAll() {
    if (inParentheses())
      closeParentheses();
    else if (!open_.empty())
      reportUnclosed(open_.back());
    while (!open_.empty())
      popWithCloser();
  }

  void lineBreak(const Token &token) {
    const std::string text = token.getText(), next = nextOnLine();
    if (inParentheses() && open_.back().line == brokenLine_)
      closeParentheses(false);
    bool pair = isWord(next) || next[0] == '"';
    bool surelyStarts = (kStatementWords.count(text) && pair) || (isWord(text) && next == "<-");
    if (inParentheses() && surelyStarts)
      closeParentheses();
    if (!open_.empty() && token.getCharPositionInLine() == 0 && kDeclarationWords.count(text) && pair)
      closeAll();
    if (inParentheses())
      return;
    // A selector's `*` at the end of a line is not a product.
    static const Words beforeStar = {".", "to", "train", "freeze", "except", "for", ",", "{"};
    bool star = (previous_ == "*" || previous_ == "**") && beforeStar.count(beforePrevious_);
    if (kContinuing.count(text) || (kExpecting.count(previous_) && !star && !surelyStarts))
      return;
    if (lacksBlock(token)) {
      diags_.report(diag::Kind::E0101, piece_.range(end_, end_), {"end of the line"}).here("expected `{`");
      assumeBlock(end_);
    }
    separator();
  }

  void token(const Token &token) {
    if (token.getType() == Lexer::COMMENT)
      return;
    const std::string text = token.getText();
    if (token.getType() == Lexer::DOC) {
      std::string line = text.substr(text.size() > 3 && text[3] == ' ' ? 4 : 3);
      line.resize(line.find_last_not_of(" \t") + 1);
      doc_ += doc_.empty() ? line : "\n" + line;
      return;
    }
    if (previousLine_ != 0 && token.getLine() != previousLine_)
      lineBreak(token);
    if (!visible(token, text))
      return;
    beforePrevious_ = std::exchange(previous_, text);
    previousLine_ = token.getLine();
    end_ = raw_[at_]->getStopIndex() + 1; // of `%` after `percent`
  }

  /// False: the token was dropped and leaves no trace.
  bool visible(const Token &token, const std::string &text) {
    if (out_.tokens.empty() || out_.tokens.back()->getType() == Parser::SEP || previous_ == "{") {
      first_ = text;
      firstColumn_ = token.getCharPositionInLine();
      hasBlock_ = false;
    }
    hasBlock_ |= text == "{";
    if (token.getType() == Lexer::STRANGE)
      return strange(token, text), false;
    if (text == ";") {
      closeParentheses();
      separator();
      return true;
    }
    if (text == "(" || text == "[" || text == "{")
      return opening(token, text), true;
    if (text == ")" || text == "]" || text == "}")
      return closing(token, text);
    if (kChained.count(text) && ++chained_ > kMaxChained)
      deep(token);
    if (token.getType() == Lexer::UNCLOSED_STRING)
      unclosedString(token);
    else if (token.getType() == Lexer::NUMBER && isPercent())
      percent();
    else
      push(std::make_unique<CommonToken>(const_cast<Token *>(&token)));
    return true;
  }

  void assumeBlock(size_t at) {
    closeParentheses(false);
    open_.push_back({"{", piece_.range(at, at), previousLine_, true});
    end_ = at;
    hasBlock_ = true;
    make(Lexer::LBRACE, "{", at);
  }
  /// A declaration whose `{` is missing: the next line is indented.
  bool lacksBlock(const Token &token) const {
    static const Words bodied = {"method", "arch", "module", "optimizer"};
    return open_.empty() && bodied.count(first_) && !hasBlock_ && token.getCharPositionInLine() > firstColumn_ && previous_ != "=";
  }
  void deep(const Token &token) {
    if (!tooDeep_)
      diags_.report(diag::Kind::E0113, piece_.range(token));
    tooDeep_ = true;
    out_.damaged.push_back({piece_.range(token).file, 0, UINT32_MAX});
  }
  void opening(const Token &token, const std::string &text) {
    static const Words beforeSelector = {"to", "train", "freeze", "except", "for", ".", ",", "{", "("};
    if (text == "{" && previous_ == "{" && token.getLine() == previousLine_ && !beforeSelector.count(beforePrevious_)) {
      diags_.report(diag::Kind::E0101, piece_.range(token), {"`{`"}).here("one `{` opens the block").fixit(piece_.range(token), "");
      return;
    }
    const bool goesOn = text != "{" && (previous_ == ")" || previous_ == "]"); // `f(1)(2)`: a level each
    if (open_.size() >= kMaxDepth || (goesOn && ++chained_ > kMaxChained))
      return deep(token);
    open_.push_back({text, piece_.range(token), token.getLine()});
    push(std::make_unique<CommonToken>(const_cast<Token *>(&token)));
  }
  bool closing(const Token &token, const std::string &text) {
    if (text == "}" && !open_.empty())
      closeParentheses();
    bool stray = open_.empty() || (text == "}" ? false : !inParentheses());
    if (stray) {
      if (token.getLine() != brokenLine_ && token.getLine() != bracketLine_)
        diags_.report(diag::Kind::E0103, piece_.range(token), {text}).fixit(piece_.range(token), "");
      out_.damaged.push_back(lineAround(token));
      return false;
    }
    Open opener = open_.back();
    if (text == "}")
      separator();
    open_.pop_back();
    if (text != closer(opener.text)) {
      if (bracketLine_ != token.getLine())
        diags_.report(diag::Kind::E0102, opener.range, {opener.text})
            .here(std::string("no `") + closer(opener.text) + "` for this")
            .label(piece_.range(token), "this closes another kind of bracket");
      bracketLine_ = token.getLine();
      out_.damaged.push_back(lineAround(token));
      make(closerType(opener.text), closer(opener.text), token.getStartIndex());
      return true;
    }
    push(std::make_unique<CommonToken>(const_cast<Token *>(&token)));
    return true;
  }
  void strange(const Token &token, const std::string &text) {
    if (strangeLine_ != token.getLine()) {
      char code[16]; // of what no terminal shows
      std::snprintf(code, sizeof code, "U+%04X", static_cast<unsigned char>(text[0]));
      const bool control = text.size() == 1 && (static_cast<unsigned char>(text[0]) < 0x20 || text[0] == 0x7F);
      auto report = diags_.report(diag::Kind::E0104, piece_.range(token), {control ? code : text});
      if (text == "#")
        report.help("a comment begins with `//`");
      else if (text == "'")
        report.help("a string stands between double quotes: `\"text\"`");
      else if (text == "!")
        report.help("`not x` negates, `a != b` compares");
      else if (text == "&" || text == "|")
        report.help("the logical operators are the words `and` and `or`");
    }
    strangeLine_ = token.getLine();
    out_.damaged.push_back(lineAround(token));
  }
  void unclosedString(const Token &token) {
    diags_.report(diag::Kind::E0105, piece_.range(token)).here("no closing `\"` on this line");
    brokenLine_ = token.getLine();
    out_.damaged.push_back(lineAround(token));
    auto closed = std::make_unique<CommonToken>(const_cast<Token *>(&token));
    closed->setType(Lexer::STRING);
    closed->setText("\"\"");
    push(std::move(closed));
    const std::string text = token.getText();
    if (size_t last = text.find_last_not_of(" \t"); last > 0 && text[last] == '{') // a block opens behind what was swallowed
      assumeBlock(token.getStopIndex() + 1);
  }

  /// Digits immediately followed by `%`, and no operand after it on the line.
  bool isPercent() const {
    if (at_ + 1 >= raw_.size() || raw_[at_ + 1]->getText() != "%" || raw_[at_ + 1]->getStartIndex() != raw_[at_]->getStopIndex() + 1)
      return false;
    if (at_ + 2 >= raw_.size() || raw_[at_ + 2]->getLine() != raw_[at_]->getLine())
      return true;
    const Token &after = *raw_[at_ + 2];
    if (after.getType() == Lexer::NUMBER || after.getType() == Lexer::STRING)
      return false;
    const std::string text = after.getText();
    return !(text == "(" || text == "[" || (isWord(text) && !kNotOperands.count(text)));
  }
  void percent() {
    auto made = std::make_unique<CommonToken>(raw_[at_].get());
    made->setType(Parser::PERCENT);
    made->setText(raw_[at_]->getText() + "%");
    made->setStopIndex(raw_[at_ + 1]->getStopIndex());
    push(std::move(made));
    ++at_;
  }
};

} // namespace

FilteredTokens filterTokens(const Piece &piece, diag::Engine &diags) {
  antlr4::ANTLRInputStream input{std::string(piece.text())};
  Lexer lexer(&input);
  lexer.removeErrorListeners();
  auto raw = lexer.getAllTokens();
  // A token's text is fixed now: it must not depend on the lexer, which ends here.
  for (auto &token : raw)
    static_cast<CommonToken *>(token.get())->setText(token->getText());
  return Filter(piece, std::move(raw), diags).run();
}

} // namespace peftc::syntax
