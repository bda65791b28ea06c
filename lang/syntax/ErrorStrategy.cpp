// ErrorStrategy: see the header.
#include "lang/syntax/ErrorStrategy.h"
#include "lang/diag/Suggest.h"
#include "PeftParser.h"
#include <algorithm>

namespace peftc::syntax {
using Parser = grammar::PeftParser;
using antlr4::Token;

namespace {

/// The token in words: SEP stands for what it was made from.
std::string describe(antlr4::Parser *parser, Token *&token) {
  if (token->getType() == Token::EOF)
    return "end of the text";
  if (token->getType() == Parser::SEP) {
    auto *stream = parser->getTokenStream();
    Token *next = token;
    while (next->getType() == Parser::SEP)
      next = stream->get(next->getTokenIndex() + 1);
    if (next->getType() == Token::EOF && next->getStartIndex() == token->getStartIndex())
      return "end of the text";
    if (next->getType() != Parser::RBRACE)
      return "end of the statement";
    token = next;
  }
  return "`" + token->getText() + "`";
}

std::string joined(const std::vector<std::string> &items) {
  std::string out;
  for (size_t i = 0; i < items.size(); ++i)
    out += (i == 0 ? "" : i + 1 == items.size() ? " or " : ", ") + items[i];
  return out;
}

bool isWordToken(const std::string &literal) { return literal.size() > 1 && std::isalpha(static_cast<unsigned char>(literal[1])); }

/// What could stand here, in words; "" where that would be a long list.
std::string expectation(antlr4::Parser *parser) {
  const auto set = parser->getExpectedTokens();
  auto has = [&](size_t type) { return set.contains(type); };
  std::vector<std::string> words, quoted;
  if (has(Parser::NUMBER) && has(Parser::LPAREN) && has(Parser::ID))
    words.push_back("a value");
  else if (has(Parser::STRING) && has(Parser::LBRACE) && has(Parser::ID))
    words.push_back("a part of the model");
  else if (has(Parser::LBRACKET) && has(Parser::ID) && !has(Parser::SEP))
    words.push_back("a type");
  else if (has(Parser::ID) && !has(Parser::SEP))
    words.push_back("a name");
  else if (has(Parser::STRING))
    words.push_back("a string");
  bool value = !words.empty();
  static const std::vector<std::string> operators = {"'+'", "'-'", "'*'", "'/'", "'%'", "'**'", "'@'", "'<'", "'<='", "'>'", "'>='",
                                                     "'=='", "'!='", "'and'", "'or'", "'else'", "'..'", "'.'", "'('", "'['", "'from'",
                                                     "'='", "'=>'", "'in'", "'...'"};
  for (auto type : set.toList()) {
    std::string literal = parser->getVocabulary().getLiteralName(static_cast<size_t>(type));
    bool isOperator = std::find(operators.begin(), operators.end(), literal) != operators.end();
    if (literal.empty() || (isOperator && (has(Parser::SEP) || has(Parser::RPAREN) || has(Parser::RBRACKET) || value || set.size() > 6)))
      continue;
    if (value && (isWordToken(literal) || type == Parser::LBRACE))
      continue;
    quoted.push_back("`" + literal.substr(1, literal.size() - 2) + "`");
  }
  if (has(Parser::SEP) && !has(Parser::NUMBER))
    words.push_back("the end of the statement");
  words.insert(words.begin() + (value ? 1 : 0), quoted.begin(), quoted.end());
  if (words.size() > 4)
    words.resize(value ? 1 : 0);
  return joined(words);
}

/// The first token of the statement that is being read.
Token *statementStart(antlr4::Parser *parser);

/// Words of other languages that begin a statement, and what says the same here.
const std::map<std::string, const char *> kForeignStatements = {
    {"import", "`use` brings in what another file declares"},
    {"include", "`use` brings in what another file declares"},
    {"def", "`fn name(x) = …` declares a function"},
    {"function", "`fn name(x) = …` declares a function"},
    {"class", "`method`, `module`, `arch`, `optimizer`, `task` and `fn` declare things"},
    {"var", "`let name = …` names a value"},
    {"const", "`let name = …` names a value"},
    {"return", "the last line of a block is its value"},
    {"elif", "`else if … then …` in a value, `else if … { … }` between statements"},
    {"while", "`for i in 0 .. n { … }` repeats"},
};
const std::vector<std::string> kStatementWords = {
    "use", "input", "model", "task", "attach", "train", "freeze", "optimize", "run", "budget", "fn", "method", "arch", "module",
    "optimizer", "schedule", "kind", "param", "buffer", "frozen", "shared", "let", "dim", "require", "weight", "row", "metric",
    "state", "sample", "group", "checkpoint", "example", "dims"};

bool isStatementRule(size_t rule) {
  return rule == Parser::RuleStatement || rule == Parser::RuleOptimizeItem || rule == Parser::RuleKindItem;
}
Token *statementStart(antlr4::Parser *parser) {
  antlr4::ParserRuleContext *context = parser->getContext();
  while (context && !isStatementRule(context->getRuleIndex()))
    context = dynamic_cast<antlr4::ParserRuleContext *>(context->parent);
  return context ? context->getStart() : nullptr;
}
bool isStatementList(size_t rule) {
  return rule == Parser::RuleStmts || rule == Parser::RuleOptimizeItems || rule == Parser::RuleKindItems;
}

} // namespace

void ErrorStrategy::report(antlr4::Parser *parser, Token *token, std::string expected, Token *first) {
  if (reported_)
    return;
  reported_ = true;
  std::string what = describe(parser, token);
  Range range = piece_.range(*token);
  for (const Range &damaged : damaged_)
    if (range.begin >= damaged.begin && range.begin <= damaged.end)
      return;
  auto report = diags_.report(diag::Kind::E0101, range, {what});
  if (!expected.empty())
    report.here("expected " + expected);
  if (!first)
    return;
  const std::string word = first->getText();
  if (auto foreign = kForeignStatements.find(word); foreign != kForeignStatements.end())
    report.help(foreign->second);
  else if (auto meant = diag::suggest(word, kStatementWords); meant && first->getType() == Parser::ID)
    report.help("did you mean `" + *meant + "`?").fixit(piece_.range(*first), *meant);
  else if (token->getText() == ":" && expected.find("`)`") != std::string::npos && word != "fn")
    report.help("a named argument is written `name = value`").fixit(range, " =");
}

void ErrorStrategy::reportError(antlr4::Parser *parser, const antlr4::RecognitionException &error) {
  Token *offending = error.getOffendingToken() ? error.getOffendingToken() : parser->getCurrentToken();
  // After some look-ahead the parser still stands at the beginning, so its expectations are not of the offending token.
  bool here = offending == parser->getCurrentToken();
  report(parser, offending, here ? expectation(parser) : "", statementStart(parser));
}

void ErrorStrategy::recover(antlr4::Parser *parser, std::exception_ptr error) {
  auto *context = parser->getContext();
  if (!isStatementRule(context->getRuleIndex())) {
    if (context->parent == nullptr)
      return; // the whole text was one expression
    std::rethrow_exception(error);
  }
  skipStatement(parser, context->getStart()->getTokenIndex());
}

antlr4::Token *ErrorStrategy::recoverInline(antlr4::Parser *parser) { throw antlr4::InputMismatchException(parser); }

void ErrorStrategy::sync(antlr4::Parser *parser) {
  if (!isStatementList(parser->getContext()->getRuleIndex()))
    return;
  for (;;) {
    size_t next = parser->getTokenStream()->LA(1);
    if (next == Parser::SEP || next == Parser::RBRACE || next == Token::EOF)
      return;
    if (parser->getATN().nextTokens(parser->getATN().states[parser->getState()]).contains(next))
      return;
    report(parser, parser->getCurrentToken(), "a statement", parser->getCurrentToken());
    skipStatement(parser, parser->getCurrentToken()->getTokenIndex());
  }
}

void ErrorStrategy::skipStatement(antlr4::Parser *parser, size_t from) {
  auto *stream = parser->getTokenStream();
  int depth = 0;
  for (size_t i = from; i < parser->getCurrentToken()->getTokenIndex(); ++i)
    depth += stream->get(i)->getType() == Parser::LBRACE ? 1 : stream->get(i)->getType() == Parser::RBRACE ? -1 : 0;
  for (size_t type = stream->LA(1); type != Token::EOF; type = stream->LA(1)) {
    if (depth <= 0 && type == Parser::RBRACE)
      break;
    depth += type == Parser::LBRACE ? 1 : type == Parser::RBRACE ? -1 : 0;
    stream->consume();
    if (depth <= 0 && type == Parser::SEP)
      break;
  }
  reported_ = false;
}

} // namespace peftc::syntax
