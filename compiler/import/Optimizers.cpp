// Optimizers: `optimize … { schedule …  group … }` and `run { … }`.
//
// Out    one function @"optimizer.<group>" a group: p, g, states [1] (standing for any length), t, step, steps -> p, states;
//        run options and groups in EmitInfo
#include "compiler/import/Elaborator.h"

namespace peftc::import {
using diag::Kind;
using mlir::nn::Dim;
using mlir::nn::NNType;

void Elaborator::importRun() {
  for (const ast::RunStmt *run : spec_.runs)
    for (const ast::Field &field : run->fields) {
      auto *name = field.value->as<ast::NameExpr>(); // `precision = auto`
      EnvPtr env = fileEnv(run->range.file);
      bool word = name && !lookup(name->name, env, field.value->range);
      Value value = word ? Value(name->name) : eval(*field.value, env);
      runFields_[field.name.text] = value;
      info_.run[field.name.text] = toJson(value, field.value->range);
    }
}

/// The whole update of one group, on flat vectors.
void Elaborator::emitOptimizer(const ast::OptimizerStmt &decl, const EnvPtr &bound, int64_t group, const ast::Expr *schedule) {
  mlir::OpBuilder::InsertionGuard guard(builder_);
  builder_.setInsertionPointToEnd(module_.getBody());
  NNType vector = NNType::get(context_, false, {Dim{1, 0}}, f32()), scalar = NNType::get(context_, false, {}, f32());
  std::vector<std::string> states;
  for (const ast::StmtPtr &stmt : decl.body)
    if (auto *state = stmt->as<ast::StateStmt>())
      states.push_back(state->name.text);
  llvm::SmallVector<mlir::Type> inputs(2 + states.size(), vector), outputs(1 + states.size(), vector);
  inputs.append(3, scalar);
  std::string name = "optimizer." + std::to_string(group);
  auto func = mlir::func::FuncOp::create(builder_, location(decl.range), name, builder_.getFunctionType(inputs, outputs));
  func->setAttr("nn.flat", builder_.getUnitAttr());
  mlir::Block *block = func.addEntryBlock();
  builder_.setInsertionPointToStart(block);
  auto env = std::make_shared<Env>(bound);
  auto input = [&](unsigned index, const std::string &label) {
    func.setArgAttr(index, "nn.name", builder_.getStringAttr(label));
    return Tensor{block->getArgument(index), std::vector<std::string>(mlir::cast<NNType>(block->getArgument(index).getType()).rank())};
  };
  env->values["p"] = input(0, "p");
  env->values["g"] = input(1, "g");
  for (size_t i = 0; i < states.size(); ++i)
    env->values[states[i]] = input(2 + i, "state." + states[i]);
  unsigned at = 2 + states.size();
  env->values["t"] = input(at, "t");
  env->values["step"] = input(at + 1, "step");
  env->values["steps"] = input(at + 2, "steps");
  if (schedule && !lookup("lr", env, schedule->range))
    fail(Kind::E0350, schedule->range, {"a schedule changes `lr`, which `" + decl.name.text + "` does not have"});
  if (schedule)
    env->values["lr"] = learningRate(env, schedule);
  for (const ast::StmtPtr &stmt : decl.body) {
    if (auto *let = stmt->as<ast::LetStmt>()) {
      execLet(*let, env);
    } else if (auto *rewire = stmt->as<ast::RewireStmt>()) {
      auto *target = rewire->target->as<ast::NameExpr>();
      if (!target || (target->name != "p" && std::find(states.begin(), states.end(), target->name) == states.end()))
        fail(Kind::E0350, rewire->target->range, {"an optimizer changes `p` and its states"});
      env->values[target->name] = toTensor(eval(*rewire->value, env), f32(), rewire->value->range);
    } else if (!stmt->as<ast::StateStmt>()) {
      fail(Kind::E0350, stmt->range, {"this statement does not belong into an optimizer"});
    }
  }
  llvm::SmallVector<mlir::Value> results = {env->values["p"].as<Tensor>()->value};
  func.setResultAttr(0, "nn.name", builder_.getStringAttr("p"));
  for (size_t i = 0; i < states.size(); ++i) {
    results.push_back(env->values[states[i]].as<Tensor>()->value);
    func.setResultAttr(1 + i, "nn.name", builder_.getStringAttr("state." + states[i]));
  }
  mlir::func::ReturnOp::create(builder_, location(decl.range), results);
  info_.optimizerName = decl.name.text;
  info_.optimizerStates = states;
}

/// `lr` at `step`, both of the scope.
Value Elaborator::learningRate(const EnvPtr &env, const ast::Expr *schedule) {
  Value rate = *lookup("lr", env, schedule ? schedule->range : Range());
  return schedule ? Value(binary("nn.mul", rate, evalSchedule(*schedule, env), schedule->range)) : rate;
}

/// The factor on the learning rate: a `schedule` declaration with `step` and `steps` in scope.
Value Elaborator::evalSchedule(const ast::Expr &expr, const EnvPtr &env) {
  auto *call = expr.as<ast::CallExpr>();
  auto *name = (call ? call->callee.get() : &expr)->as<ast::NameExpr>();
  const Scope &scope = spec_.scopeOf(expr.range);
  if (!name || !scope.schedules.count(name->name))
    fail(Kind::E0356, expr.range, {name ? name->name : "this"});
  diag::Blame blame(diags_, expr.range);
  const ast::ScheduleStmt &decl = *scope.schedules.at(name->name);
  static const std::vector<ast::Argument> none;
  EnvPtr bound = bindParameters(decl.params, call ? call->args : none, fileEnv(expr.range.file), fileEnv(decl.range.file),
                                decl.name.text, expr.range);
  bound->values["step"] = *lookup("step", env, expr.range);
  bound->values["steps"] = *lookup("steps", env, expr.range);
  return eval(*decl.body, bound);
}

void Elaborator::importOptimizer() {
  if (!spec_.optimize)
    return;
  const ast::OptimizeStmt &stmt = *spec_.optimize;
  diag::Blame blame(diags_, stmt.optimizer->range);
  auto *call = stmt.optimizer->as<ast::CallExpr>();
  auto *name = (call ? call->callee.get() : stmt.optimizer.get())->as<ast::NameExpr>();
  const Scope &scope = spec_.scopeOf(stmt.optimizer->range);
  if (!name || !scope.optimizers.count(name->name))
    fail(Kind::E0356, stmt.optimizer->range, {name ? name->name : "this"});
  const ast::OptimizerStmt &decl = *scope.optimizers.at(name->name);
  static const std::vector<ast::Argument> none;
  EnvPtr env = fileEnv(stmt.range.file);
  auto addGroup = [&](const ast::OptimizerGroup *group) {
    EnvPtr bound = bindParameters(decl.params, call ? call->args : none, env, fileEnv(decl.range.file), decl.name.text, stmt.range);
    EmitInfo::Group fact;
    if (group)
      for (const ast::Field &field : group->fields) {
        if (!bound->values.count(field.name.text))
          fail(Kind::E0350, field.name.range, {"`" + decl.name.text + "` has no argument `" + field.name.text + "`"});
        bound->values[field.name.text] = eval(*field.value, env);
        fact.fields.push_back(field.name.text);
      }
    for (const ast::Parameter &param : decl.params)
      fact.hyper[param.name.text] = toJson(bound->values.at(param.name.text), param.range);
    emitOptimizer(decl, bound, static_cast<int64_t>(info_.groups.size()), stmt.schedule.get());
    info_.groups.push_back(std::move(fact));
    gradients_.groups.push_back(bound);
  };
  addGroup(nullptr);
  for (const ast::OptimizerGroup &group : stmt.groups) {
    int64_t index = static_cast<int64_t>(info_.groups.size());
    addGroup(&group);
    std::function<void(ModuleNode &)> under = [&](ModuleNode &node) {
      for (const auto &[local, parameter] : node.weights)
        parameters_.at(parameter)->setAttr("peft.group", intAttr(index));
      for (auto &child : node.children)
        under(*child);
    };
    for (const Match &match : resolve(group.selector, *root_, env, true)) {
      if (!match.weight.empty()) {
        parameters_.at(match.node->weights.at(match.weight))->setAttr("peft.group", intAttr(index));
        continue;
      }
      under(*match.node);
      // What attaches added below this module belongs to it.
      for (auto &[parameter, op] : parameters_)
        if (match.node->path.empty() || llvm::StringRef(parameter).starts_with(match.node->path + "."))
          op->setAttr("peft.group", intAttr(index));
    }
  }
}

} // namespace peftc::import
