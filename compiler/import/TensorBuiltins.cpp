// TensorBuiltins: the builtins that read or make tensors.
#include "compiler/import/Builtins.h"

namespace peftc::import {
using diag::Kind;
using mlir::nn::Dim;

/// `max(in)`: over all sites of the attach, for what they share.
std::optional<Value> BuiltinCall::overSites() const {
  auto *dim = positional() == 1 && given.size() == 1 ? at(0)->as<ast::NameExpr>() : nullptr;
  if (!dim || !e.instance_ || llvm::none_of(e.instance_->kind->dims, [&](const ast::Ident &known) { return known.text == dim->name; }))
    return std::nullopt;
  std::optional<int64_t> found;
  for (const ModuleNode *site : e.instance_->attach->sites)
    if (auto length = e.lookup(dim->name, site->env, range); length && length->as<int64_t>()) {
      const int64_t here = *length->as<int64_t>();
      found = !found ? here : name == "max" ? std::max(*found, here) : std::min(*found, here);
    }
  return found ? std::optional<Value>(*found) : std::nullopt;
}

Value BuiltinCall::extremum() {
  if (auto over = overSites())
    return *over;
  if (positional() < 2) {
    Tensor x = tensor(0, "x");
    return e.reduce(name, x, axes(x), flag("keep"), range);
  }
  Value a = value(0, "x"), b = value(1, "y");
  if (a.isNumber() && b.isNumber())
    return (a.number() > b.number()) == (name == "max") ? a : b;
  return e.binary("nn." + name, a, b, range);
}

Value BuiltinCall::sum() {
  Value x = value(0, "x");
  auto *list = x.list();
  if (!list) {
    Tensor whole = e.toTensor(x, e.f32(), range);
    return e.reduce("sum", whole, axes(whole), flag("keep"), range);
  }
  if (list->empty())
    return static_cast<int64_t>(0);
  Value total = list->front();
  for (size_t i = 1; i < list->size(); ++i) {
    const Value &next = (*list)[i];
    total = total.isNumber() && next.isNumber() ? Value(total.number() + next.number()) : Value(e.binary("nn.add", total, next, range));
  }
  return total;
}

Value BuiltinCall::size() {
  Tensor x = tensor(0, "x");
  int64_t fixed = 1;
  std::optional<Tensor> ragged;
  for (int64_t axis : axes(x)) {
    Dim dim = x.type().getDims()[axis];
    if (dim.isStatic()) {
      fixed *= dim.constant;
      continue;
    }
    Tensor length = e.emit<mlir::nn::DimOp>(range, {x.value}, {e.attr("axis", e.intAttr(axis))});
    ragged = ragged ? e.binary("nn.mul", *ragged, length, range) : length;
  }
  return ragged ? Value(e.binary("nn.mul", *ragged, fixed, range)) : Value(fixed);
}

Value BuiltinCall::argmax() {
  Tensor x = tensor(0, "x");
  int64_t at = axisArgument() ? e.axisOf(*axisArgument(), x, env) : x.type().rank() - 1;
  auto names = x.axes;
  names.erase(names.begin() + at);
  return e.emit<mlir::nn::ArgmaxOp>(range, {x.value}, {e.attr("axis", e.intAttr(at))}, names);
}

Value BuiltinCall::einsum() {
  std::vector<Tensor> operands;
  for (size_t i = 1; i < positional(); ++i)
    operands.push_back(tensor(i, "operand"));
  return e.einsum(e.evalString(need(0, "equation"), env), operands, range);
}

Value BuiltinCall::rearrange() {
  std::map<std::string, int64_t> sizes;
  for (const ast::Argument &arg : given)
    if (arg.name)
      sizes[arg.name->text] = e.evalInt(*arg.value, env, "a length");
  return e.rearrange(tensor(0, "x"), e.evalString(need(1, "pattern"), env), sizes, range);
}

/// `roll(x, by, axis)` and `repeat(x, times, axis)`, along the last axis unless said.
Value BuiltinCall::turn() {
  Tensor x = tensor(0, "x");
  const bool rolls = name == "roll";
  const int64_t count = e.evalInt(need(1, rolls ? "by" : "times"), env, "a number of entries");
  if (x.type().rank() == 0)
    e.fail(Kind::E0350, range, {"`" + name + "` of a single number"});
  const int64_t axis = named("axis") ? e.axisOf(*named("axis"), x, env) : x.type().rank() - 1;
  if (rolls)
    return e.emit<mlir::nn::RollOp>(range, {x.value}, {e.attr("axis", e.intAttr(axis)), e.attr("by", e.intAttr(count))}, x.axes);
  return e.emit<mlir::nn::RepeatOp>(range, {x.value}, {e.attr("axis", e.intAttr(axis)), e.attr("times", e.intAttr(count))}, x.axes);
}

Value BuiltinCall::origin() {
  Tensor x = tensor(0, "x"), of = tensor(1, "of");
  return e.emit<mlir::nn::OriginOp>(range, {x.value, of.value}, {}, {x.axes.empty() ? "" : x.axes[0]});
}

Value BuiltinCall::gradient() {
  if (!e.instance_ || e.inInit_)
    e.fail(Kind::E0350, range, {"`gradient` is of what a method does in a pass, and this is no method's body"});
  Tensor of = tensor(0, "value"), by = tensor(1, "x");
  Tensor found = e.emit<mlir::nn::GradientOp>(range, {of.value, by.value}, {}, by.axes);
  e.reads_[found.value.getDefiningOp()] = range;
  return found;
}

Value BuiltinCall::total() { return e.total(tensor(0, "x"), range); }

Value BuiltinCall::allRows() { return e.allRows(tensor(0, "x"), range); }

Value BuiltinCall::allSites() { return e.allSites(need(0, "x"), &given, env); }

/// `ranks(x, axis)` and `order(x, axis)`, along the first axis unless said.
Value BuiltinCall::placed() {
  Tensor x = tensor(0, "x");
  if (x.type().rank() == 0)
    e.fail(Kind::E0350, range, {"`" + name + "` of a single number"});
  const auto axis = e.attr("axis", e.intAttr(named("axis") ? e.axisOf(*named("axis"), x, env) : 0));
  return name == "ranks" ? e.emit<mlir::nn::RanksOp>(range, {x.value}, {axis}, x.axes) : e.emit<mlir::nn::OrderOp>(range, {x.value}, {axis}, x.axes);
}

Value BuiltinCall::inverse() {
  Tensor x = tensor(0, "x");
  return e.emit<mlir::nn::InverseOp>(range, {x.value}, {}, x.axes);
}

Value BuiltinCall::siblings() {
  Tensor x = tensor(0, "x");
  const int64_t count = e.info_.examplesOfRow();
  if (count == 1)
    e.fail(Kind::E0350, range, {"`siblings` are the examples of one row, and no row of this task has several"});
  std::vector<std::string> axes = x.axes;
  axes.insert(axes.begin(), "");
  return e.emit<mlir::nn::SiblingsOp>(range, {x.value}, {e.attr("siblings", e.intAttr(count))}, axes);
}

/// What is joined: each argument, or each entry of a list.
std::vector<Tensor> BuiltinCall::parts() {
  std::vector<Tensor> parts;
  for (size_t i = 0; i < positional(); ++i) {
    Value value = e.eval(*at(i), env);
    if (auto *list = value.list())
      for (const Value &item : *list)
        parts.push_back(e.toTensor(item, e.f32(), range));
    else
      parts.push_back(e.toTensor(value, e.f32(), range));
  }
  if (parts.empty())
    e.fail(Kind::E0350, range, {"nothing to join"});
  if (std::any_of(parts.begin(), parts.end(), [](const Tensor &part) { return part.type().isFloat(); }))
    for (Tensor &part : parts)
      part = e.asFloat(part, range);
  return parts;
}

int64_t BuiltinCall::joinedAxis(const std::vector<Tensor> &parts) const {
  const ast::Expr *axis = named("axis");
  auto *word = axis ? axis->as<ast::NameExpr>() : nullptr;
  if (!axis || (name == "stack" && word))
    return 0;
  if (name == "stack")
    return e.evalInt(*axis, env, "an axis");
  // The axis may be named by any part: a fresh parameter's `[n, …]` does not know that it becomes `keys`.
  const Tensor *with = &parts.back();
  if (word)
    for (const Tensor &part : parts)
      if (std::find(part.axes.begin(), part.axes.end(), word->name) != part.axes.end())
        with = &part;
  return e.axisOf(*axis, *with, env);
}

Value BuiltinCall::join() {
  std::vector<Tensor> joined = parts();
  const int64_t axis = joinedAxis(joined);
  const auto attribute = e.attr("axis", e.intAttr(axis));
  if (name == "stack")
    for (Tensor &part : joined) {
      if (axis < 0 || axis > part.type().rank())
        e.fail(Kind::E0350, range, {"`stack` along axis " + std::to_string(axis) + " of " + mlir::nn::toString(part.type())});
      auto names = part.axes;
      names.insert(names.begin() + axis, "");
      part = e.emit<mlir::nn::ExpandDimsOp>(range, {part.value}, {attribute}, names);
    }
  std::vector<mlir::Value> values;
  for (const Tensor &part : joined)
    values.push_back(part.value);
  return e.emit<mlir::nn::ConcatOp>(range, values, {attribute}, joined.back().axes);
}

Value BuiltinCall::transpose() { return e.transposeLast(tensor(0, "x"), range); }

Value BuiltinCall::oneHot() {
  Tensor x = tensor(0, "x");
  int64_t classes = e.evalInt(need(1, "size"), env, "a number of classes");
  auto list = std::make_shared<ValueList>();
  for (int64_t i = 0; i < classes; ++i)
    list->push_back(i);
  auto names = x.axes;
  names.push_back("");
  Tensor wide = e.emit<mlir::nn::ExpandDimsOp>(range, {x.value}, {e.attr("axis", e.intAttr(x.type().rank()))}, names);
  return e.asFloat(e.binary("nn.eq", wide, Value(list), range), range);
}

Value BuiltinCall::index() {
  Tensor x = tensor(0, "x");
  int64_t axis = named("axis") ? e.axisOf(*named("axis"), x, env) : 0;
  if (Dim length = x.type().getDims()[axis]; length.isStatic() && x.type().getExample()) { // the same for every row: the run's
    auto type = mlir::nn::NNType::get(e.context_, false, {length}, e.f32());
    mlir::Value like = mlir::nn::BroadcastOp::create(e.builder_, e.location(range), type, e.constant(0, e.f32(), range).value);
    return e.emit<mlir::nn::IotaOp>(range, {like}, {e.attr("axis", e.intAttr(0))}, {x.axes[axis]});
  }
  return e.emit<mlir::nn::IotaOp>(range, {x.value}, {e.attr("axis", e.intAttr(axis))}, {x.axes[axis]});
}

Value BuiltinCall::where() {
  Tensor c = tensor(0, "condition"), x = tensor(1, "x"), y = tensor(2, "y");
  if (x.type().getElement() != y.type().getElement()) {
    x = e.asFloat(x, range);
    y = e.asFloat(y, range);
  }
  const Tensor &widest = x.axes.size() >= y.axes.size() ? x : y;
  return e.emit<mlir::nn::SelectOp>(range, {c.value, x.value, y.value}, {}, c.axes.size() > widest.axes.size() ? c.axes : widest.axes);
}

Value BuiltinCall::gather() {
  return e.emit<mlir::nn::GatherOp>(range, {tensor(0, "table").value, tensor(1, "indices").value}, {});
}

} // namespace peftc::import
