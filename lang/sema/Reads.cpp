// Reads: see the header.
#include "lang/sema/Reads.h"

namespace peftc::sema {
using namespace ast;

static ReadSet both(const ReadSet &a, const ReadSet &b) {
  ReadSet out;
  for (const auto &[name, range] : a)
    if (b.count(name))
      out.insert({name, range});
  return out;
}

ReadSet Reads::of(const Expr &expr) const {
  ReadSet out;
  add(out, expr);
  return out;
}

void Reads::add(ReadSet &out, const Expr &expr) const {
  auto optional = [&](const ExprPtr &part) {
    if (part)
      add(out, *part);
  };
  if (auto *name = expr.as<NameExpr>()) {
    auto it = bound_.find(name->name);
    if (it == bound_.end())
      out.insert({name->name, name->range});
    else
      for (const auto &[read, range] : it->second)
        out.insert({read, name->range});
  } else if (auto *list = expr.as<ListExpr>()) {
    for (const ExprPtr &item : list->items)
      add(out, *item);
  } else if (auto *member = expr.as<MemberExpr>()) {
    if (!member->object->as<NameExpr>() || member->member.text == "T")
      add(out, *member->object); // otherwise a point of another module
  } else if (auto *call = expr.as<CallExpr>()) {
    auto *callee = call->callee->as<NameExpr>();
    if (!callee || (bound_.count(callee->name) && !modules_->count(callee->name)))
      add(out, *call->callee);
    for (const Argument &arg : call->args)
      if (!(arg.name && arg.name->text == "axis"))
        add(out, *arg.value);
  } else if (auto *index = expr.as<IndexExpr>()) {
    add(out, *index->object);
    for (const Subscript &subscript : index->subscripts)
      for (const ExprPtr *part : {&subscript.index, &subscript.start, &subscript.stop, &subscript.step})
        optional(*part);
  } else if (auto *unary = expr.as<UnaryExpr>()) {
    add(out, *unary->operand);
  } else if (auto *binary = expr.as<BinaryExpr>()) {
    add(out, *binary->lhs);
    if (binary->op != BinaryOp::And && binary->op != BinaryOp::Or && binary->op != BinaryOp::Else)
      add(out, *binary->rhs); // else: not certain
  } else if (auto *choice = expr.as<IfExpr>()) {
    add(out, *choice->condition);
    out.merge(both(of(*choice->thenValue), of(*choice->elseValue)));
  } else if (auto *lambda = expr.as<LambdaExpr>()) {
    Reads inner(*this);
    for (const Ident &param : lambda->params)
      inner.hide(param.text);
    out.merge(inner.of(*lambda->body));
  } else if (auto *comprehension = expr.as<ComprehensionExpr>()) {
    add(out, *comprehension->over);
  } else if (auto *block = expr.as<BlockExpr>()) {
    Reads inner(*this);
    for (const StmtPtr &stmt : block->statements)
      if (auto *let = stmt->as<LetStmt>())
        for (const Ident &name : let->names)
          inner.bind(name.text, *let->value);
    out.merge(inner.of(*block->value));
  }
}

Reads Reads::meet(const Reads &a, const Reads &b) {
  Reads out(a);
  for (const auto &[name, reads] : b.bound_) {
    auto it = out.bound_.find(name);
    out.bound_[name] = it == out.bound_.end() ? ReadSet{} : both(it->second, reads);
  }
  for (auto &[name, reads] : out.bound_)
    if (!b.bound_.count(name))
      reads.clear();
  return out;
}

} // namespace peftc::sema
