// Spaces: the builder's part for what a program leaves open, and what it looks for there.
#include "lang/syntax/AstBuilder.h"
#include <algorithm>

namespace peftc::syntax {
using ast::ExprPtr;
using ast::StmtPtr;

ExprPtr AstBuilder::choose(antlr4::ParserRuleContext *whole, Range word, P::ArgumentsContext *context) {
  auto out = std::make_unique<ast::ChooseExpr>(Range{word.file, word.begin, range(whole).end});
  if (!closedTo_.empty())
    diags_.report(diag::Kind::E0108, word, {"`choose`", closedTo_}).help("a program's `attach`, `let`, `input`, `optimize` and `run` may leave values open");
  const std::string outer = std::exchange(closedTo_, "another `choose`");
  std::vector<ast::Argument> given = arguments(context);
  closedTo_ = outer;
  const bool named = std::any_of(given.begin(), given.end(), [](const ast::Argument &argument) { return argument.name.has_value(); });
  if (named || given.size() < 2)
    diags_.report(diag::Kind::E0211, out->range, {"choose", named ? "values without names" : "two values or more"});
  for (ast::Argument &argument : given)
    out->alternatives.push_back(std::move(argument.value));
  return out;
}

StmtPtr AstBuilder::search(P::SearchStmtContext *context) {
  auto out = std::make_unique<ast::SearchStmt>(range(context));
  for (auto *item : context->searchItems()->searchItem()) {
    if (item->exception)
      continue;
    const std::string word = item->ident()->getText();
    ast::ExprPtr value = postfix(item->postfix());
    if (word == "strategy") {
      if (out->strategy)
        diags_.report(diag::Kind::E0206, range(item), {word}).label(out->strategy->range, "first said here");
      out->strategy = std::move(value);
    } else if (word != "minimize" && word != "maximize") {
      diags_.report(diag::Kind::E0101, range(item->ident()), {"`" + word + "`"}).here("expected `minimize`, `maximize` or `strategy`");
    } else if (auto *name = value->as<ast::NameExpr>()) {
      out->objectives.push_back({word == "maximize", {name->name, name->range}});
    } else {
      diags_.report(diag::Kind::E0101, value->range, {"value"}).here("expected a name: `loss`, `params` or a metric of the task");
    }
  }
  return out;
}

} // namespace peftc::syntax
