// ShapeCalls: shapes of calls: fns are followed, builtins are known, everything else stays open.
#include "lang/sema/ShapeOf.h"
#include <algorithm>
#include <sstream>

namespace peftc::sema {
using namespace ast;
using ShapeKind = Shape::Kind;

static const Expr *named(const std::vector<Argument> &args, const char *name) {
  for (const Argument &arg : args)
    if (arg.name && arg.name->text == name)
      return arg.value.get();
  return nullptr;
}
static const Expr *at(const std::vector<Argument> &args, size_t index) {
  for (const Argument &arg : args)
    if (!arg.name && index-- == 0)
      return arg.value.get();
  return nullptr;
}

Shape ShapeOf::call(const CallExpr &expr, const ShapeEnv &env) {
  auto *name = expr.callee->as<NameExpr>();
  Shape callee;
  if (name && (env.count(name->name) || !network_.children.count(name->name)))
    callee = this->name(name->name, name->range, env);
  else if (!name && !expr.callee->as<MemberExpr>())
    callee = of(*expr.callee, env);
  if (callee.kind == ShapeKind::Function && callee.fn)
    return callFn(*callee.fn, expr.args, expr.range, env);
  if (callee.kind == ShapeKind::Function && !callee.word.empty())
    return callBuiltin(callee.word, expr.args, expr.range, env);
  for (const Argument &arg : expr.args)
    of(*arg.value, env); // for what is wrong within
  if (callee.isValue() && !(name && network_.children.count(name->name)))
    mismatch(expr.callee->range, (callee.isTensor() ? "a tensor" : "a number") + std::string(" is not called"));
  return {};
}

Shape ShapeOf::callFn(const FnStmt &fn, const std::vector<Argument> &args, Range range, const ShapeEnv &env) {
  ShapeEnv inner;
  size_t place = 0;
  for (const Argument &arg : args) {
    std::string name = arg.name ? arg.name->text : place < fn.params.size() ? fn.params[place++].name.text : "";
    auto *word = name == "axis" ? arg.value->as<NameExpr>() : nullptr;
    if (word && word->name != "axis") { // an axis is said by its name, whatever else is called so
      inner[name].kind = ShapeKind::Word;
      inner[name].word = word->name;
    } else {
      inner[name] = of(*arg.value, env);
    }
  }
  if (depth_ > 20)
    return {};
  const Range outer = blame_;
  if (!blame_.valid())
    blame_ = range; // what does not fit is the caller's
  ++depth_;
  for (const Parameter &param : fn.params)
    if (!inner.count(param.name.text)) {
      auto *word = param.name.text == "axis" && param.defaultValue ? param.defaultValue->as<NameExpr>() : nullptr;
      Shape value = param.defaultValue ? of(*param.defaultValue, inner) : Shape();
      if (word) {
        value = Shape();
        value.kind = ShapeKind::Word;
        value.word = word->name;
      }
      inner[param.name.text] = value;
    }
  Shape result = of(*fn.body, inner);
  --depth_;
  blame_ = outer;
  return result;
}

int ShapeOf::axisOf(const Expr &axis, const Shape &x, Range range, const ShapeEnv &env) {
  const int rank = static_cast<int>(x.rank());
  if (auto *name = axis.as<NameExpr>()) {
    auto bound = env.find(name->name);
    const std::string word = bound != env.end() && bound->second.kind == ShapeKind::Word ? bound->second.word : name->name;
    if (std::count(x.axes.begin(), x.axes.end(), word) == 1)
      return static_cast<int>(std::find(x.axes.begin(), x.axes.end(), word) - x.axes.begin());
    bool allNamed = std::none_of(x.axes.begin(), x.axes.end(), [](const std::string &known) { return known.empty(); });
    if (allNamed && !std::count(x.axes.begin(), x.axes.end(), word) && (bound == env.end() || bound->second.kind == ShapeKind::Word)) {
      mismatch(range, "no axis of " + x.text() + " is called `" + word + "`");
      return -1;
    }
  }
  Shape value = of(axis, env);
  if (value.kind != ShapeKind::Number || value.number.kind != Length::Kind::Number)
    return -1;
  const int64_t number = value.number.number;
  if (number < -rank || number >= rank) {
    mismatch(range, "axis " + std::to_string(number) + " of " + x.text());
    return -1;
  }
  return static_cast<int>(number < 0 ? number + rank : number);
}

static bool isAll(const Expr &axis, const ShapeEnv &env) {
  auto *name = axis.as<NameExpr>();
  if (!name)
    return false;
  auto bound = env.find(name->name);
  return name->name == "all" || (bound != env.end() && bound->second.kind == ShapeKind::Word && bound->second.word == "all");
}

Shape ShapeOf::reduce(const Shape &x, const Expr *axis, bool keep, Range range, const ShapeEnv &env) {
  if (!x.isTensor())
    return {};
  if (!axis || isAll(*axis, env))
    return keep ? Shape() : Shape::tensor({}, {});
  if (x.wide)
    return {};
  int place = axisOf(*axis, x, range, env);
  if (place < 0)
    return {};
  Shape out = x;
  if (keep) {
    out.lengths[place] = Length::of(1);
    out.axes[place].clear();
    return out;
  }
  out.lengths.erase(out.lengths.begin() + place);
  out.axes.erase(out.axes.begin() + place);
  return out;
}

Shape ShapeOf::concat(const std::vector<Shape> &parts, const Expr *axis, Range range, const ShapeEnv &env) {
  for (const Shape &part : parts)
    if (!part.isTensor())
      return {};
  if (parts.empty())
    return {};
  for (const Shape &part : parts)
    if (part.rank() != parts[0].rank()) {
      mismatch(range, "shapes " + parts[0].text() + " and " + part.text() + " do not match");
      return {};
    }
  int place = axis ? -1 : 0;
  for (size_t i = parts.size(); axis && place < 0 && i-- > 0;)
    if (auto *name = axis->as<NameExpr>(); !name || std::count(parts[i].axes.begin(), parts[i].axes.end(), name->name))
      place = axisOf(*axis, parts[i], range, env);
  if (place < 0)
    return {};
  Shape out = parts.back();
  for (const Shape &part : parts)
    for (size_t i = 0; i < part.rank(); ++i)
      if (static_cast<int>(i) != place && alike_.differ(part.lengths[i], out.lengths[i])) {
        mismatch(range, "shapes " + part.text() + " and " + out.text() + " do not match");
        return {};
      }
  out.lengths[place] = Length::open();
  return out;
}

Shape ShapeOf::callBuiltin(const std::string &name, const std::vector<Argument> &args, Range range, const ShapeEnv &env) {
  static const std::set<std::string> elementwise = {"exp", "log", "sqrt", "rsqrt", "tanh", "erf", "sin", "cos", "abs", "sign",
                                                    "floor", "stop_grad", "cast", "real", "int"};
  std::vector<Shape> values; // positional
  for (const Argument &arg : args)
    if (Shape value = arg.name && arg.name->text == "axis" ? Shape() : of(*arg.value, env); !arg.name)
      values.push_back(value);
  if (const Expr *like = named(args, "like")) {
    Shape shape = of(*like, env);
    return shape.isTensor() ? shape : Shape();
  }
  if (values.empty())
    return {};
  static const std::set<std::string> distributions = {"constant", "normal", "uniform", "kaiming_uniform"};
  if (distributions.count(name) && std::any_of(values.begin(), values.end(), [](const Shape &value) { return value.isTensor(); }))
    say(diag::Kind::E0354, range, {"a parameter of a distribution"});
  const Expr *axis = named(args, "axis") ? named(args, "axis") : at(args, 1);
  const Shape &x = values[0];
  const Expr *keep = named(args, "keep");
  Shape kept = keep ? of(*keep, env) : Shape::truth(false);
  bool two = (name == "max" || name == "min") && values.size() == 2;
  if (elementwise.count(name))
    return x.isTensor() || x.wide ? x : x.kind == ShapeKind::Number ? Shape::scalar() : Shape();
  if (name == "grad" || name == "inverse")
    return x;
  if (two || name == "pow")
    return values.size() == 2 ? together(values[0], values[1], range) : Shape();
  if (name == "sum" || name == "max" || name == "min")
    return kept.kind == ShapeKind::Bool ? reduce(x, name == "sum" ? axis : named(args, "axis"), kept.flag, range, env) : Shape();
  if (name == "gradient")
    return values.size() == 2 && values[1].isTensor() ? values[1] : Shape();
  if (name == "size")
    return Shape::scalar();
  if (std::any_of(values.begin(), values.end(), [](const Shape &value) { return value.wide; }))
    return {};
  if (name == "argmax" && x.isTensor() && x.rank() > 0 && !axis)
    return Shape::tensor({x.lengths.begin(), x.lengths.end() - 1}, {x.axes.begin(), x.axes.end() - 1});
  if (name == "where" && values.size() == 3) {
    Shape both = together(values[1], values[2], range);
    return together(both, x, range);
  }
  if (name == "concat")
    return concat(values, named(args, "axis"), range, env);
  if (name == "rearrange" && x.isTensor() && values.size() == 2)
    if (auto *text = at(args, 1)->as<StringExpr>(); text && text->texts.size() == 1) {
      std::map<std::string, Length> sizes;
      for (const Argument &arg : args)
        if (arg.name)
          sizes[arg.name->text] = of(*arg.value, env).number;
      return rearrange(text->texts[0], x, sizes, range);
    }
  if (name == "einsum")
    if (auto *text = at(args, 0)->as<StringExpr>(); text && text->texts.size() == 1)
      return einsum(text->texts[0], {values.begin() + 1, values.end()}, range);
  return {};
}

} // namespace peftc::sema
