// Parameters: declarations of weights and of what attaches add, and how they start.
#include "compiler/import/Elaborator.h"

namespace peftc::import {
using diag::Kind;
using mlir::nn::NNType;

mlir::nn::ParameterOp Elaborator::declare(const std::string &name, NNType type, llvm::StringRef role, bool trainable,
                                          const std::string &checkpoint, int64_t attach, Range range) {
  mlir::OpBuilder::InsertionGuard guard(builder_);
  builder_.setInsertionPointToStart(module_.getBody());
  if (!parameters_.empty())
    builder_.setInsertionPointAfter(std::prev(parameters_.end())->second);
  auto op = mlir::nn::ParameterOp::create(builder_, location(range), builder_.getStringAttr(name), mlir::TypeAttr::get(type), builder_.getStringAttr(role),
                                          builder_.getBoolAttr(trainable),
                                          checkpoint.empty() ? mlir::StringAttr() : builder_.getStringAttr(checkpoint),
                                          builder_.getI64IntegerAttr(attach));
  parameters_[name] = op;
  return op;
}

void Elaborator::declareParam(const std::string &name, const ast::ParamStmt &stmt, const EnvPtr &env, int64_t attach, const std::string &site,
                              const model::AdapterTensor *start, bool frozen) {
  using Storage = ast::ParamStmt::Storage;
  NNType type = typeFrom(*stmt.type, env, false);
  if (!type.isStatic())
    fail(Kind::E0354, stmt.type->range, {"the shape of a parameter"}, "it depends on the length of the text");
  if (auto known = parameters_.find(name); known != parameters_.end()) {
    if (known->second.getType() != type)
      fail(Kind::E0350, stmt.type->range,
           {"`" + name + "` is shared and has shape " + mlir::nn::toString(mlir::cast<NNType>(known->second.getType())) + ", at `" + site + "` it would be " + mlir::nn::toString(type)}, "",
           "declare it at its largest, as in `[r, max(in)]`, and take what fits, as in `A[:, :in]`");
    return;
  }
  // Numbers that are drawn once and kept by their seed are not saved.
  const bool trained = stmt.storage == Storage::Param && !frozen;
  llvm::StringRef role = trained ? "method" : frozen || stmt.storage == Storage::Frozen ? "frozen" : "buffer";
  auto op = declare(name, type, role, trained, "", attach, stmt.range);
  op->setAttr("peft.shared", builder_.getBoolAttr(stmt.shared));
  parameterAxes_[name] = axesFrom(*stmt.type);
  initialize(name, type, stmt.init.get(), env, stmt.range, start);
}

std::optional<Value> Elaborator::specParam(const std::string &name, Range range) {
  for (const ast::ParamStmt *stmt : spec_.params)
    if (stmt->name.text == name && root_) {
      declareParam(name, *stmt, root_->env, -1, "model");
      return parameter(name, parameterAxes_[name], range);
    }
  return std::nullopt;
}

Tensor Elaborator::parameter(const std::string &name, std::vector<std::string> axes, Range range) {
  auto it = parameters_.find(name);
  assert(it != parameters_.end() && "parameters are declared before they are read");
  auto type = mlir::cast<NNType>(it->second.getType());
  axes.resize(type.rank());
  // While things start, what has no stored value is what it starts with.
  if (auto start = initial_.find(name); inInit_ && start != initial_.end())
    return {start->second.value, std::move(axes)};
  return {mlir::nn::ParamOp::create(builder_, location(range), type, name).getResult(), std::move(axes)};
}

/// Appends the value with which a parameter starts to @init.
void Elaborator::initialize(const std::string &name, NNType type, const ast::Expr *init, const EnvPtr &env, Range range, const model::AdapterTensor *start) {
  mlir::OpBuilder::InsertionGuard guard(builder_);
  builder_.setInsertionPoint(init_.getBody().front().getTerminator());
  bool outer = std::exchange(inInit_, true);
  std::string scope = std::exchange(randomScope_, "init:" + name);
  llvm::scope_exit restore([&] {
    inInit_ = outer;
    randomScope_ = scope;
  });
  if (start) {
    mlir::Value trained = mlir::nn::LiteralOp::create(builder_, location(range), type, mlir::DenseF64ArrayAttr::get(context_, start->numbers));
    initial_[name] = {trained, std::vector<std::string>(type.rank())};
    initResults_.push_back(trained);
    initNames_.push_back(name);
    return;
  }
  Value value = init ? eval(*init, env) : Value(Initializer{"zeros", {}});
  if (auto *callable = value.as<Callable>(); callable && callable->kind == Callable::Kind::Builtin)
    value = Initializer{callable->builtin, {}};
  if (auto *initializer = value.as<Initializer>())
    value = initial(*initializer, {type.getDims().begin(), type.getDims().end()}, nullptr, init ? init->range : range);
  Tensor tensor = asFloat(toTensor(value, f32(), init ? init->range : range), range);
  if (tensor.value.getParentBlock() != &init_.getBody().front())
    fail(Kind::E0354, init->range, {"an initial value"}, "it depends on the text that is read");
  if (!tensor.type().sameShape(type)) {
    auto both = mlir::nn::broadcastDims(tensor.type().getDims(), type.getDims());
    if (mlir::failed(both) || llvm::ArrayRef<mlir::nn::Dim>(*both) != type.getDims())
      fail(Kind::E0350, init->range, {"`" + name + "` is " + mlir::nn::toString(type) + ", its initial value is " + mlir::nn::toString(tensor.type())});
    tensor.value = mlir::nn::BroadcastOp::create(builder_, location(range), type, tensor.value);
  }
  initial_[name] = tensor;
  initResults_.push_back(tensor.value);
  initNames_.push_back(name);
}

} // namespace peftc::import
