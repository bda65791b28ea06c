// Builtins: see the header. Here the table, the arguments, and what gives numbers, lists or modules.
//
// A new one is a line in the table below, one in lang/sema/Builtins.def and, if it needs a new primitive, an op of `nn`.
#include "compiler/import/Builtins.h"
#include <cmath>
#include <numeric>

namespace peftc::import {
using diag::Kind;

namespace {
/// A function of one number, element by element: how it is computed away, and the op that it becomes. Either may be null.
struct Elementwise {
  double (*number)(double);
  const char *op;
};
double rsqrt(double x) { return 1 / std::sqrt(x); }
double sign(double x) { return double((x > 0) - (x < 0)); }
const std::map<std::string, Elementwise> kElementwise = {
    {"exp", {std::exp, "nn.exp"}},       {"log", {std::log, "nn.log"}},   {"log2", {std::log2, nullptr}},
    {"sqrt", {std::sqrt, "nn.sqrt"}},    {"rsqrt", {rsqrt, "nn.rsqrt"}},  {"tanh", {std::tanh, "nn.tanh"}},
    {"erf", {std::erf, "nn.erf"}},       {"sin", {std::sin, "nn.sin"}},   {"cos", {std::cos, "nn.cos"}},
    {"abs", {std::fabs, "nn.abs"}},      {"sign", {sign, "nn.sign"}},     {"floor", {std::floor, "nn.floor"}},
    {"round", {std::round, nullptr}},    {"stop_grad", {nullptr, "nn.stop_grad"}}};
const std::set<std::string> kInitializers = {"zeros",     "ones",            "eye",            "constant",       "normal",
                                             "uniform",   "kaiming_uniform", "kaiming_normal", "xavier_uniform", "bernoulli"};
const std::set<std::string> kNames = {
#define PEFT_BUILTIN(name, args, state, doc) name,
#include "lang/sema/Builtins.def"
#undef PEFT_BUILTIN
};
} // namespace

bool Elaborator::isBuiltin(const std::string &name) const { return kNames.count(name) > 0; }

Value Elaborator::callBuiltin(const std::string &name, const std::vector<ast::Argument> &args, Range range, const EnvPtr &env) {
  return BuiltinCall(*this, name, args, range, env).run();
}

Value BuiltinCall::run() {
  using Body = Value (BuiltinCall::*)();
  using B = BuiltinCall;
  static const std::map<std::string, Body> kBodies = {
      {"pow", &B::pow},           {"real", &B::toNumber},       {"int", &B::toNumber},  {"cast", &B::toNumber}, {"chain", &B::chain}, {"base", &B::base},
      {"scan", &B::scan},         {"has", &B::has},         {"trained", &B::trained}, {"drawn", &B::drawn},
      {"len", &B::len},           {"is_list", &B::isList},      {"fail", &B::fail},           {"max", &B::extremum},  {"min", &B::extremum},  {"sum", &B::sum},
      {"size", &B::size},         {"argmax", &B::argmax},       {"einsum", &B::einsum}, {"concat", &B::join},   {"stack", &B::join},
      {"transpose", &B::transpose}, {"rearrange", &B::rearrange}, {"one_hot", &B::oneHot}, {"index", &B::index}, {"where", &B::where},
      {"gather", &B::gather},     {"inverse", &B::inverse},     {"grad", &B::grad},
      {"roll", &B::turn},         {"repeat", &B::turn},         {"origin", &B::origin},     {"gradient", &B::gradient},     {"total", &B::total},
      {"all_sites", &B::allSites}, {"all_rows", &B::allRows},  {"ranks", &B::placed},      {"order", &B::placed},       {"siblings", &B::siblings}, {"sequence", &B::sequence}};
  if (kInitializers.count(name))
    return initializer();
  if (kElementwise.count(name))
    return elementwise();
  auto body = kBodies.find(name);
  if (body == kBodies.end())
    e.fail(Kind::E0199, range, {name});
  return (this->*body->second)();
}

const ast::Expr *BuiltinCall::named(const char *argument) const {
  for (const ast::Argument &arg : given)
    if (arg.name && arg.name->text == argument)
      return arg.value.get();
  return nullptr;
}

const ast::Expr *BuiltinCall::at(size_t index) const {
  for (const ast::Argument &arg : given)
    if (!arg.name && index-- == 0)
      return arg.value.get();
  return nullptr;
}

size_t BuiltinCall::positional() const {
  return std::count_if(given.begin(), given.end(), [](const ast::Argument &arg) { return !arg.name; });
}

const ast::Expr &BuiltinCall::need(size_t index, const char *what) const {
  if (const ast::Expr *expr = at(index) ? at(index) : named(what))
    return *expr;
  e.fail(Kind::E0350, range, {"`" + name + "` needs `" + what + "`"});
}

Tensor BuiltinCall::tensor(size_t index, const char *what) {
  const ast::Expr &expr = need(index, what);
  return e.toTensor(e.eval(expr, env), e.f32(), expr.range);
}

std::vector<int64_t> BuiltinCall::axes(const Tensor &x) const {
  const ast::Expr *axis = axisArgument();
  bool all = !axis;
  if (auto *word = axis ? axis->as<ast::NameExpr>() : nullptr) {
    auto bound = e.lookup(word->name, env, axis->range);
    all = word->name == "all" || (bound && bound->as<std::string>() && *bound->as<std::string>() == "all");
  }
  if (!all)
    return {e.axisOf(*axis, x, env)};
  std::vector<int64_t> list(x.type().rank());
  std::iota(list.begin(), list.end(), 0);
  return list;
}

std::vector<double> BuiltinCall::numbers() const {
  std::vector<double> out;
  for (const ast::Argument &arg : given) {
    if (arg.name && (arg.name->text == "like" || arg.name->text == "shape"))
      continue;
    Value value = e.eval(*arg.value, env);
    if (!value.isNumber())
      e.fail(Kind::E0354, arg.range, {"a parameter of a distribution"});
    out.push_back(value.number());
  }
  return out;
}

/// A number of a program: finite, and whole if it should be and no digit is lost.
Value BuiltinCall::known(double number, bool whole) {
  if (!std::isfinite(number))
    e.fail(Kind::E0350, range, {"`" + std::string(e.diags_.sources().text(range)) + "` is not a finite number"});
  return whole && std::abs(number) <= kLargestWhole ? Value(static_cast<int64_t>(number)) : Value(number);
}

Value BuiltinCall::elementwise() {
  const Elementwise &function = kElementwise.at(name);
  Value x = value(0, "x");
  if (x.isNumber() && function.number) {
    bool whole = x.as<int64_t>() && (name == "abs" || name == "sign");
    return known(function.number(x.number()), whole || name == "floor" || name == "round");
  }
  if (!function.op)
    e.fail(Kind::E0354, range, {"the argument of `" + name + "`"});
  return e.unary(function.op, x, range);
}

Value BuiltinCall::initializer() {
  Initializer init{name, numbers()};
  if (const ast::Expr *like = named("like")) {
    Tensor shape = e.toTensor(e.eval(*like, env), e.f32(), like->range);
    return e.initial(init, {}, &shape, range);
  }
  return init;
}

Value BuiltinCall::pow() { return e.binary("nn.pow", value(0, "x"), value(1, "y"), range); }

Value BuiltinCall::toNumber() {
  Value x = value(0, "x");
  if (x.isNumber())
    return name == "int" ? known(std::trunc(x.number()), true) : Value(x.number());
  Tensor from = e.toTensor(x, e.f32(), range);
  mlir::Type to = name == "int" ? e.i64() : e.f32();
  return e.emit<mlir::nn::CastOp>(range, {from.value}, {e.attr("to", mlir::TypeAttr::get(to))}, from.axes);
}

Value BuiltinCall::chain() {
  auto modules = e.moduleOf(need(0, "modules"), env);
  if (!modules)
    e.fail(Kind::E0350, need(0, "modules").range, {"`chain` wants a list of modules"});
  Value x = value(1, "x");
  auto inputs = [&](Value first) {
    std::vector<Value> all = {std::move(first)};
    for (size_t i = 2; i < positional(); ++i)
      all.push_back(e.eval(*at(i), env));
    return all;
  };
  for (ModuleNode *node : modules->nodes)
    x = e.callModule(*node, inputs(x), range);
  return x;
}

Value BuiltinCall::sequence() { return SequenceLength{++e.sequences_}; }

Value BuiltinCall::base() {
  if (!e.instance_ || e.inInit_)
    e.fail(Kind::E0350, range, {"`base` is what a method's site computes, and this is no method's body"});
  std::vector<Value> inputs;
  for (const ast::Argument &arg : given)
    inputs.push_back(e.eval(*arg.value, env));
  return e.callModule(*e.instance_->site, std::move(inputs), range);
}

Value BuiltinCall::len() {
  if (auto modules = e.moduleOf(need(0, "list"), env))
    return static_cast<int64_t>(modules->nodes.size());
  Value list = value(0, "list");
  if (!list.list())
    e.fail(Kind::E0350, range, {"`len` of " + list.describe()});
  return static_cast<int64_t>(list.list()->size());
}

Value BuiltinCall::isList() { return value(0, "x").list() != nullptr; }

Value BuiltinCall::trained() {
  const std::string run = e.evalString(need(0, "run"), env), parameter = e.evalString(need(1, "name"), env);
  if (!e.inInit_)
    e.fail(Kind::E0350, range, {"`trained` is an initial value of a parameter"});
  const model::AdapterTensor &found = e.trainedIn(run, parameter, range);
  llvm::SmallVector<mlir::nn::Dim> dims;
  for (int64_t length : found.shape)
    dims.push_back({length, 0});
  auto type = mlir::nn::NNType::get(e.context_, false, dims, e.f32());
  return Tensor{mlir::nn::LiteralOp::create(e.builder_, e.location(range), type, mlir::DenseF64ArrayAttr::get(e.context_, found.numbers)).getResult(), std::vector<std::string>(dims.size())};
}

/// Unrolled: a list's length is known.
Value BuiltinCall::scan() {
  const Value step = value(0, "step"), list = value(2, "list");
  if (!list.list())
    e.fail(Kind::E0354, need(2, "list").range, {"what a scan goes along"});
  auto after = std::make_shared<ValueList>();
  Value state = value(1, "start");
  for (const Value &entry : *list.list())
    after->push_back(state = e.apply(step, {state, entry}, range));
  return Value(after);
}

Value BuiltinCall::has() {
  if (!e.instance_)
    e.fail(Kind::E0350, range, {"`has` asks what a method's site has, and this is no method's body"});
  const ModuleNode &site = *e.instance_->site;
  return std::all_of(given.begin(), given.end(), [&](const ast::Argument &arg) {
    auto *word = arg.value->as<ast::NameExpr>();
    if (!word)
      e.fail(Kind::E0350, arg.range, {"`has` wants names"});
    return site.points.count(word->name) || site.named.count(word->name);
  });
}

Value BuiltinCall::drawn() { e.fail(Kind::E0350, range, {"`drawn` is a selector's condition, or joined to others by `and`"}); }

Value BuiltinCall::fail() { e.fail(Kind::E0355, range, {e.evalString(need(0, "message"), env)}); }

} // namespace peftc::import
