// Builtins: the functions that the language has without a declaration.
//
// Each takes its arguments unevaluated (an axis may be a name) through `Arguments`. A new one is a line in the table below,
// one in lang/sema/Builtins.def and, if it needs a new primitive, an op of `nn`.
#include "compiler/import/Elaborator.h"
#include <cmath>

namespace peftc::import {
using diag::Kind;
using mlir::nn::Dim;
using mlir::nn::NNType;

namespace {
/// Arguments of one call: positional in order, or by name.
struct Arguments {
  const std::vector<ast::Argument> &args;
  const ast::Expr *named(const char *name) const {
    for (const ast::Argument &arg : args)
      if (arg.name && arg.name->text == name)
        return arg.value.get();
    return nullptr;
  }
  const ast::Expr *at(size_t index) const {
    for (const ast::Argument &arg : args)
      if (!arg.name && index-- == 0)
        return arg.value.get();
    return nullptr;
  }
  const ast::Expr *get(size_t index, const char *name) const { return at(index) ? at(index) : named(name); }
  size_t positional() const {
    return std::count_if(args.begin(), args.end(), [](const ast::Argument &arg) { return !arg.name; });
  }
};
const std::map<std::string, const char *> kUnary = {
    {"exp", "nn.exp"},   {"log", "nn.log"}, {"sqrt", "nn.sqrt"}, {"rsqrt", "nn.rsqrt"}, {"tanh", "nn.tanh"},
    {"erf", "nn.erf"},   {"sin", "nn.sin"}, {"cos", "nn.cos"},   {"abs", "nn.abs"},     {"sign", "nn.sign"},
    {"floor", "nn.floor"}, {"stop_grad", "nn.stop_grad"}};
const std::map<std::string, double (*)(double)> kScalar = {
    {"exp", std::exp}, {"log", std::log}, {"sqrt", std::sqrt}, {"tanh", std::tanh}, {"erf", std::erf},
    {"sin", std::sin}, {"cos", std::cos}, {"abs", std::fabs},  {"floor", std::floor}, {"log2", std::log2},
    {"rsqrt", +[](double x) { return 1 / std::sqrt(x); }}, {"sign", +[](double x) { return double((x > 0) - (x < 0)); }},
    {"round", std::round}};
const std::set<std::string> kInitializers = {"zeros", "ones", "eye", "constant", "normal", "uniform", "kaiming_uniform",
                                             "kaiming_normal", "xavier_uniform", "bernoulli"};
const std::set<std::string> kOthers = {"max", "min", "sum", "argmax", "size", "einsum", "rearrange", "concat", "stack", "transpose",
                                       "one_hot", "index", "where", "cast", "int", "real", "chain", "fail", "len", "range", "pow",
                                       "gather", "scatter_add", "repeat", "split"};
} // namespace

bool Elaborator::isBuiltin(const std::string &name) const {
  return kUnary.count(name) || kScalar.count(name) || kInitializers.count(name) || kOthers.count(name);
}

/// Values of a distribution or constant in the given shape.
Value Elaborator::initial(const Initializer &init, const std::vector<Dim> &dims, const Tensor *like, Range range) {
  const std::string &name = init.name;
  auto arg = [&](size_t i, double fallback) { return i < init.args.size() ? init.args[i] : fallback; };
  llvm::StringRef rate = inInit_ ? "init" : like && like->type().getExample() ? like->type().isStatic() ? "example" : "token" : "pass";
  NNType type = like ? like->type().withElement(f32()) : NNType::get(context_, false, dims, f32());
  auto filled = [&](double value) {
    Tensor scalar = constant(value, f32(), range);
    auto op = mlir::nn::BroadcastOp::create(builder_, location(range), type, scalar.value);
    return Tensor{op.getResult(), like ? like->axes : std::vector<std::string>(dims.size())};
  };
  auto affine = [&](Tensor x, double scale, double shift) {
    Tensor scaled = binary("nn.mul", x, scale, range);
    return shift == 0 ? scaled : binary("nn.add", scaled, shift, range);
  };
  if (name == "zeros" || name == "ones" || name == "constant")
    return filled(name == "zeros" ? 0 : name == "ones" ? 1 : arg(0, 0));
  if (name == "eye") {
    if (type.rank() != 2 || !type.isStatic())
      fail(Kind::E0350, range, {"`eye` has two axes, not " + mlir::nn::toString(type)});
    std::vector<double> numbers(type.elements());
    for (int64_t i = 0; i < std::min(type.getDims()[0].constant, type.getDims()[1].constant); ++i)
      numbers[i * type.getDims()[1].constant + i] = 1;
    return Tensor{mlir::nn::LiteralOp::create(builder_, location(range), type, mlir::DenseF64ArrayAttr::get(context_, numbers)).getResult(), {"", ""}};
  }
  // Fans as in torch.nn.init: of an [out, in, …] array fan_in is everything behind the first axis.
  double fanOut = type.rank() > 0 ? type.getDims()[0].constant : 1;
  double fanIn = type.rank() > 1 && type.isStatic() ? type.elements() / std::max(fanOut, 1.0) : fanOut;
  if (name == "normal")
    return affine(random("normal", like, dims, rate, range), arg(1, 1), arg(0, 0));
  if (name == "kaiming_normal")
    return affine(random("normal", like, dims, rate, range), std::sqrt(2.0 / fanIn), 0);
  double low = arg(0, 0), high = arg(1, 1);
  if (name == "kaiming_uniform")
    high = std::sqrt(2.0 / (1 + arg(0, 0) * arg(0, 0))) * std::sqrt(3.0 / fanIn);
  if (name == "xavier_uniform")
    high = std::sqrt(6.0 / (fanIn + fanOut));
  if (name != "uniform" && name != "bernoulli")
    low = -high;
  Tensor u = random("uniform", like, dims, rate, range);
  if (name == "bernoulli")
    return asFloat(binary("nn.lt", u, arg(0, 0.5), range), range);
  return affine(u, high - low, low);
}

Value Elaborator::callBuiltin(const std::string &name, const std::vector<ast::Argument> &given, Range range, const EnvPtr &env) {
  Arguments args{given};
  auto need = [&](size_t index, const char *what) -> const ast::Expr & {
    if (const ast::Expr *expr = args.get(index, what))
      return *expr;
    fail(Kind::E0350, range, {"`" + name + "` needs `" + what + "`"});
  };
  auto tensor = [&](size_t index, const char *what) {
    const ast::Expr &expr = need(index, what);
    return toTensor(eval(expr, env), f32(), expr.range);
  };
  auto flag = [&](const char *what) { return args.named(what) && evalBool(*args.named(what), env); };
  auto numbers = [&](const char *only) {
    std::vector<double> out;
    for (const ast::Argument &arg : given) {
      if (arg.name && (arg.name->text == "like" || arg.name->text == "shape"))
        continue;
      Value value = eval(*arg.value, env);
      if (!value.isNumber())
        fail(Kind::E0354, arg.range, {only});
      out.push_back(value.number());
    }
    return out;
  };

  if (kInitializers.count(name)) {
    Initializer init{name, numbers("a parameter of a distribution")};
    if (const ast::Expr *like = args.named("like")) {
      Tensor shape = toTensor(eval(*like, env), f32(), like->range);
      return initial(init, {}, &shape, range);
    }
    return init;
  }
  if (args.positional() == 1 && kScalar.count(name)) {
    Value value = eval(*args.at(0), env);
    if (value.isNumber()) {
      double result = kScalar.at(name)(value.number());
      bool whole = value.as<int64_t>() && (name == "abs" || name == "sign");
      if (name == "floor" || name == "round" || whole)
        return static_cast<int64_t>(result);
      return result;
    }
    auto it = kUnary.find(name);
    if (it == kUnary.end())
      fail(Kind::E0354, range, {"the argument of `" + name + "`"});
    return unary(it->second, value, range);
  }
  if (kUnary.count(name))
    return unary(kUnary.at(name), eval(need(0, "x"), env), range);

  auto axes = [&](const Tensor &x) {
    std::vector<int64_t> list;
    const ast::Expr *axis = args.named("axis") ? args.named("axis") : args.at(1);
    bool all = !axis;
    if (axis)
      if (auto *word = axis->as<ast::NameExpr>()) {
        auto bound = lookup(word->name, env, axis->range);
        all = word->name == "all" || (bound && bound->as<std::string>() && *bound->as<std::string>() == "all");
      }
    if (all)
      for (int64_t i = 0; i < x.type().rank(); ++i)
        list.push_back(i);
    else
      list.push_back(axisOf(*axis, x, env));
    return list;
  };

  if (name == "max" || name == "min") {
    if (args.positional() >= 2) {
      Value a = eval(*args.at(0), env), b = eval(*args.at(1), env);
      if (a.isNumber() && b.isNumber()) {
        bool first = (a.number() > b.number()) == (name == "max");
        return first ? a : b;
      }
      return binary(name == "max" ? "nn.max" : "nn.min", a, b, range);
    }
    Tensor x = tensor(0, "x");
    return reduce(name, x, axes(x), flag("keep"), range);
  }
  if (name == "sum") {
    Value value = eval(need(0, "x"), env);
    if (auto *list = value.list()) {
      if (list->empty())
        return static_cast<int64_t>(0);
      Value total = list->front();
      for (size_t i = 1; i < list->size(); ++i)
        total = total.isNumber() && (*list)[i].isNumber()
                    ? Value(total.number() + (*list)[i].number())
                    : Value(binary("nn.add", total, (*list)[i], range));
      return total;
    }
    Tensor x = toTensor(value, f32(), range);
    return reduce("sum", x, axes(x), flag("keep"), range);
  }
  if (name == "size") {
    Tensor x = tensor(0, "x");
    int64_t fixed = 1;
    std::optional<Tensor> ragged;
    for (int64_t axis : axes(x)) {
      Dim dim = x.type().getDims()[axis];
      if (dim.isStatic()) {
        fixed *= dim.constant;
        continue;
      }
      Tensor length = emit<mlir::nn::DimOp>(range, {x.value}, {attr("axis", intAttr(axis))});
      ragged = ragged ? binary("nn.mul", *ragged, length, range) : length;
    }
    return ragged ? Value(binary("nn.mul", *ragged, fixed, range)) : Value(fixed);
  }
  if (name == "argmax") {
    Tensor x = tensor(0, "x");
    const ast::Expr *axis = args.named("axis") ? args.named("axis") : args.at(1);
    int64_t at = axis ? axisOf(*axis, x, env) : x.type().rank() - 1;
    auto names = x.axes;
    names.erase(names.begin() + at);
    return emit<mlir::nn::ArgmaxOp>(range, {x.value}, {attr("axis", intAttr(at))}, names);
  }
  if (name == "einsum") {
    std::vector<Tensor> operands;
    for (size_t i = 1; i < args.positional(); ++i)
      operands.push_back(tensor(i, "operand"));
    return einsum(evalString(need(0, "equation"), env), operands, range);
  }
  if (name == "rearrange") {
    std::map<std::string, int64_t> sizes;
    for (const ast::Argument &arg : given)
      if (arg.name)
        sizes[arg.name->text] = evalInt(*arg.value, env, "a length");
    return rearrange(tensor(0, "x"), evalString(need(1, "pattern"), env), sizes, range);
  }
  if (name == "concat" || name == "stack") {
    std::vector<Tensor> parts;
    for (size_t i = 0; i < args.positional(); ++i) {
      Value value = eval(*args.at(i), env);
      if (auto *list = value.list())
        for (const Value &item : *list)
          parts.push_back(toTensor(item, f32(), range));
      else
        parts.push_back(toTensor(value, f32(), range));
    }
    if (parts.empty())
      fail(Kind::E0350, range, {"nothing to join"});
    int64_t axis = 0;
    if (const ast::Expr *expr = args.named("axis")) {
      // The axis may be named by any part: a fresh parameter's `[n, …]` does not know that it becomes `keys`.
      const Tensor *named = &parts.back();
      if (auto *word = expr->as<ast::NameExpr>())
        for (const Tensor &part : parts)
          if (std::find(part.axes.begin(), part.axes.end(), word->name) != part.axes.end())
            named = &part;
      axis = name == "stack" && !expr->as<ast::NameExpr>() ? evalInt(*expr, env, "an axis") : name == "stack" ? 0 : axisOf(*expr, *named, env);
    }
    std::vector<mlir::Value> values;
    bool anyFloat = std::any_of(parts.begin(), parts.end(), [](const Tensor &part) { return part.type().isFloat(); });
    for (Tensor &part : parts) {
      if (anyFloat)
        part = asFloat(part, range);
      if (name == "stack") {
        auto names = part.axes;
        names.insert(names.begin() + axis, "");
        part = emit<mlir::nn::ExpandDimsOp>(range, {part.value}, {attr("axis", intAttr(axis))}, names);
      }
      values.push_back(part.value);
    }
    return emit<mlir::nn::ConcatOp>(range, values, {attr("axis", intAttr(axis))}, parts.back().axes);
  }
  if (name == "transpose")
    return transposeLast(tensor(0, "x"), range);
  if (name == "one_hot") {
    Tensor x = tensor(0, "x");
    int64_t classes = evalInt(need(1, "size"), env, "a number of classes");
    auto list = std::make_shared<ValueList>();
    for (int64_t i = 0; i < classes; ++i)
      list->push_back(i);
    auto names = x.axes;
    names.push_back("");
    Tensor wide = emit<mlir::nn::ExpandDimsOp>(range, {x.value}, {attr("axis", intAttr(x.type().rank()))}, names);
    return asFloat(binary("nn.eq", wide, Value(list), range), range);
  }
  if (name == "index") {
    Tensor x = tensor(0, "x");
    int64_t axis = args.named("axis") ? axisOf(*args.named("axis"), x, env) : 0;
    return emit<mlir::nn::IotaOp>(range, {x.value}, {attr("axis", intAttr(axis))}, {x.axes[axis]});
  }
  if (name == "where") {
    Tensor c = tensor(0, "condition"), x = tensor(1, "x"), y = tensor(2, "y");
    if (x.type().getElement() != y.type().getElement()) {
      x = asFloat(x, range);
      y = asFloat(y, range);
    }
    const Tensor &widest = x.axes.size() >= y.axes.size() ? x : y;
    return emit<mlir::nn::SelectOp>(range, {c.value, x.value, y.value}, {}, c.axes.size() > widest.axes.size() ? c.axes : widest.axes);
  }
  if (name == "real" || name == "int" || name == "cast") {
    Value value = eval(need(0, "x"), env);
    if (value.isNumber())
      return name == "int" ? Value(static_cast<int64_t>(value.number())) : Value(value.number());
    Tensor x = toTensor(value, f32(), range);
    return emit<mlir::nn::CastOp>(range, {x.value}, {attr("to", mlir::TypeAttr::get(name == "int" ? i64() : f32()))}, x.axes);
  }
  if (name == "gather")
    return emit<mlir::nn::GatherOp>(range, {tensor(0, "table").value, tensor(1, "indices").value}, {});
  if (name == "chain") {
    auto modules = moduleOf(need(0, "modules"), env);
    if (!modules)
      fail(Kind::E0350, args.at(0)->range, {"`chain` wants a list of modules"});
    Value x = eval(need(1, "x"), env);
    for (ModuleNode *node : modules->nodes)
      x = callModule(*node, {x}, range);
    return x;
  }
  if (name == "fail") {
    fail(Kind::E0355, range, {evalString(need(0, "message"), env)});
  }
  if (name == "len") {
    if (auto modules = moduleOf(need(0, "list"), env))
      return static_cast<int64_t>(modules->nodes.size());
    Value value = eval(need(0, "list"), env);
    if (!value.list())
      fail(Kind::E0350, range, {"`len` of " + value.describe()});
    return static_cast<int64_t>(value.list()->size());
  }
  if (name == "pow")
    return binary("nn.pow", eval(need(0, "x"), env), eval(need(1, "y"), env), range);
  fail(Kind::E0199, range, {name});
}

} // namespace peftc::import
