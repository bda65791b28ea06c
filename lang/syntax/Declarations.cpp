// Declarations: the builder's part for declarations, types and selectors.
#include "lang/syntax/AstBuilder.h"

namespace peftc::syntax {

void AstBuilder::head(ast::Declaration &declaration, antlr4::ParserRuleContext *context, P::IdentContext *name,
                      P::ParamsContext *params) {
  declaration.name = ident(name);
  declaration.doc = doc(context);
  if (params)
    for (auto *param : params->param())
      declaration.params.push_back(parameter(param));
}

ast::Parameter AstBuilder::parameter(P::ParamContext *context) {
  ast::Parameter out;
  out.name = ident(context->ident());
  out.range = range(context);
  out.isConst = context->constant != nullptr;
  if (context->type())
    out.type = type(context->type());
  if (context->expr())
    out.defaultValue = expr(context->expr());
  return out;
}

std::vector<ast::Ident> AstBuilder::kinds(P::KindsContext *context) const {
  std::vector<ast::Ident> out;
  if (!context)
    return out;
  for (auto *site : context->site())
    if (site->getText() != "module") // stands for no kind
      out.push_back(ident(site));
  return out;
}

ast::StmtPtr AstBuilder::declaration(P::StmtContext *context) {
  if (auto *fn = context->fnDecl()) {
    auto out = std::make_unique<ast::FnStmt>(range(fn));
    head(*out, fn, fn->ident(), fn->params());
    out->body = expr(fn->expr());
    return out;
  }
  if (auto *method = context->methodDecl())
    return this->method(method);
  if (auto *arch = context->archDecl()) {
    auto out = std::make_unique<ast::ArchStmt>(range(arch));
    head(*out, arch, arch->ident(), arch->params());
    out->kinds = kinds(arch->kinds());
    out->body = block(arch->block(), Place::Module);
    return out;
  }
  if (auto *module = context->moduleDecl()) {
    auto out = std::make_unique<ast::ModuleDeclStmt>(range(module));
    head(*out, module, module->ident(), module->params());
    out->kinds = kinds(module->kinds());
    out->body = block(module->block(), Place::Module);
    return out;
  }
  if (auto *optimizer = context->optimizerDecl()) {
    auto out = std::make_unique<ast::OptimizerStmt>(range(optimizer));
    head(*out, optimizer, optimizer->ident(), optimizer->params());
    out->body = block(optimizer->block(), Place::Optimizer);
    return out;
  }
  if (auto *schedule = context->scheduleDecl()) {
    auto out = std::make_unique<ast::ScheduleStmt>(range(schedule));
    head(*out, schedule, schedule->ident(), schedule->params());
    out->body = expr(schedule->expr());
    return out;
  }
  if (auto *task = context->taskDecl()) {
    auto out = std::make_unique<ast::TaskStmt>(range(task));
    head(*out, task, task->ident(), task->params());
    if (task->site())
      out->site = ident(task->site());
    out->body = block(task->block(), Place::Task);
    return out;
  }
  return context->kindDecl() ? kind(context->kindDecl()) : nullptr;
}

ast::StmtPtr AstBuilder::method(P::MethodDeclContext *context) {
  auto out = std::make_unique<ast::MethodStmt>(range(context));
  head(*out, context, context->ident(), context->params());
  if (context->site())
    out->site = ident(context->site());
  if (context->expr())
    reserved(static_cast<antlr4::tree::TerminalNode *>(context->children[context->children.size() - 3])->getSymbol());
  out->body = block(context->block(), Place::Method);
  return out;
}

ast::StmtPtr AstBuilder::kind(P::KindDeclContext *context) {
  auto out = std::make_unique<ast::KindDeclStmt>(range(context));
  head(*out, context, context->ident(), nullptr);
  for (auto *item : context->kindItems()->kindItem()) {
    if (item->exception)
      continue;
    for (auto &dim : idents(item->ident()))
      out->dims.push_back(dim);
    if (auto *point = item->point())
      out->points.push_back({ident(point->ident()), type(point->type())});
  }
  return out;
}

ast::Bound AstBuilder::bound(P::BoundContext *context) {
  static const std::map<std::string, ast::Bound::Op> ops = {{"<", ast::Bound::Op::Below}, {"<=", ast::Bound::Op::AtMost}, {">", ast::Bound::Op::Above}, {">=", ast::Bound::Op::AtLeast}};
  const std::string spelling = (context->minus ? "-" : "") + context->value->getText();
  return {ops.at(context->op->getText()), valueOf(spelling), spelling};
}

std::unique_ptr<ast::TypeExpr> AstBuilder::type(P::TypeContext *context) {
  auto out = std::make_unique<ast::TypeExpr>();
  out->range = range(context);
  if (auto *list = dynamic_cast<P::ListTypeContext *>(context)) {
    out->name = "list";
    out->element = type(list->type());
  } else if (auto *method = dynamic_cast<P::MethodTypeContext *>(context)) {
    out->name = "method";
    out->methodKind = method->site()->getText();
  } else if (auto *tensor = dynamic_cast<P::TensorTypeContext *>(context)) {
    out->isTensor = true;
    out->name = tensor->ident() ? tensor->ident()->getText() : "real";
    for (auto *dim : tensor->expr())
      out->dims.push_back(expr(dim));
  } else {
    auto *named = dynamic_cast<P::NamedTypeContext *>(context);
    out->name = named->ident()->getText();
    for (auto *one : named->bound())
      out->bounds.push_back(bound(one));
  }
  return out;
}

ast::Selector AstBuilder::selector(P::SelectorContext *context) {
  ast::Selector out;
  out.range = range(context);
  for (auto *one : context->path())
    out.paths.push_back(path(one));
  if (context->expr())
    out.where = expr(context->expr());
  for (auto *one : context->except())
    out.except.push_back(path(one->path()));
  return out;
}

std::vector<ast::SelectorPart> AstBuilder::path(P::PathContext *context) {
  std::vector<ast::SelectorPart> out;
  for (auto *one : context->part()) {
    ast::SelectorPart part;
    part.range = range(one);
    if (one->star) {
      part.kind = ast::SelectorPart::Kind::Star;
    } else if (one->doubleStar) {
      part.kind = ast::SelectorPart::Kind::DoubleStar;
    } else if (one->STRING()) {
      part.kind = ast::SelectorPart::Kind::Checkpoint;
      part.name = plainString(one->STRING()->getSymbol());
    } else if (auto *subset = one->subset()) {
      part.kind = ast::SelectorPart::Kind::Subset;
      part.name = subset->of->getText();
      part.start = orExpr(subset->from_);
      part.stop = orExpr(subset->to_);
      if (!closedTo_.empty())
        diags_.report(diag::Kind::E0108, range(subset), {"`choose`", closedTo_}).help("an `attach` may leave its sites open");
      if (subset->word->getText() != "subset")
        diags_.report(diag::Kind::E0101, range(subset->word), {"`" + subset->word->getText() + "`"}).here("expected `subset`: `choose subset(layers, 0..12)`");
    } else if (one->ident()) {
      part.name = one->ident()->getText();
    } else {
      part.kind = ast::SelectorPart::Kind::Alternatives;
      for (auto *alternative : one->path())
        part.alternatives.push_back(path(alternative));
    }
    if (one->partIndex())
      partIndex(part, one->partIndex());
    out.push_back(std::move(part));
  }
  return out;
}

void AstBuilder::partIndex(ast::SelectorPart &part, P::PartIndexContext *context) {
  part.indexed = true;
  auto bound = [&](P::OrExprContext *bound) { return bound ? orExpr(bound) : nullptr; };
  if (auto *one = dynamic_cast<P::OneIndexContext *>(context)) {
    part.index = orExpr(one->orExpr());
  } else if (auto *between = dynamic_cast<P::RangeIndexContext *>(context)) {
    part.start = bound(between->from_);
    part.stop = bound(between->to_);
  } else if (auto *slice = dynamic_cast<P::SliceIndexContext *>(context)) {
    part.start = bound(slice->from_);
    part.stop = bound(slice->to_);
    part.step = bound(slice->by_);
  }
}

} // namespace peftc::syntax
