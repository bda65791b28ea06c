// AstBuilder: ranges, names and doc comments; what all parts of the builder need.
#include "lang/syntax/AstBuilder.h"

namespace peftc::syntax {

Range AstBuilder::range(antlr4::ParserRuleContext *context) const {
  Range begin = piece_.range(*context->getStart());
  antlr4::Token *stop = context->getStop() ? context->getStop() : context->getStart();
  return {begin.file, begin.begin, std::max(begin.begin, piece_.range(*stop).end)};
}

std::vector<ast::Ident> AstBuilder::idents(const std::vector<P::IdentContext *> &contexts, size_t from) const {
  std::vector<ast::Ident> out;
  for (size_t i = from; i < contexts.size(); ++i)
    out.push_back(ident(contexts[i]));
  return out;
}

std::string AstBuilder::doc(antlr4::ParserRuleContext *context) const {
  auto found = docs_.find(context->getStart()->getTokenIndex());
  return found == docs_.end() ? "" : found->second;
}

void AstBuilder::reserved(antlr4::Token *word) { diags_.report(diag::Kind::E0199, range(word), {word->getText()}); }

} // namespace peftc::syntax
