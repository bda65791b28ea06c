// Gradients: `on grad { grad(B) <- … }`.
//
// Out    @on_grad, one function for all attaches: gradients of the whole step as backward left them, step, steps -> those that are replaced.
//        None where nobody says `on grad`, or what is said is of nothing that the program trains
// Errs   E0206 replaced twice, E0350 of another shape, E0358 no gradient, E0359 data of an example
//
// A parameter that several sites share has one gradient, of which all of them have to make the same.
#include "compiler/import/Elaborator.h"

namespace peftc::import {
using diag::Kind;
using mlir::nn::NNType;

namespace {
/// Whether both are computed in the same way from the same inputs.
class SameValue {
public:
  bool operator()(mlir::Value a, mlir::Value b) {
    mlir::Operation *one = a.getDefiningOp(), *other = b.getDefiningOp();
    if (a == b)
      return true;
    if (!one || !other || one->getName() != other->getName() || one->getAttrDictionary() != other->getAttrDictionary() || a.getType() != b.getType() || one->getNumOperands() != other->getNumOperands())
      return false;
    if (!seen_.insert({a, b}).second)
      return true;
    return llvm::all_of(llvm::zip(one->getOperands(), other->getOperands()), [&](auto pair) { return (*this)(std::get<0>(pair), std::get<1>(pair)); });
  }

private:
  llvm::DenseSet<std::pair<mlir::Value, mlir::Value>> seen_; ///< compared before; where they differed, all ends
};
} // namespace

void Elaborator::execOnGrad(Instance &instance, const ast::OnGradStmt &stmt) {
  mlir::OpBuilder::InsertionGuard guard(builder_);
  if (!gradients_.func) {
    builder_.setInsertionPointToEnd(module_.getBody());
    gradients_.func = mlir::func::FuncOp::create(builder_, location(stmt.range), "on_grad", builder_.getFunctionType({}, {}));
    gradients_.func.addEntryBlock();
  }
  builder_.setInsertionPointToEnd(&gradients_.func.getBody().front());
  const bool outer = std::exchange(inOnGrad_, true);
  llvm::scope_exit restore([&] { inOnGrad_ = outer; });
  auto env = std::make_shared<Env>(instance.env);
  const NNType scalar = NNType::get(context_, false, {}, f32());
  for (const char *name : {"step", "steps"})
    if (!lookup(name, env, stmt.range)) // a method may have an argument of that name
      env->values[name] = Tensor{gradientInput(name, scalar, stmt.range), {}};
  std::function<void(const ast::Stmt &)> exec = [&](const ast::Stmt &inner) {
    if (auto *let = inner.as<ast::LetStmt>())
      execLet(*let, env);
    else if (auto *choice = inner.as<ast::IfStmt>())
      llvm::for_each(branch(*choice, env), [&](const ast::StmtPtr &one) { exec(*one); });
    else if (auto *loop = inner.as<ast::ForStmt>())
      execFor(*loop, env, exec);
    else if (auto *require = inner.as<ast::RequireStmt>())
      execRequire(*require, env);
    else
      replaceGradient(*inner.as<ast::GradStmt>(), env); // no other statement stands here
  };
  for (const ast::StmtPtr &inner : stmt.body)
    exec(*inner);
}

mlir::Value Elaborator::gradientInput(const std::string &name, NNType type, Range range) {
  auto [input, isNew] = gradients_.inputs.emplace(name, Gradients::Input{{}, range});
  if (isNew) {
    mlir::func::FuncOp func = gradients_.func;
    auto named = builder_.getDictionaryAttr(builder_.getNamedAttr("nn.name", builder_.getStringAttr(name)));
    (void)func.insertArgument(func.getNumArguments(), type, named, location(range));
    input->second.value = func.getArguments().back();
  }
  return input->second.value;
}

/// A parameter of the method or of what it has attached (`grad(l.B)`), or a weight of its site.
std::string Elaborator::parameterWithGradient(const ast::Expr &expr) {
  auto among = [](const std::map<std::string, std::string> &names, const std::string &name) {
    auto found = names.find(name);
    return found == names.end() ? std::string() : found->second;
  };
  std::string parameter;
  if (auto *name = expr.as<ast::NameExpr>()) {
    parameter = among(instance_->params, name->name);
    if (parameter.empty())
      parameter = among(instance_->site->weights, name->name);
  } else if (auto *member = expr.as<ast::MemberExpr>()) {
    const std::string *own = partsParameter(*member);
    parameter = own ? *own : "";
  }
  const std::string said(diags_.sources().text(expr.range));
  if (parameter.empty())
    fail(Kind::E0358, expr.range, {said}, "no parameter of this method, and no weight of its site");
  if (llvm::StringRef role = parameters_.at(parameter).getRole(); !instance_->frozen && (role == "frozen" || role == "buffer"))
    fail(Kind::E0358, expr.range, {said}, "drawn once or kept, not trained");
  return parameter;
}

/// `grad(B)`: the step's, as backward left it, whatever replaces it.
Tensor Elaborator::gradientOf(const ast::Expr &expr) {
  if (!inOnGrad_)
    fail(Kind::E0350, expr.range, {"gradients are there in `on grad` only"});
  const std::string name = parameterWithGradient(expr);
  return {gradientInput("grad." + name, mlir::cast<NNType>(parameters_.at(name).getType()), expr.range), parameterAxes_[name]};
}

void Elaborator::replaceGradient(const ast::GradStmt &stmt, const EnvPtr &env) {
  const std::string name = parameterWithGradient(*stmt.parameter);
  const NNType type = mlir::cast<NNType>(parameters_.at(name).getType());
  auto scope = std::make_shared<Env>(env);
  if (!lookup("lr", scope, stmt.range))
    scope->values["lr"] = Tensor{gradientInput("lr." + name, NNType::get(context_, false, {}, f32()), stmt.range), {}};
  const Range range = stmt.value->range;
  Tensor value = asFloat(toTensor(eval(*stmt.value, scope), f32(), range), range);
  const Beside to{&gradients_.func.getBody().front(), true, [this](Range at, mlir::Operation *op) {
                    auto read = llvm::dyn_cast_or_null<mlir::peft::ReadOp>(op);
                    fail(Kind::E0359, at, {llvm::isa_and_nonnull<mlir::nn::RandomOp>(op) ? "what is drawn in each pass" : (read ? "`" + read.getPoint().str() + "`, which" : "what") + " each example has of its own"});
                  }};
  value.value = copiedTo(to, value.value, range);
  settle(to, range);
  if (!value.type().sameShape(type))
    fail(Kind::E0350, range, {"the gradient is " + mlir::nn::toString(type) + ", this is " + mlir::nn::toString(value.type())});
  addReplaced(stmt, name, value.value);
}

void Elaborator::addReplaced(const ast::GradStmt &stmt, const std::string &parameter, mlir::Value value) {
  auto before = llvm::find_if(gradients_.replaced, [&](const Gradients::Replaced &other) { return other.parameter == parameter; });
  if (before == gradients_.replaced.end())
    return gradients_.replaced.push_back({parameter, value, &stmt, instance_->attach->index});
  const bool isAnotherSite = before->stmt == &stmt && before->attach == instance_->attach->index;
  if (isAnotherSite && SameValue()(before->value, value))
    return;
  auto report = diags_.report(Kind::E0206, stmt.parameter->range, {"grad(" + parameter + ")"});
  if (isAnotherSite)
    report.help("sites share the parameter, and it has one gradient: what they make of it has to be the same at each of them");
  else
    report.label(before->stmt->parameter->range, "first said here");
  throw Failed{};
}

/// What the program does not train has no gradient to be replaced; a method may be used frozen.
void Elaborator::dropUntrained() {
  auto isTrained = [&](const std::string &name) { return parameters_.at(name).getTrainable(); };
  for (const Gradients::Replaced &one : gradients_.replaced)
    if (!isTrained(one.parameter) && parameters_.at(one.parameter).getRole() == "base")
      fail(Kind::E0358, one.stmt->parameter->range, {std::string(diags_.sources().text(one.stmt->parameter->range))}, "a weight of the site that nothing trains");
  llvm::erase_if(gradients_.replaced, [&](const Gradients::Replaced &one) { return !isTrained(one.parameter); });
  mlir::Block &block = gradients_.func.getBody().front();
  llvm::DenseSet<mlir::Value> kept;
  for (const Gradients::Replaced &one : gradients_.replaced)
    kept.insert(one.value);
  for (mlir::Operation &op : llvm::make_early_inc_range(llvm::reverse(block)))
    if (!kept.contains(op.getResult(0)) && mlir::isOpTriviallyDead(&op))
      op.erase();
  const std::string prefix = "grad.";
  for (const auto &[name, input] : gradients_.inputs)
    if (llvm::StringRef parameter = name; parameter.consume_front(prefix) && (!input.value.use_empty() || kept.contains(input.value)) && !isTrained(parameter.str()))
      fail(Kind::E0358, input.range, {parameter.str()}, "nothing trains it in this program");
}

/// `lr` of a parameter is that of its group, with the schedule.
void Elaborator::settleRates() {
  const NNType scalar = NNType::get(context_, false, {}, f32());
  std::map<std::string, Gradients::Input> inputs = gradients_.inputs;
  for (auto &[name, input] : inputs) {
    llvm::StringRef parameter = name;
    if (!parameter.consume_front("lr.") || input.value.use_empty())
      continue;
    auto group = parameters_.at(parameter.str())->getAttrOfType<mlir::IntegerAttr>("peft.group");
    auto env = std::make_shared<Env>(gradients_.groups.at(group ? group.getInt() : 0));
    if (!lookup("lr", env, input.range))
      fail(Kind::E0350, input.range, {"`lr` is what the optimizer has as its argument, and this one has none"});
    builder_.setInsertionPointToStart(&gradients_.func.getBody().front());
    for (const char *known : {"step", "steps"})
      env->values[known] = Tensor{gradientInput(known, scalar, input.range), {}};
    mlir::Value rate = toTensor(learningRate(env, spec_.optimize->schedule.get()), f32(), input.range).value;
    input.value.replaceAllUsesWith(rate);
  }
}

void Elaborator::finishGradients() {
  mlir::func::FuncOp func = gradients_.func;
  if (!func)
    return;
  dropUntrained();
  if (gradients_.replaced.empty())
    return func.erase();
  mlir::OpBuilder::InsertionGuard guard(builder_);
  settleRates();
  builder_.setInsertionPointToEnd(&func.getBody().front());
  llvm::SmallVector<mlir::Value> values;
  for (const Gradients::Replaced &one : gradients_.replaced)
    values.push_back(one.value);
  mlir::func::ReturnOp::create(builder_, func.getLoc(), values);
  for (unsigned place = func.getNumArguments(); place-- > 0;)
    if (func.getArgument(place).use_empty())
      (void)func.eraseArgument(place);
  func.setFunctionType(builder_.getFunctionType(func.getArgumentTypes(), mlir::ValueRange(values).getTypes()));
  for (auto [place, one] : llvm::enumerate(gradients_.replaced))
    func.setResultAttr(place, "nn.name", builder_.getStringAttr("grad." + one.parameter));
}

} // namespace peftc::import
