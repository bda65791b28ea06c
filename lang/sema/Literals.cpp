// Literals: see the header.
#include "lang/sema/Literals.h"
#include <algorithm>
#include <optional>

namespace peftc::sema {
using namespace ast;
using diag::Kind;

namespace {
/// What is written out: a number with its sign, or some other literal.
struct Literal {
  bool isNumber = false, isWhole = false;
  double number = 0;
  std::string text; ///< as it is said in a message
};

std::optional<Literal> literalOf(const Expr &value) {
  if (auto *number = value.as<NumberExpr>())
    return Literal{true, number->isInteger, number->value, number->spelling};
  if (auto *unary = value.as<UnaryExpr>(); unary && unary->op == UnaryOp::Neg)
    if (auto *number = unary->operand->as<NumberExpr>())
      return Literal{true, number->isInteger, -number->value, "-" + number->spelling};
  if (value.as<StringExpr>())
    return Literal{false, false, 0, "a string"};
  if (auto *flag = value.as<BoolExpr>())
    return Literal{false, false, 0, flag->value ? "true" : "false"};
  if (value.as<ListExpr>())
    return Literal{false, false, 0, "a list"};
  return std::nullopt;
}

/// `"accuracy:max"`: a metric, and which end of it is good.
bool namesMetric(const Expr &value) {
  auto *string = value.as<StringExpr>();
  if (!string || !string->holes.empty() || string->texts.size() != 1)
    return string && !string->holes.empty(); // computed: not followed
  const std::string &text = string->texts.front();
  const size_t colon = text.find(':');
  return colon != std::string::npos && colon > 0 && (text.substr(colon) == ":min" || text.substr(colon) == ":max");
}

/// What a literal for this type has to be, when it is not.
std::string wanted(const std::string &type, const Expr &value, const Literal &literal) {
  bool counts = type == "rank" || type == "dim" || type == "count";
  if (counts || type == "int")
    return !literal.isNumber ? "a whole number" : counts && literal.isWhole && literal.number < 1 ? "at least 1" : "";
  if (type == "real" || type == "prob") {
    bool list = value.as<ListExpr>() && type == "real"; // one a feature
    if (!literal.isNumber && !list)
      return "a number";
    return type == "prob" && (literal.number < 0 || literal.number >= 1) ? "in [0, 1)" : "";
  }
  if (type == "bool")
    return value.as<BoolExpr>() ? "" : "true or false";
  if (type == "string")
    return value.as<StringExpr>() ? "" : "a string";
  if (type == "list")
    return value.as<ListExpr>() ? "" : "a list";
  return type == "fn" ? "a function" : type == "method" ? "a method" : "";
}

void checkMethodValue(const std::string &name, const std::string &kind, const Expr &value, const Scope &scope, diag::Engine &diags) {
  auto *call = value.as<CallExpr>();
  auto *callee = (call ? *call->callee : value).as<NameExpr>();
  if (!callee || !scope.methods.count(callee->name))
    return;
  const MethodStmt &method = *scope.methods.at(callee->name);
  std::vector<std::string> sites;
  if (method.site)
    sites.push_back(method.site->text);
  for (const StmtPtr &stmt : method.body)
    if (auto *on = stmt->as<OnStmt>())
      sites.push_back(on->site.text);
  if (sites.empty() || std::find(sites.begin(), sites.end(), kind) != sites.end())
    return;
  std::string list;
  for (const std::string &site : sites)
    list += (list.empty() ? "" : " or ") + site;
  diags.report(Kind::E0402, callee->range, {callee->name, list, name, "for " + kind + " sites"});
}
} // namespace

const std::vector<std::string> &typeNames() {
  static const std::vector<std::string> names = {"int", "real", "prob", "rank", "dim", "bool", "string", "fn", "config", "list", "method"};
  return names;
}

/// `precision = auto`: words, not names.
struct Words {
  std::string type;
  std::vector<std::string> words;
  std::string listed; ///< as a message says them
};
static const Words *wordsOf(const std::string &type) {
  static const std::vector<Words> all = {{"precision", {"auto", "fp32", "bf16"}, "auto, fp32 or bf16"}, {"recompute", {"auto", "layers", "none"}, "auto, layers or none"}, {"layout", {"auto", "bordered", "added"}, "auto, bordered or added"}, {"attention", {"auto", "generated", "library"}, "auto, generated or library"}, {"branches", {"auto", "fused", "apart"}, "auto, fused or apart"}, {"sums", {"auto", "joined", "apart"}, "auto, joined or apart"}};
  auto found = std::find_if(all.begin(), all.end(), [&](const Words &words) { return words.type == type; });
  return found == all.end() ? nullptr : &*found;
}

static void checkWord(const std::string &name, const Words &words, const Expr &value, diag::Engine &diags) {
  auto *word = value.as<NameExpr>();
  const std::string text = value.as<NoneExpr>() ? "none" : word ? word->name : "";
  if (std::find(words.words.begin(), words.words.end(), text) == words.words.end())
    diags.report(Kind::E0353, value.range, {name, words.listed, word ? "`" + word->name + "`" : "this"});
}

bool checkLiteral(const std::string &name, const std::string &type, const Expr &value, diag::Engine &diags) {
  if (const Words *words = wordsOf(type))
    return checkWord(name, *words, value, diags), true;
  if (type == "metric") {
    if (!namesMetric(value))
      diags.report(Kind::E0353, value.range, {name, "a metric with its direction", "`" + std::string(diags.sources().text(value.range)) + "`"}).help("as in `\"accuracy:max\"`");
    return true;
  }
  auto literal = literalOf(value);
  if (!literal)
    return true;
  bool whole = type == "int" || type == "rank" || type == "dim" || type == "count";
  if (whole && literal->isNumber && !literal->isWhole) {
    diags.report(Kind::E0351, value.range, {name, literal->text});
    return false;
  }
  std::string should = wanted(type, value, *literal);
  if (!should.empty())
    diags.report(Kind::E0353, value.range, {name, should, literal->text});
  return should.empty();
}

std::optional<std::string> outOfRange(const TypeExpr &type, double number) {
  if ((type.name == "rank" || type.name == "dim" || type.name == "count") && number < 1)
    return "at least 1";
  if (type.name == "prob" && (number < 0 || number >= 1))
    return "in [0, 1)";
  for (const Bound &bound : type.bounds)
    if (!bound.holds(number))
      return bound.words();
  return std::nullopt;
}

void checkLiteral(const std::string &name, const TypeExpr &type, const Expr &value, const Scope *scope, diag::Engine &diags) {
  if (type.isTensor)
    return;
  if (!type.methodKind.empty() && scope)
    checkMethodValue(name, type.methodKind, value, *scope, diags);
  static const std::vector<std::string> plain = {"int", "rank", "dim", "real", "prob", "bool", "string"};
  if (auto *word = value.as<NameExpr>(); word && scope && scope->fns.count(word->name))
    if (std::find(plain.begin(), plain.end(), type.name) != plain.end() && !type.element)
      diags.report(Kind::E0353, value.range, {name, wanted(type.name, value, Literal{false, false, 0, ""}), "a function"});
  if (!checkLiteral(name, type.element ? "list" : !type.methodKind.empty() ? "method" : type.name, value, diags))
    return;
  if (auto literal = literalOf(value); literal && literal->isNumber)
    if (auto should = outOfRange(type, literal->number))
      diags.report(Kind::E0353, value.range, {name, *should, literal->text});
  if (type.element)
    if (auto *list = value.as<ListExpr>())
      for (const ExprPtr &item : list->items)
        checkLiteral(name, *type.element, *item, scope, diags);
}

} // namespace peftc::sema
