// Tensors: arithmetic, products, indexing: from values of the language to `nn` ops.
//
// Errs   E0350 shapes that do not match (the message is the op's own type inference), E0354 not a tensor
#include "compiler/import/Elaborator.h"

namespace peftc::import {
using diag::Kind;
using mlir::nn::Dim;
using mlir::nn::NNType;

/// Creates an op by name; its result type is inferred, and what inference has to say becomes the user's message.
Tensor Elaborator::emitNamed(llvm::StringRef op, Range range, std::vector<mlir::Value> operands,
                             std::vector<mlir::NamedAttribute> attributes, std::vector<std::string> axes) {
  mlir::Location loc = location(range);
  mlir::OperationState state(loc, op, operands, {}, attributes);
  auto registered = state.name.getRegisteredInfo();
  assert(registered && "an nn op");
  std::string message;
  mlir::ScopedDiagnosticHandler capture(context_, [&](mlir::Diagnostic &diagnostic) {
    message = diagnostic.str();
    return mlir::success();
  });
  auto *infer = registered->getInterface<mlir::InferTypeOpInterface>();
  llvm::SmallVector<mlir::Type> types;
  // Inherent attributes live in the op's properties: make an untyped op first to have them converted.
  mlir::DictionaryAttr dictionary = mlir::DictionaryAttr::get(context_, attributes);
  llvm::SmallVector<char> storage(registered->getOpPropertyByteSize() + 16);
  bool hasProperties = registered->getOpPropertyByteSize() > 0;
  mlir::OpaqueProperties properties(hasProperties ? storage.data() : nullptr);
  if (hasProperties)
    registered->initOpProperties(properties, mlir::OpaqueProperties(nullptr));
  llvm::scope_exit destroy([&] {
    if (hasProperties)
      registered->destroyOpProperties(properties);
  });
  if ((hasProperties && mlir::failed(registered->setOpPropertiesFromAttribute(state.name, properties, dictionary,
                                                                              [&] { return mlir::emitError(loc); }))) ||
      mlir::failed(infer->inferReturnTypes(context_, loc, operands, dictionary, properties, {}, types)))
    fail(Kind::E0350, range, {message});
  state.addTypes(types);
  Tensor result{builder_.create(state)->getResult(0), std::move(axes)};
  result.axes.resize(result.type().rank());
  return result;
}

Tensor Elaborator::constant(double value, mlir::Type element, Range range) {
  NNType type = NNType::get(context_, false, {}, element);
  mlir::Attribute attribute = element.isInteger(1)    ? mlir::Attribute(mlir::BoolAttr::get(context_, value != 0))
                              : element.isInteger(64) ? mlir::Attribute(mlir::IntegerAttr::get(i64(), static_cast<int64_t>(value)))
                                                      : mlir::Attribute(mlir::FloatAttr::get(mlir::Float64Type::get(context_), value));
  auto op = mlir::nn::ConstantOp::create(builder_, location(range), type, attribute);
  return {op.getResult(), {}};
}

Tensor Elaborator::toTensor(const Value &value, mlir::Type element, Range range) {
  if (auto *tensor = value.as<Tensor>())
    return *tensor;
  if (value.isNumber()) {
    bool fractional = value.as<double>() && *value.as<double>() != static_cast<double>(static_cast<int64_t>(*value.as<double>()));
    return constant(value.number(), fractional || !element ? f32() : element, range);
  }
  if (auto *flag = value.as<bool>())
    return constant(*flag, i1(), range);
  if (auto *list = value.list()) {
    std::vector<double> numbers;
    bool whole = true;
    for (const Value &item : *list) {
      if (!item.isNumber())
        fail(Kind::E0354, range, {"a list of numbers"});
      numbers.push_back(item.number());
      whole &= item.as<int64_t>() != nullptr;
    }
    NNType type = NNType::get(context_, false, {Dim{static_cast<int64_t>(numbers.size()), 0}}, whole ? i64() : f32());
    return {mlir::nn::LiteralOp::create(builder_, location(range), type, mlir::DenseF64ArrayAttr::get(context_, numbers)).getResult(), {""}};
  }
  if (auto *init = value.as<Initializer>())
    fail(Kind::E0350, range, {"`" + init->name + "` has no shape here"}, "", "`like = x` gives it one");
  fail(Kind::E0350, range, {"this is " + value.describe() + ", not a tensor"});
}

Tensor Elaborator::asFloat(const Tensor &tensor, Range range) {
  if (tensor.type().isFloat())
    return tensor;
  return emit<mlir::nn::CastOp>(range, {tensor.value}, {attr("to", mlir::TypeAttr::get(f32()))}, tensor.axes);
}

/// Axis names of a right-aligned broadcast.
static std::vector<std::string> broadcastAxes(const Tensor &x, const Tensor &y) {
  const Tensor &big = x.axes.size() >= y.axes.size() ? x : y;
  const Tensor &small = &big == &x ? y : x;
  std::vector<std::string> axes = big.axes;
  size_t shift = big.axes.size() - small.axes.size();
  for (size_t i = 0; i < small.axes.size(); ++i)
    if (axes[i + shift].empty() || big.type().getDims()[i + shift].is(1))
      axes[i + shift] = small.axes[i];
  return axes;
}

Tensor Elaborator::binary(llvm::StringRef op, Value lhs, Value rhs, Range range) {
  auto elementOf = [&](const Value &value) -> mlir::Type {
    if (auto *tensor = value.as<Tensor>())
      return tensor->type().getElement();
    return {};
  };
  mlir::Type left = elementOf(lhs), right = elementOf(rhs);
  Tensor x = toTensor(lhs, right ? right : f32(), range), y = toTensor(rhs, left ? left : f32(), range);
  bool logical = op == "nn.and" || op == "nn.or";
  // Mixed kinds meet in f32; division and powers are always real.
  bool mixed = x.type().getElement() != y.type().getElement();
  if (!logical && (mixed || x.type().isBool() || op == "nn.div" || op == "nn.pow")) {
    x = asFloat(x, range);
    y = asFloat(y, range);
  }
  auto axes = broadcastAxes(x, y);
  return emitNamed(op, range, {x.value, y.value}, {}, axes);
}

Tensor Elaborator::unary(llvm::StringRef op, const Value &value, Range range) {
  Tensor x = toTensor(value, f32(), range);
  if (op != "nn.not" && op != "nn.neg" && op != "nn.abs" && op != "nn.sign" && op != "nn.stop_grad")
    x = asFloat(x, range);
  return emitNamed(op, range, {x.value}, {}, x.axes);
}

Tensor Elaborator::contract(const Tensor &x, const Tensor &y, std::string equation, std::vector<std::string> axes, Range range) {
  return emit<mlir::nn::ContractOp>(range, {x.value, y.value},
                                    {attr("equation", strAttr(equation)), attr("over_examples", boolAttr(false))}, std::move(axes));
}

Tensor Elaborator::matmul(const Tensor &lhs, const Tensor &rhs, Range range) {
  Tensor x = asFloat(lhs, range), y = asFloat(rhs, range);
  int64_t m = x.type().rank(), n = y.type().rank();
  if (m == 0 || n == 0 || n > 2)
    fail(Kind::E0350, range, {"`@` of " + mlir::nn::toString(x.type()) + " and " + mlir::nn::toString(y.type())});
  std::string left, right, out;
  std::vector<std::string> axes;
  for (int64_t i = 0; i + 1 < m; ++i) {
    left += static_cast<char>('a' + i);
    axes.push_back(x.axes[i]);
  }
  out = left;
  left += 'y';
  // `x @ W.T` reads W as it lies.
  mlir::Value other = y.value;
  bool transposed = false;
  if (auto op = other.getDefiningOp<mlir::nn::TransposeOp>(); op && n == 2 && op.getPerm() == llvm::ArrayRef<int64_t>{1, 0}) {
    other = op.getX();
    transposed = true;
  }
  if (n == 1) {
    right = "y";
  } else {
    right = transposed ? "zy" : "yz";
    out += 'z';
    axes.push_back(y.axes[1]);
  }
  return contract(x, Tensor{other, {}}, left + "," + right + "->" + out, axes, range);
}

Tensor Elaborator::transposeLast(const Tensor &x, Range range) {
  int64_t rank = x.type().rank();
  if (rank < 2)
    return x;
  llvm::SmallVector<int64_t> perm(llvm::to_vector(llvm::seq<int64_t>(0, rank)));
  std::swap(perm[rank - 1], perm[rank - 2]);
  auto axes = x.axes;
  std::swap(axes[rank - 1], axes[rank - 2]);
  return emit<mlir::nn::TransposeOp>(range, {x.value}, {attr("perm", intsAttr(perm))}, axes);
}

Tensor Elaborator::reduce(llvm::StringRef kind, const Tensor &x, const std::vector<int64_t> &axes, bool keep, Range range) {
  std::vector<std::string> names;
  for (int64_t i = 0; i < x.type().rank(); ++i)
    if (llvm::is_contained(axes, i)) {
      if (keep)
        names.push_back("");
    } else {
      names.push_back(x.axes[i]);
    }
  Tensor operand = x.type().isBool() ? asFloat(x, range) : x;
  return emit<mlir::nn::ReduceOp>(range, {operand.value},
                                  {attr("kind", strAttr(kind)), attr("axes", intsAttr(axes)), attr("keep", boolAttr(keep)),
                                   attr("over_examples", boolAttr(false))},
                                  names);
}

/// `axis = -1`, `axis = keys`.
int64_t Elaborator::axisOf(const ast::Expr &expr, const Tensor &x, const EnvPtr &env) {
  int64_t rank = x.type().rank();
  if (auto *name = expr.as<ast::NameExpr>()) {
    for (int64_t i = 0; i < rank; ++i)
      if (x.axes[i] == name->name)
        return i;
    auto value = lookup(name->name, env, expr.range);
    if (value && value->as<std::string>()) { // handed on by a fn
      for (int64_t i = 0; i < rank; ++i)
        if (x.axes[i] == *value->as<std::string>())
          return i;
      fail(Kind::E0350, expr.range, {"no axis of " + mlir::nn::toString(x.type()) + " is called `" + *value->as<std::string>() + "`"});
    }
    if (!value || !value->as<int64_t>() || *value->as<int64_t>() >= rank)
      fail(Kind::E0350, expr.range, {"no axis of " + mlir::nn::toString(x.type()) + " is called `" + name->name + "`"});
  }
  int64_t axis = evalInt(expr, env, "an axis");
  if (axis < -rank || axis >= rank)
    fail(Kind::E0350, expr.range, {"axis " + std::to_string(axis) + " of " + mlir::nn::toString(x.type())});
  return axis < 0 ? axis + rank : axis;
}

Tensor Elaborator::select(const Tensor &x, int64_t axis, int64_t at, Range range) {
  auto dim = [&](int64_t c) { return mlir::nn::DimAttr::get(context_, c); };
  std::vector<mlir::NamedAttribute> attributes = {attr("axis", intAttr(axis)), attr("start", dim(at)), attr("step", intAttr(1))};
  if (at != -1)
    attributes.push_back(attr("stop", dim(at + 1)));
  Tensor slice = emit<mlir::nn::SliceOp>(range, {x.value}, attributes, x.axes);
  auto axes = x.axes;
  axes.erase(axes.begin() + axis);
  return emit<mlir::nn::SqueezeOp>(range, {slice.value}, {attr("axis", intAttr(axis))}, axes);
}

Tensor Elaborator::subscript(Tensor x, const ast::Subscript &sub, int64_t &axis, const EnvPtr &env) {
  using K = ast::Subscript::Kind;
  if (sub.kind == K::NewAxis) {
    auto axes = x.axes;
    axes.insert(axes.begin() + axis, "");
    return emit<mlir::nn::ExpandDimsOp>(sub.range, {x.value}, {attr("axis", intAttr(axis++))}, axes);
  }
  if (axis >= x.type().rank())
    fail(Kind::E0350, sub.range, {"too many indices for " + mlir::nn::toString(x.type())});
  if (sub.kind == K::Index) {
    Value at = eval(*sub.index, env);
    if (auto *number = at.as<int64_t>())
      return select(x, axis, *number, sub.range);
    Tensor indices = toTensor(at, i64(), sub.range);
    if (axis != 0)
      fail(Kind::E0350, sub.range, {"an index known only at run time stands for the first axis"});
    auto axes = indices.axes;
    axes.insert(axes.end(), x.axes.begin() + 1, x.axes.end());
    axis = indices.type().rank();
    return emit<mlir::nn::GatherOp>(sub.range, {x.value, indices.value}, {}, axes);
  }
  if (!sub.start && !sub.stop && !sub.step) {
    ++axis;
    return x;
  }
  auto dim = [&](const ast::ExprPtr &expr, int64_t fallback) {
    return mlir::nn::DimAttr::get(context_, expr ? evalInt(*expr, env, "an index") : fallback);
  };
  std::vector<mlir::NamedAttribute> attributes = {attr("axis", intAttr(axis)), attr("start", dim(sub.start, 0)),
                                                  attr("step", intAttr(sub.step ? evalInt(*sub.step, env, "a step") : 1))};
  if (sub.stop)
    attributes.push_back(attr("stop", dim(sub.stop, 0)));
  ++axis;
  return emit<mlir::nn::SliceOp>(sub.range, {x.value}, attributes, x.axes);
}

Value Elaborator::index(const ast::IndexExpr &expr, const EnvPtr &env) {
  if (auto module = moduleOf(expr, env))
    return *module;
  Value object = eval(*expr.object, env);
  if (auto *list = object.list()) {
    if (expr.subscripts.size() == 1 && expr.subscripts[0].kind == ast::Subscript::Kind::Index) {
      int64_t at = evalInt(*expr.subscripts[0].index, env, "an index");
      int64_t count = static_cast<int64_t>(list->size());
      if (at < -count || at >= count)
        fail(Kind::E0350, expr.range, {"entry " + std::to_string(at) + " of a list of " + std::to_string(count)});
      return (*list)[at < 0 ? at + count : at];
    }
    fail(Kind::E0350, expr.range, {"a list takes one index"});
  }
  Tensor x = toTensor(object, f32(), expr.object->range);
  int64_t axis = 0;
  for (const ast::Subscript &sub : expr.subscripts) {
    if (sub.kind == ast::Subscript::Kind::Ellipsis) {
      int64_t rest = 0;
      for (const ast::Subscript &other : expr.subscripts)
        rest += other.kind == ast::Subscript::Kind::Index || other.kind == ast::Subscript::Kind::Slice;
      int64_t done = &sub - expr.subscripts.data();
      axis = x.type().rank() - (rest - done);
      continue;
    }
    x = subscript(x, sub, axis, env);
  }
  return x;
}

Tensor Elaborator::byMode(const Value &train, const Value &infer, Range range) {
  Tensor a = toTensor(train, f32(), range), b = toTensor(infer, f32(), range);
  auto dims = mlir::nn::broadcastDims(a.type().getDims(), b.type().getDims());
  if (mlir::failed(dims))
    fail(Kind::E0350, range, {"training has " + mlir::nn::toString(a.type()) + ", other programs have " + mlir::nn::toString(b.type())});
  const bool example = a.type().getExample() || b.type().getExample();
  for (Tensor *side : {&a, &b}) { // `if training then z else 0.5`
    NNType type = NNType::get(context_, example, *dims, side->type().getElement());
    if (type != side->type())
      side->value = mlir::nn::BroadcastOp::create(builder_, location(range), type, side->value);
  }
  return emit<mlir::nn::ByModeOp>(range, {a.value, b.value}, {}, a.axes.size() == dims->size() ? a.axes : b.axes);
}

/// FNV-1a of the path and a running number: a sampling place keeps its numbers when something is attached elsewhere.
static int64_t samplingSite(const std::string &scope, int64_t count) {
  uint32_t hash = 2166136261u;
  for (unsigned char c : scope + "#" + std::to_string(count))
    hash = (hash ^ c) * 16777619u;
  return hash & 0x7fffffff;
}

Tensor Elaborator::random(llvm::StringRef dist, const Tensor *like, llvm::ArrayRef<Dim> dims, llvm::StringRef rate, Range range) {
  int64_t site = samplingSite(randomScope_, randomCount_[randomScope_]++);
  NNType type = like ? like->type().withElement(f32()) : NNType::get(context_, false, dims, f32());
  auto op = mlir::nn::RandomOp::create(builder_, location(range), type, like ? like->value : mlir::Value(), dist, site, rate);
  std::vector<std::string> axes = like ? like->axes : std::vector<std::string>(dims.size());
  return {op.getResult(), axes};
}

} // namespace peftc::import
