// Modules: the network's tree from the arch, the primitive modules and the task.
//
// In     bodies of arch, task and modules, config.json, the checkpoint's tensor names and shapes
// Out    one peft.module a node, with its forward region; nn.parameter for every weight
// Errs   E0355 `require`; those of Stored.cpp
#include "compiler/import/Elaborator.h"

namespace peftc::import {
using diag::Kind;
using mlir::nn::Dim;
using mlir::nn::NNType;

static std::string joinPath(const std::string &a, const std::string &b, const char *separator = ".") {
  return a.empty() ? b : b.empty() ? a : a + separator + b;
}

constexpr double kMostElements = 0x1p40; // of a tensor: beyond it is a slip, and counts would overflow

NNType Elaborator::typeFrom(const ast::TypeExpr &type, const EnvPtr &env, bool example) {
  llvm::SmallVector<Dim> dims;
  double elements = 1;
  for (const ast::ExprPtr &expr : type.dims) {
    auto *name = expr->as<ast::NameExpr>();
    if (name && (name->name == "seq" || name->name == "keys") && !lookup(name->name, env, expr->range)) {
      dims.push_back(Dim::seq());
      continue;
    }
    std::string text(diags_.sources().text(expr->range));
    Value value = eval(*expr, env);
    if (auto *length = value.as<SequenceLength>(); length && example) {
      dims.push_back(Dim::seq(length->sequence));
      continue;
    }
    if (!value.isNumber())
      fail(Kind::E0354, expr->range, {"a length"}, "this is " + value.describe());
    if (!value.as<int64_t>())
      fail(Kind::E0351, expr->range, {text, spelled(value.number())});
    if (*value.as<int64_t>() < 1)
      fail(Kind::E0353, expr->range, {text, "at least 1", std::to_string(*value.as<int64_t>())});
    dims.push_back({*value.as<int64_t>(), 0});
    if ((elements *= value.number()) > kMostElements)
      fail(Kind::E0353, expr->range, {text, "small enough for a tensor of 2^40 numbers", std::to_string(*value.as<int64_t>())});
  }
  mlir::Type element = type.name == "int" ? i64() : type.name == "bool" ? i1() : f32();
  return NNType::get(context_, example, dims, element);
}

std::vector<std::string> Elaborator::axesFrom(const ast::TypeExpr &type) {
  std::vector<std::string> axes;
  for (const ast::ExprPtr &dim : type.dims)
    axes.push_back(dim->as<ast::NameExpr>() ? dim->as<ast::NameExpr>()->name : "");
  return axes;
}

std::vector<const ast::KindDeclStmt *> Elaborator::kindsOf(const std::vector<ast::Ident> &names, Range range) {
  std::vector<const ast::KindDeclStmt *> kinds;
  const Scope &scope = spec_.scopeOf(range);
  for (const ast::Ident &name : names)
    if (auto it = scope.kinds.find(name.text); it != scope.kinds.end())
      kinds.push_back(it->second);
    else if (name.text != "module")
      fail(Kind::E0356, name.range, {name.text});
  return kinds;
}

// ---- tree ----------------------------------------------------------------------------------------------------------

void Elaborator::addModules(ModuleNode &parent, const ast::ModuleStmt &stmt, const EnvPtr &env) {
  for (const ast::Ident &name : stmt.names) {
    auto make = [this, &parent, &stmt, &name](const EnvPtr &scope) { return addNamed(parent, stmt, name.text, scope); };
    if (stmt.optional)
      env->optional[name.text] = [make, scope = std::weak_ptr<Env>(env)] { return make(scope.lock()); };
    else
      make(env);
  }
}

ModuleRef Elaborator::addNamed(ModuleNode &parent, const ast::ModuleStmt &stmt, const std::string &name, const EnvPtr &env) {
  ModuleRef ref;
  ref.isList = stmt.variable.has_value();
  if (!stmt.variable) {
    ref.nodes.push_back(addModule(parent, stmt, name, std::nullopt, env));
  } else {
    Value over = eval(*stmt.over, env);
    if (!over.list())
      fail(Kind::E0354, stmt.over->range, {"what modules are repeated over"});
    for (const Value &item : *over.list()) {
      if (!item.as<int64_t>())
        fail(Kind::E0354, stmt.over->range, {"the index of a module"}, "one of these is " + item.describe());
      auto scope = std::make_shared<Env>(env);
      scope->values[stmt.variable->text] = item;
      ref.nodes.push_back(addModule(parent, stmt, name, *item.as<int64_t>(), scope));
    }
  }
  parent.named[name] = ref;
  env->modules[name] = ref;
  return ref;
}

ModuleNode *Elaborator::addModule(ModuleNode &parent, const ast::ModuleStmt &stmt, const std::string &name,
                                  std::optional<int64_t> index, const EnvPtr &env) {
  auto owned = std::make_unique<ModuleNode>();
  ModuleNode &node = *owned;
  parent.children.push_back(std::move(owned));
  node.parent = &parent;
  node.name = name;
  node.index = index;
  node.path = joinPath(parent.path, name);
  if (index)
    node.path += "." + std::to_string(*index);
  node.checkpoint = parent.checkpoint;
  node.hasCheckpoint = parent.hasCheckpoint;
  node.isNew = parent.isNew;
  node.orNew = parent.orNew;
  node.part = parent.part;
  if (stmt.checkpoint)
    nameModule(node, *stmt.checkpoint, env);
  if (stmt.tiedTo && (!stmt.tiedWhen || evalBool(*stmt.tiedWhen, env))) {
    auto other = moduleOf(*stmt.tiedTo, env);
    if (!other || other->isList)
      fail(Kind::E0350, stmt.tiedTo->range, {"weights are tied to those of one module"});
    node.tiedTo = other->nodes.front();
  }
  const ast::Block *body = &stmt.body;
  EnvPtr scope;
  if (stmt.constructor) {
    auto *call = stmt.constructor->as<ast::CallExpr>();
    auto *callee = call ? call->callee->as<ast::NameExpr>() : nullptr;
    if (!callee)
      fail(Kind::E0356, stmt.constructor->range, {"this"});
    const auto [found, around] = declaredModule(*callee, env);
    const ast::ModuleDeclStmt &decl = *found;
    scope = bindParameters(decl.params, call->args, env, around, decl.name.text, call->range);
    node.kinds = kindsOf(decl.kinds, decl.range);
    body = &decl.body;
  } else {
    scope = std::make_shared<Env>(env);
    node.kinds = kindsOf(stmt.kinds, stmt.range);
  }
  for (const ast::KindDeclStmt *kind : node.kinds)
    node.kindNames.push_back(kind->name.text);
  node.env = scope;
  openModule(node);
  execModuleBody(node, *body, scope);
  closeModule(node);
  return &node;
}

/// The declaration that a constructor names, and the scope that its body sees: the arch's own come first.
std::pair<const ast::ModuleDeclStmt *, EnvPtr> Elaborator::declaredModule(const ast::NameExpr &name, const EnvPtr &env) {
  for (EnvPtr scope = env; scope; scope = scope->parent)
    if (auto it = scope->declared.find(name.name); it != scope->declared.end())
      return {it->second, scope};
  const Scope &visible = spec_.scopeOf(name.range);
  auto it = visible.modules.find(name.name);
  if (it == visible.modules.end())
    fail(Kind::E0356, name.range, {name.name});
  return {it->second, fileEnv(it->second->range.file)};
}

void Elaborator::openModule(ModuleNode &node) {
  mlir::OpBuilder::InsertionGuard guard(builder_);
  builder_.setInsertionPointToEnd(module_.getBody());
  std::string path = node.path.empty() ? "model" : node.path;
  llvm::SmallVector<llvm::StringRef> kinds(node.kindNames.begin(), node.kindNames.end());
  node.op = mlir::peft::ModuleOp::create(builder_, builder_.getUnknownLoc(), path, builder_.getStrArrayAttr(kinds),
                                         builder_.getStrArrayAttr({}), builder_.getDictionaryAttr({}),
                                         node.index ? builder_.getI64IntegerAttr(*node.index) : mlir::IntegerAttr());
  node.op.getForward().emplaceBlock();
}

void Elaborator::closeModule(ModuleNode &node) {
  mlir::OpBuilder::InsertionGuard guard(builder_);
  builder_.setInsertionPointToEnd(&node.op.getForward().front());
  llvm::SmallVector<mlir::Value> values;
  if (!node.pointOrder.empty()) {
    const std::string &last = node.pointOrder.back();
    if (auto it = node.env->values.find(last); it != node.env->values.end() && it->second.as<Tensor>()) {
      values.push_back(it->second.as<Tensor>()->value);
      node.resultType = values.back().getType();
      node.resultAxes = it->second.as<Tensor>()->axes;
    }
  }
  mlir::peft::YieldOp::create(builder_, builder_.getUnknownLoc(), values);
  llvm::SmallVector<mlir::NamedAttribute> dims;
  for (const ast::KindDeclStmt *kind : node.kinds)
    for (const ast::Ident &dim : kind->dims) {
      auto value = lookup(dim.text, node.env, dim.range);
      if (value && value->as<int64_t>() && !llvm::any_of(dims, [&](auto &d) { return d.getName() == dim.text; }))
        dims.push_back(attr(dim.text, intAttr(*value->as<int64_t>())));
    }
  node.op.setDimsAttr(builder_.getDictionaryAttr(dims));
}

void Elaborator::execModuleBody(ModuleNode &node, const ast::Block &body, const EnvPtr &env) {
  mlir::OpBuilder::InsertionGuard guard(builder_);
  std::string scope = std::exchange(randomScope_, node.path);
  for (const ast::StmtPtr &stmt : body) {
    builder_.setInsertionPointToEnd(&node.op.getForward().front());
    execModuleStmt(node, *stmt, env);
  }
  randomScope_ = scope;
}

void Elaborator::execModuleStmt(ModuleNode &node, const ast::Stmt &stmt, const EnvPtr &env) {
  if (auto *dim = stmt.as<ast::DimStmt>()) {
    Value length = eval(*dim->value, env);
    env->values[dim->name.text] = length.as<SequenceLength>() ? length : wholeNumber(length, dim->value->range, "a length");
  } else if (auto *let = stmt.as<ast::LetStmt>()) {
    execLet(*let, env);
  } else if (auto *require = stmt.as<ast::RequireStmt>()) {
    if (!evalBool(*require->condition, env))
      fail(Kind::E0355, stmt.range, {evalString(*require->message, env)});
  } else if (auto *choice = stmt.as<ast::IfStmt>()) {
    for (const ast::StmtPtr &inner : branch(*choice, env))
      execModuleStmt(node, *inner, env);
  } else if (auto *child = stmt.as<ast::ModuleStmt>()) {
    addModules(node, *child, env);
  } else if (auto *declared = stmt.as<ast::ModuleDeclStmt>()) {
    env->declared[declared->name.text] = declared;
  } else if (auto *input = stmt.as<ast::InputStmt>()) {
    addInput(node, input->name.text, typeFrom(*input->type, env, true), axesFrom(*input->type), input->range);
  } else if (auto *weight = stmt.as<ast::WeightStmt>()) {
    addWeight(node, *weight, env);
  } else if (auto *bind = stmt.as<ast::BindStmt>()) {
    mlir::OpBuilder::InsertionGuard guard(builder_);
    builder_.setInsertionPointToEnd(&node.op.getForward().front());
    Value value = eval(*bind->value, env);
    bindPoint(node, bind->name.text, toTensor(value, value.as<int64_t>() ? i64() : f32(), bind->value->range), bind->range);
  } else if (auto *facts = stmt.as<ast::CheckpointStmt>()) {
    addCheckpointFacts(*facts, env);
  } else if (stmt.as<ast::ExampleStmt>()) {
    // For compiler/driver/Example.cpp: no part of a model.
  } else if (auto *interop = stmt.as<ast::InteropStmt>()) {
    addTaskInterop(*interop, env);
  } else if (auto *row = stmt.as<ast::RowStmt>()) {
    addRow(*row, env);
  } else if (auto *metric = stmt.as<ast::MetricStmt>()) {
    addMetric(*metric, env);
  } else {
    fail(Kind::E0350, stmt.range, {"this statement does not belong into a module"});
  }
}

// ---- points --------------------------------------------------------------------------------------------------------

void Elaborator::addInput(ModuleNode &node, const std::string &name, NNType type, std::vector<std::string> axes, Range range) {
  mlir::Block &block = node.op.getForward().front();
  auto arg = block.addArgument(type, location(range));
  llvm::SmallVector<mlir::Attribute> inputs(node.op.getInputs().begin(), node.op.getInputs().end());
  inputs.push_back(builder_.getStringAttr(name));
  node.op.setInputsAttr(builder_.getArrayAttr(inputs));
  bindPoint(node, name, Tensor{arg, std::move(axes)}, range);
}

void Elaborator::bindPoint(ModuleNode &node, const std::string &name, Tensor value, Range range) {
  mlir::OpBuilder::InsertionGuard guard(builder_);
  mlir::Block &block = node.op.getForward().front();
  builder_.setInsertionPointToEnd(&block);
  if (!block.empty() && mlir::isa<mlir::peft::YieldOp>(block.back())) // a row that a method asks for: whatever reads it comes behind
    builder_.setInsertionPointToStart(&block);
  auto op = mlir::peft::PointOp::create(builder_, location(range), value.type(), name, value.value);
  // What the kind calls the axes is what methods call them.
  for (const ast::KindDeclStmt *kind : node.kinds)
    for (const ast::KindPoint &point : kind->points)
      if (point.name.text == name && point.type && static_cast<int64_t>(point.type->dims.size()) == value.type().rank())
        value.axes = axesFrom(*point.type);
  value.value = op.getResult();
  node.env->values[name] = value;
  if (!node.points.count(name))
    node.pointOrder.push_back(name);
  node.points[name] = {value.type(), value.axes};
}

/// The other module's weight of this name is this one's.
void Elaborator::tieWeight(ModuleNode &node, const ast::WeightStmt &stmt, NNType type) {
  auto other = node.tiedTo->weights.find(stmt.name.text);
  if (other == node.tiedTo->weights.end())
    fail(Kind::E0357, stmt.range, {node.tiedTo->path, stmt.name.text});
  Tensor shared = parameter(other->second, axesFrom(*stmt.type), stmt.range);
  if (shared.type() != type)
    fail(Kind::E0350, stmt.range, {"`" + other->second + "` is " + mlir::nn::toString(shared.type()) + ", tied to it is " + mlir::nn::toString(type)});
  node.weights[stmt.name.text] = other->second;
  node.weightOrder.push_back(stmt.name.text);
  bindPoint(node, stmt.name.text, shared, stmt.range);
}

void Elaborator::addWeight(ModuleNode &node, const ast::WeightStmt &stmt, const EnvPtr &env) {
  NNType type = typeFrom(*stmt.type, env, false);
  if (node.tiedTo)
    return tieWeight(node, stmt, type);
  std::string name = joinPath(node.path, stmt.name.text);
  std::string local = stmt.checkpoint ? evalString(*stmt.checkpoint->name, env) : "";
  std::string stored = node.hasCheckpoint || node.isNew ? joinPath(node.checkpoint, local) : "";
  bool base = node.hasCheckpoint && !local.empty();
  const bool lacking = stmt.checkpoint && (node.orNew || stmt.checkpoint->orNew) && !checkpoint_.asDescribed && !checkpoint_.find(stored, info_.prefix);
  if (base && (stmt.checkpoint->isNew || lacking)) {
    base = false;
    stored = stored.rfind(info_.prefix, 0) == 0 ? stored : info_.prefix + stored; // what it is written as
  }
  std::optional<StoredPart> part = base ? partOf(*stmt.checkpoint, node, env) : std::nullopt;
  std::vector<int64_t> whole = base ? storedShape(stored, type, part, stmt.range) : std::vector<int64_t>();
  auto op = declare(name, type, base ? "base" : "new", !base, stored, -1, stmt.range);
  if (const auto *tensor = base && !checkpoint_.asDescribed ? checkpoint_.find(stored, info_.prefix) : nullptr; tensor && tensor->dtype == "BF16")
    op->setAttr("peft.bf16", builder_.getUnitAttr());
  if (part) {
    op->setAttr("peft.stored", builder_.getDictionaryAttr({attr("shape", intsAttr(whole)), attr("row", intAttr(part->first)), attr("reshaped", boolAttr(part->reshaped)),
                                                           attr("transposed", boolAttr(part->transposed && type.rank() > 1))}));
  }
  parameterAxes_[name] = axesFrom(*stmt.type);
  if (!base)
    initialize(name, type, stmt.init.get(), env, stmt.range);
  node.weights[stmt.name.text] = name;
  node.weightOrder.push_back(stmt.name.text);
  mlir::OpBuilder::InsertionGuard guard(builder_);
  builder_.setInsertionPointToEnd(&node.op.getForward().front());
  bindPoint(node, stmt.name.text, parameter(name, axesFrom(*stmt.type), stmt.range), stmt.range);
}

Value Elaborator::callModule(ModuleNode &node, std::vector<Value> args, Range range) {
  // In a method: the module once more, as left by earlier attaches; what it is not given is as it was called.
  const bool base = instance_ != nullptr;
  for (size_t i = args.size(); base && i > 0 && i < node.op.getInputs().size(); ++i)
    args.push_back(readPoint(*instance_, node, mlir::cast<mlir::StringAttr>(node.op.getInputs()[i]).getValue().str(), range));
  if (args.size() != node.op.getInputs().size())
    fail(Kind::E0350, range, {"`" + node.path + "` is called with " + std::to_string(node.op.getInputs().size()) + " values, not " + std::to_string(args.size())});
  if (!node.resultType)
    fail(Kind::E0350, range, {"`" + node.path + "` has no value"});
  llvm::SmallVector<mlir::Value> values;
  bool example = false, oneRow = false;
  for (auto [arg, input] : llvm::zip(args, node.op.getForward().getArguments())) {
    Tensor value = toTensor(arg, f32(), range);
    // A module over tokens takes a single row too.
    auto declaredType = mlir::cast<NNType>(input.getType());
    if (value.type().rank() + 1 == declaredType.rank() && !declaredType.getDims()[0].isStatic()) {
      value = emit<mlir::nn::ExpandDimsOp>(range, {value.value}, {attr("axis", intAttr(0))});
      oneRow = true;
    }
    if (declaredType.isFloat())
      value = asFloat(value, range);
    bool fits = value.type().rank() == declaredType.rank() && value.type().getElement() == declaredType.getElement();
    for (auto [have, want] : llvm::zip(value.type().getDims(), declaredType.getDims()))
      fits &= !want.isStatic() || have == want;
    if (!fits)
      fail(Kind::E0350, range, {"`" + node.path + "` takes " + mlir::nn::toString(declaredType) + (declaredType.isFloat() ? "" : " of whole numbers") + ", this is " +
                                mlir::nn::toString(value.type()) + (value.type().isInteger() || declaredType.isFloat() ? "" : " of others")});
    values.push_back(value.value);
    example |= mlir::cast<NNType>(values.back().getType()).getExample();
  }
  auto type = mlir::cast<NNType>(node.resultType).withExample(example);
  // Called with one row where the module says `seq` of them, the result has one row too.
  if (values.empty())
    fail(Kind::E0350, range, {"`" + node.path + "` has no input and is not called"});
  auto declared = mlir::cast<NNType>(node.op.getForward().getArgument(0).getType());
  auto given = mlir::cast<NNType>(values.front().getType());
  llvm::SmallVector<Dim> dims(type.getDims());
  if (given.rank() > 0 && declared.rank() > 0 && !dims.empty() && dims[0] == declared.getDims()[0])
    dims[0] = given.getDims()[0];
  const std::string path = node.path.empty() ? "model" : node.path;
  mlir::Value result = base ? mlir::peft::BaseOp::create(builder_, location(range), type.withDims(dims), path, values).getResult()
                            : mlir::peft::CallOp::create(builder_, location(range), type.withDims(dims), path, values).getResult();
  if (!oneRow)
    return Tensor{result, node.resultAxes};
  std::vector<std::string> axes(node.resultAxes.begin() + 1, node.resultAxes.end());
  return emit<mlir::nn::SqueezeOp>(range, {result}, {attr("axis", intAttr(0))}, axes);
}

} // namespace peftc::import
