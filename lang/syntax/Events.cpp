// Events: the builder's part for what happens at certain times of a step: `on grad { … }` and what stands in it.
#include "lang/syntax/AstBuilder.h"

namespace peftc::syntax {

ast::StmtPtr AstBuilder::ofGradients(P::StmtContext *context) {
  if (auto *event = context->onGradStmt()) {
    auto out = std::make_unique<ast::OnGradStmt>(range(event));
    out->body = block(event->block(), Place::Gradients);
    return out;
  }
  auto *gradient = context->gradStmt();
  auto out = std::make_unique<ast::GradStmt>(range(gradient));
  out->parameter = postfix(gradient->postfix());
  out->value = expr(gradient->expr());
  return out;
}

} // namespace peftc::syntax
