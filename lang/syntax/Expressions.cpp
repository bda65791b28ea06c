// Expressions: the builder's part for values.
#include "lang/syntax/AstBuilder.h"
#include <cmath>
#include <cstdlib>

namespace peftc::syntax {
using ast::BinaryOp;
using ast::ExprPtr;

namespace {
Range spanning(Range a, Range b) { return {a.file, a.begin, b.end}; }
BinaryOp operatorOf(const std::string &text) {
  static const std::map<std::string, BinaryOp> table = {
      {"+", BinaryOp::Add}, {"-", BinaryOp::Sub}, {"*", BinaryOp::Mul},    {"/", BinaryOp::Div}, {"%", BinaryOp::Mod},
      {"@", BinaryOp::MatMul}, {"<", BinaryOp::Lt}, {"<=", BinaryOp::Le}, {">", BinaryOp::Gt},  {">=", BinaryOp::Ge},
      {"==", BinaryOp::Eq}, {"!=", BinaryOp::Ne}};
  return table.at(text);
}
} // namespace

ExprPtr AstBuilder::binary(BinaryOp op, ExprPtr lhs, ExprPtr rhs, Range opRange) {
  auto out = std::make_unique<ast::BinaryExpr>(spanning(lhs->range, rhs->range));
  out->op = op;
  out->lhs = std::move(lhs);
  out->rhs = std::move(rhs);
  out->opRange = opRange;
  return out;
}

ExprPtr AstBuilder::expr(P::ExprContext *context) {
  if (context->lambda())
    return lambda(context->lambda());
  if (context->ifExpr())
    return ifExpr(context->ifExpr());
  ExprPtr value = rangeExpr(context->rangeExpr());
  if (!context->expr())
    return value;
  auto *word = static_cast<antlr4::tree::TerminalNode *>(context->children[1])->getSymbol();
  return binary(BinaryOp::Else, std::move(value), expr(context->expr()), range(word));
}

ExprPtr AstBuilder::lambda(P::LambdaContext *context) {
  auto out = std::make_unique<ast::LambdaExpr>(range(context));
  out->params = idents(context->ident());
  out->body = expr(context->expr());
  return out;
}

ExprPtr AstBuilder::ifExpr(P::IfExprContext *context) {
  auto out = std::make_unique<ast::IfExpr>(range(context));
  out->condition = expr(context->expr(0));
  out->thenValue = thenExpr(context->thenExpr());
  out->elseValue = expr(context->expr(1));
  return out;
}

ExprPtr AstBuilder::thenExpr(P::ThenExprContext *context) {
  return context->ifExpr() ? ifExpr(context->ifExpr()) : rangeExpr(context->rangeExpr());
}

ExprPtr AstBuilder::rangeExpr(P::RangeExprContext *context) {
  ExprPtr first = orExpr(context->orExpr(0));
  if (!context->orExpr(1))
    return first;
  auto *dots = static_cast<antlr4::tree::TerminalNode *>(context->children[1])->getSymbol();
  return binary(BinaryOp::Range, std::move(first), orExpr(context->orExpr(1)), range(dots));
}

ExprPtr AstBuilder::orExpr(P::OrExprContext *context) {
  ExprPtr out = andExpr(context->andExpr(0));
  for (size_t i = 1; i < context->andExpr().size(); ++i)
    out = binary(BinaryOp::Or, std::move(out), andExpr(context->andExpr(i)),
                 range(static_cast<antlr4::tree::TerminalNode *>(context->children[2 * i - 1])->getSymbol()));
  return out;
}

ExprPtr AstBuilder::andExpr(P::AndExprContext *context) {
  ExprPtr out = notExpr(context->notExpr(0));
  for (size_t i = 1; i < context->notExpr().size(); ++i)
    out = binary(BinaryOp::And, std::move(out), notExpr(context->notExpr(i)),
                 range(static_cast<antlr4::tree::TerminalNode *>(context->children[2 * i - 1])->getSymbol()));
  return out;
}

ExprPtr AstBuilder::notExpr(P::NotExprContext *context) {
  if (!context->notExpr())
    return comparison(context->comparison());
  auto out = std::make_unique<ast::UnaryExpr>(range(context));
  out->op = ast::UnaryOp::Not;
  out->operand = notExpr(context->notExpr());
  return out;
}

ExprPtr AstBuilder::comparison(P::ComparisonContext *context) {
  ExprPtr out = additive(context->additive(0));
  if (!context->op)
    return out;
  return binary(operatorOf(context->op->getText()), std::move(out), additive(context->additive(1)), range(context->op));
}

ExprPtr AstBuilder::additive(P::AdditiveContext *context) {
  ExprPtr out = product(context->product(0));
  for (size_t i = 1; i < context->product().size(); ++i)
    out = binary(operatorOf(context->additiveOp(i - 1)->getText()), std::move(out), product(context->product(i)),
                 range(context->additiveOp(i - 1)));
  return out;
}

ExprPtr AstBuilder::product(P::ProductContext *context) {
  ExprPtr out = unary(context->unary(0));
  for (size_t i = 1; i < context->unary().size(); ++i)
    out = binary(operatorOf(context->productOp(i - 1)->getText()), std::move(out), unary(context->unary(i)),
                 range(context->productOp(i - 1)));
  return out;
}

ExprPtr AstBuilder::unary(P::UnaryContext *context) {
  if (context->unary()) {
    auto out = std::make_unique<ast::UnaryExpr>(range(context));
    out->op = ast::UnaryOp::Neg;
    out->operand = unary(context->unary());
    return out;
  }
  if (context->product()) { // sum(i in 0 .. n) body
    auto each = std::make_unique<ast::ComprehensionExpr>(range(context));
    each->variable = ident(context->ident(1));
    each->over = expr(context->expr());
    each->body = product(context->product());
    auto out = std::make_unique<ast::CallExpr>(range(context));
    out->callee = name(context->ident(0));
    Range all = each->range;
    out->args.push_back({std::nullopt, std::move(each), all});
    return out;
  }
  P::PowerContext *power = context->power();
  ExprPtr base = postfix(power->postfix());
  if (!power->unary())
    return base;
  auto *stars = static_cast<antlr4::tree::TerminalNode *>(power->children[1])->getSymbol();
  return binary(BinaryOp::Pow, std::move(base), unary(power->unary()), range(stars));
}

ExprPtr AstBuilder::postfix(P::PostfixContext *context) {
  ExprPtr out = primary(context->primary());
  for (auto *next : context->suffix())
    out = suffix(std::move(out), next);
  return out;
}

ExprPtr AstBuilder::call(antlr4::ParserRuleContext *whole, ExprPtr callee, P::ArgumentsContext *context) {
  if (auto *called = callee->as<ast::NameExpr>(); called && called->name == "choose")
    return choose(whole, called->range, context);
  auto out = std::make_unique<ast::CallExpr>(spanning(callee->range, range(whole)));
  out->callee = std::move(callee);
  out->args = arguments(context);
  return out;
}

ExprPtr AstBuilder::suffix(ExprPtr object, P::SuffixContext *context) {
  Range all = spanning(object->range, range(context));
  if (auto *member = dynamic_cast<P::MemberSuffixContext *>(context)) {
    auto out = std::make_unique<ast::MemberExpr>(all);
    out->object = std::move(object);
    out->member = ident(member->ident());
    return out;
  }
  if (auto *called = dynamic_cast<P::CallSuffixContext *>(context))
    return call(context, std::move(object), called->arguments());
  if (auto *indexed = dynamic_cast<P::IndexSuffixContext *>(context)) {
    auto out = std::make_unique<ast::IndexExpr>(all);
    out->object = std::move(object);
    for (auto *place : indexed->subscript())
      out->subscripts.push_back(subscript(place));
    return out;
  }
  auto *from = dynamic_cast<P::FromSuffixContext *>(context);
  if (object->kind != ast::Expr::Kind::Call) {
    auto wrapped = std::make_unique<ast::CallExpr>(object->range);
    wrapped->callee = std::move(object);
    object = std::move(wrapped);
  }
  auto *out = object->as<ast::CallExpr>();
  out->range = all;
  out->from = primary(from->primary());
  out->frozen = from->frozen != nullptr;
  return object;
}

std::vector<ast::Argument> AstBuilder::arguments(P::ArgumentsContext *context) {
  std::vector<ast::Argument> out;
  bool named = false;
  for (auto *argument : context->argument()) {
    std::optional<ast::Ident> name;
    if (argument->ident())
      name = ident(argument->ident());
    if (named && !name)
      diags_.report(diag::Kind::E0112, range(argument));
    named |= name.has_value();
    out.push_back({name, expr(argument->expr()), range(argument)});
  }
  return out;
}

ast::Subscript AstBuilder::subscript(P::SubscriptContext *context) {
  ast::Subscript out;
  out.range = range(context);
  if (dynamic_cast<P::EllipsisSubscriptContext *>(context)) {
    out.kind = ast::Subscript::Kind::Ellipsis;
  } else if (auto *slice = dynamic_cast<P::SliceSubscriptContext *>(context)) {
    out.kind = ast::Subscript::Kind::Slice;
    auto bound = [&](P::ExprContext *bound) { return bound ? expr(bound) : nullptr; };
    out.start = bound(slice->from_);
    out.stop = bound(slice->to_);
    out.step = bound(slice->by_);
  } else {
    out.index = expr(dynamic_cast<P::IndexSubscriptContext *>(context)->expr());
    if (auto *name = out.index->as<ast::NameExpr>(); name && name->name == "None") {
      out.kind = ast::Subscript::Kind::NewAxis;
      out.index = nullptr;
    }
  }
  return out;
}

ExprPtr AstBuilder::primary(P::PrimaryContext *context) {
  if (auto *number = dynamic_cast<P::NumberContext *>(context))
    return this->number(number->value);
  if (auto *text = dynamic_cast<P::StringContext *>(context))
    return string(text->STRING()->getSymbol());
  if (auto *named = dynamic_cast<P::NameContext *>(context))
    return name(named->ident());
  if (auto *group = dynamic_cast<P::GroupContext *>(context)) {
    ExprPtr inner = expr(group->expr());
    if (inner)
      inner->range = range(context); // with its parentheses, so that what is quoted around it is whole
    return inner;
  }
  if (auto *value = dynamic_cast<P::BlockValueContext *>(context))
    return blockValue(value->block());
  if (auto *constant = dynamic_cast<P::ConstantContext *>(context)) {
    if (constant->word->getText() == "none")
      return std::make_unique<ast::NoneExpr>(range(context));
    auto out = std::make_unique<ast::BoolExpr>(range(context));
    out->value = constant->word->getText() == "true";
    return out;
  }
  if (auto *each = dynamic_cast<P::ComprehensionContext *>(context)) {
    auto out = std::make_unique<ast::ComprehensionExpr>(range(context));
    out->variable = ident(each->ident());
    out->over = expr(each->expr(0));
    out->body = expr(each->expr(1));
    return out;
  }
  auto out = std::make_unique<ast::ListExpr>(range(context));
  auto *tuple = dynamic_cast<P::TupleContext *>(context);
  out->tuple = tuple != nullptr;
  for (auto *item : tuple ? tuple->expr() : dynamic_cast<P::ListValueContext *>(context)->expr())
    out->items.push_back(expr(item));
  return out;
}

ExprPtr AstBuilder::blockValue(P::BlockContext *context) {
  auto out = std::make_unique<ast::BlockExpr>(range(context));
  P::ValueStmtContext *value = nullptr;
  bool broken = false;
  auto all = context->stmts()->statement();
  for (auto *statement : all)
    broken |= statement->exception != nullptr;
  if (!all.empty() && !all.back()->exception && all.back()->stmt())
    value = all.back()->stmt()->valueStmt();
  const std::string outer = closedTo_;
  out->statements = statements(context->stmts(), Place::Function);
  closedTo_ = outer;
  if (value)
    out->value = expr(value->expr());
  else {
    if (!broken)
      diags_.report(diag::Kind::E0114, range(context)).help("its last line is its value");
    out->value = std::make_unique<ast::NoneExpr>(range(context));
  }
  return out;
}

double AstBuilder::valueOf(const std::string &spelling) {
  const double number = std::strtod(spelling.c_str(), nullptr);
  if (spelling.back() == '%')
    return number / 100;
  if (spelling.back() != 'B')
    return number;
  const size_t power = std::string_view("KMGT").find(spelling[spelling.size() - 3]) + 1;
  return std::round(std::ldexp(number, static_cast<int>(10 * power)));
}

ExprPtr AstBuilder::number(antlr4::Token *token) {
  auto out = std::make_unique<ast::NumberExpr>(range(token));
  out->spelling = token->getText();
  out->isPercent = out->spelling.back() == '%';
  out->isInteger = out->spelling.back() == 'B' || out->spelling.find_first_not_of("0123456789") == std::string::npos;
  out->value = valueOf(out->spelling);
  if (!std::isfinite(out->value) || (out->isInteger && out->value >= 0x1p53)) // a whole number that no double holds
    diags_.report(diag::Kind::E0111, out->range, {out->spelling});
  return out;
}

ExprPtr AstBuilder::name(P::IdentContext *context) {
  auto out = std::make_unique<ast::NameExpr>(range(context));
  out->name = context->getText();
  return out;
}

std::string AstBuilder::unescape(std::string_view raw, uint32_t at) {
  std::string out;
  for (size_t i = 0; i < raw.size(); ++i) {
    if (raw[i] != '\\' || i + 1 == raw.size()) {
      out += raw[i];
      continue;
    }
    char escaped = raw[++i];
    static const std::map<char, char> known = {{'n', '\n'}, {'t', '\t'}, {'r', '\r'}, {'"', '"'}, {'\\', '\\'}, {'{', '{'}, {'}', '}'}};
    auto found = known.find(escaped);
    if (found == known.end()) {
      uint32_t begin = at + static_cast<uint32_t>(i) - 1, end = begin + 2;
      while (end - at < raw.size() && (static_cast<unsigned char>(raw[end - at]) & 0xC0) == 0x80)
        ++end; // the rest of a code point
      Range place{piece_.range(0, 0).file, begin, end};
      diags_.report(diag::Kind::E0106, place, {std::string(sources_.text(place))})
          .note("known are \\n \\t \\r \\\" \\\\ \\{ \\}");
    } else {
      out += found->second;
    }
  }
  return out;
}

/// The text between the quotes.
static std::string_view inner(std::string_view raw) { return raw.size() < 2 ? std::string_view() : raw.substr(1, raw.size() - 2); }

std::string AstBuilder::plainString(antlr4::Token *token) {
  Range place = range(token);
  std::string text = token->getText(); // of an unclosed string `""`, which is not what its range says
  return unescape(inner(text), place.begin + 1);
}

ExprPtr AstBuilder::string(antlr4::Token *token) {
  auto out = std::make_unique<ast::StringExpr>(range(token));
  std::string text = token->getText();
  std::string_view raw = inner(text);
  const uint32_t at = out->range.begin + 1;
  size_t begin = 0;
  for (size_t i = 0; i < raw.size(); ++i) {
    if (raw[i] == '\\') {
      ++i;
    } else if (raw[i] == '{') {
      size_t close = raw.find('}', i);
      Range hole{out->range.file, at + static_cast<uint32_t>(i) + 1, at + static_cast<uint32_t>(std::min(close, raw.size()))};
      bool blank = close == std::string_view::npos || raw.substr(i + 1, close - i - 1).find_first_not_of(" \t") == std::string_view::npos;
      if (blank) {
        diags_.report(diag::Kind::E0109, Range{hole.file, hole.begin - 1, std::max(hole.begin, hole.end)})
            .help("a brace that is meant as text is written `\\{`");
        break;
      }
      out->texts.push_back(unescape(raw.substr(begin, i - begin), at + static_cast<uint32_t>(begin)));
      ExprPtr value = parseExpressionIn(sources_, hole, diags_);
      out->holes.push_back(value ? std::move(value) : std::make_unique<ast::NoneExpr>(hole));
      begin = close + 1;
      i = close;
    }
  }
  out->texts.push_back(unescape(raw.substr(std::min(begin, raw.size())), at + static_cast<uint32_t>(begin)));
  return out;
}

} // namespace peftc::syntax
