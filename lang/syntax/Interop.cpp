// Interop: the builder's part for `interop` blocks.
#include "lang/syntax/AstBuilder.h"

namespace peftc::syntax {
using Kind = ast::InteropItem::Kind;

ast::InteropItem AstBuilder::interopItem(P::InteropItemContext *context) {
  ast::InteropItem out;
  out.range = range(context);
  if (auto *require = context->requireStmt()) {
    out.kind = Kind::Require;
    out.value = rangeExpr(require->rangeExpr());
    out.message = expr(require->expr());
  } else if (auto *listed = context->listedPart()) {
    out.kind = Kind::Sites;
    out.field = ident(listed->ident());
    out.value = listed->expr() ? expr(listed->expr()) : nullptr;
  } else if (auto *trained = context->trainedPart()) {
    out.kind = Kind::Trained;
    if (trained->ident())
      out.field = ident(trained->ident());
    out.key = string(trained->STRING()->getSymbol());
  } else if (auto *tensor = context->tensorPart()) {
    out.kind = Kind::Tensor;
    out.key = string(tensor->STRING()->getSymbol());
    out.value = expr(tensor->expr());
  } else if (auto *field = context->fieldPart()) {
    const bool choice = field->children.size() > 1 && field->children[1]->getText() == "in";
    out.kind = choice ? Kind::Choice : Kind::Field;
    out.field = ident(field->ident(0));
    out.value = expr(field->expr());
    if (field->ident().size() > 1)
      out.exceptions = ident(field->ident(1));
  }
  return out;
}

/// Of a task only fields: which tensors there are is a method's to say.
ast::StmtPtr AstBuilder::interop(P::InteropStmtContext *context, Place place) {
  auto out = std::make_unique<ast::InteropStmt>(range(context));
  out->format = ident(context->ident());
  if (context->STRING())
    out->within = string(context->STRING()->getSymbol());
  for (auto *item : context->interopItems()->interopItem()) {
    if (item->exception)
      continue;
    ast::InteropItem one = interopItem(item);
    if (place == Place::Task && one.kind != Kind::Field)
      diags_.report(diag::Kind::E0108, one.range, {"this", "a task's `interop`"}).help("it says fields: `task_type = \"…\"`");
    else
      out->items.push_back(std::move(one));
  }
  return out;
}

} // namespace peftc::syntax
