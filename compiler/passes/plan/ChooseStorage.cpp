// ChooseStorage (plan-choose-storage): which values lie in memory as bf16, where the program asks for `precision = bf16`.
//
// In     plan.program of kernels, products and what is left, all f32; `plan.bf16` on the module
// Out    tokens' vectors that only kernels, products and what moves numbers (`concat`, `slice` …) make and read, and those that are kept from run to run, are bf16 in memory; a kernel widens what it reads
//        and rounds what it writes (casts at the edges of its body, which computes in f32). A frozen weight that the checkpoint has as bf16, and that programs
//        which run again and again read by products of bf16 alone, stays as it is: `plan.bf16` on its nn.parameter. `init` and `merge`, which run once, read it as f32
// Errs   none
// Why here  kernels must be formed: what never reaches memory is never rounded; before steps, which know bytes
//
// f32 stay: other parameters (trained ones are masters; a product with bf16 activations rounds its weights), gradients of parameters, numbers of a row, everything an
// example and the loss, and what any other op reads or makes.
#include "compiler/passes/plan/Passes.h"
#include "compiler/passes/plan/Space.h"
#include "dialects/plan/Plan.h"
#include "llvm/ADT/EquivalenceClasses.h"

using namespace mlir;

namespace {

/// Values that share their bytes: a view and what it sees, a product's sum and its result.
using Classes = llvm::EquivalenceClasses<const void *>;

/// A vector a token, or of the newest one.
bool isTokens(nn::NNType type) {
  auto shape = plan::rowShapeOf(type);
  const bool ofTokens = shape && (!shape->rowCount.isStatic() || (type.rank() > 1 && type.getDims()[0].is(1)));
  return type.getElement().isF32() && type.getExample() && ofTokens && shape->columns > 1;
}

/// What gives numbers that it has read, elsewhere: rounded before or behind it they are the same.
bool moves(Operation *op) { return isa<nn::SliceOp, nn::PadOp, nn::RollOp, nn::RepeatOp, nn::ConcatOp, nn::TransposeOp>(op); }

bool knowsBf16(Operation *op) { return isa<plan::KernelOp, plan::ProductOp>(op) || plan::isView(op) || moves(op); }

/// Whether what is read is returned to be kept from run to run.
bool isReturnedToKeep(OpOperand &use) {
  auto program = isa<plan::ReturnOp>(use.getOwner()) ? use.getOwner()->getParentOfType<plan::ProgramOp>() : plan::ProgramOp();
  return program && cast<StringAttr>(program.getResultNames()[use.getOperandNumber()]).getValue().starts_with(nn::kKept);
}

/// What is kept may be returned as it lies: who gives it back reads it so, and who keeps it has the type of who reads it.
bool mayBeRounded(Value value) {
  Operation *op = value.getDefiningOp();
  const bool isKept = op ? plan::isUpdate(op) : value.hasOneUse() && plan::isUpdate(*value.user_begin()) && value.user_begin()->getOperand(0) == value;
  if ((!isKept && (!op || !knowsBf16(op))) || !isTokens(cast<nn::NNType>(value.getType())))
    return false;
  return llvm::all_of(value.getUses(), [&](OpOperand &use) { return knowsBf16(use.getOwner()) || plan::isUpdate(use.getOwner()) || (isKept && isa<plan::ReturnOp>(use.getOwner())) || isReturnedToKeep(use); });
}

void retype(Value value) {
  auto type = cast<nn::NNType>(value.getType());
  value.setType(type.withElement(BFloat16Type::get(type.getContext())));
}

/// The body's edges, after its operands' and results' types.
void convertEdges(plan::KernelOp kernel) {
  Block &body = kernel.getBody().front();
  OpBuilder builder = OpBuilder::atBlockBegin(&body);
  Type f32 = builder.getF32Type();
  for (auto [operand, argument] : llvm::zip_equal(kernel.getInputs(), body.getArguments())) {
    if (operand.getType() == argument.getType())
      continue;
    argument.setType(operand.getType());
    auto widened = nn::CastOp::create(builder, argument.getLoc(), argument, f32);
    argument.replaceAllUsesExcept(widened, widened);
  }
  Operation *yield = body.getTerminator();
  builder.setInsertionPoint(yield);
  for (auto [index, result] : llvm::enumerate(kernel.getResults()))
    if (Value made = yield->getOperand(index); made.getType() != result.getType())
      yield->setOperand(index, nn::CastOp::create(builder, made.getLoc(), made, cast<nn::NNType>(result.getType()).getElement()));
}

/// What is moved is of one type: bf16, if all of an example's that is moved is. Where it is read or made in another one stands a cast.
void convertMove(Operation *op) {
  auto elementOf = [](Value value) { return cast<nn::NNType>(value.getType()).getElement(); };
  if (!llvm::all_of(op->getOperands(), [&](Value operand) { return elementOf(operand).isF32() || elementOf(operand).isBF16(); }))
    return; // whole numbers and truths
  OpBuilder builder(op);
  const bool half = llvm::all_of(op->getOperands(), [&](Value operand) { return !cast<nn::NNType>(operand.getType()).getExample() || elementOf(operand).isBF16(); }) &&
                    llvm::any_of(op->getOperands(), [&](Value operand) { return elementOf(operand).isBF16(); });
  const Type element = half ? Type(builder.getBF16Type()) : builder.getF32Type();
  for (OpOperand &operand : op->getOpOperands())
    if (elementOf(operand.get()) != element)
      operand.set(nn::CastOp::create(builder, op->getLoc(), operand.get(), element));
  Value result = op->getResult(0);
  const Type wanted = elementOf(result);
  if (wanted == element)
    return;
  result.setType(cast<nn::NNType>(result.getType()).withElement(element));
  builder.setInsertionPointAfter(op);
  Value converted = nn::CastOp::create(builder, op->getLoc(), result, wanted);
  result.replaceAllUsesExcept(converted, converted.getDefiningOp());
}

void choose(plan::ProgramOp program) {
  Classes classes;
  SmallVector<Value> values(program.getBody().front().getArguments());
  for (Value argument : values)
    classes.insert(argument.getAsOpaquePointer());
  for (Operation &op : program.getBody().front()) {
    for (Value result : op.getResults()) {
      values.push_back(result);
      classes.insert(result.getAsOpaquePointer());
    }
    auto share = [&](Value other) { classes.unionSets(op.getResult(0).getAsOpaquePointer(), other.getAsOpaquePointer()); };
    if (auto product = dyn_cast<plan::ProductOp>(op); product && product.getSum())
      share(product.getSum());
    else if (plan::isView(&op))
      share(op.getOperand(0));
    else if (plan::isUpdate(&op)) // new entries are of the type of those before
      llvm::for_each(op.getOperands(), share);
  }
  llvm::DenseSet<const void *> kept; // classes of which a member stays f32
  for (const auto &member : classes)
    if (!mayBeRounded(Value::getFromOpaquePointer(member->getData())))
      kept.insert(classes.getLeaderValue(member->getData()));
  for (Value value : values)
    if (!kept.contains(classes.getLeaderValue(value.getAsOpaquePointer())))
      retype(value);
  program.walk(convertEdges);
  for (Operation &op : llvm::make_early_inc_range(program.getBody().front()))
    if (moves(&op))
      convertMove(&op);
}

bool isHalf(Value value) { return cast<nn::NNType>(value.getType()).getElement().isBF16(); }
bool runsOnce(plan::ProgramOp program) { return program.getStreamed() || program.getName() == "init"; }

/// Whether all that reads the weight, or a view of it, is a product with a matrix of bf16.
bool isOnlyMultiplied(Value weight) {
  return llvm::all_of(weight.getUses(), [](OpOperand &use) {
    if (plan::isView(use.getOwner()))
      return isOnlyMultiplied(use.getOwner()->getResult(0));
    auto product = dyn_cast<plan::ProductOp>(use.getOwner());
    return product && ((use.get() == product.getY() && isHalf(product.getX())) || (use.get() == product.getX() && isHalf(product.getY())));
  });
}

void retypeWithViews(Value value) {
  retype(value);
  for (Operation *user : value.getUsers())
    if (plan::isView(user))
      retypeWithViews(user->getResult(0));
}

/// After the programs' own values: a product takes a weight as it is where the other matrix is bf16.
void chooseWeights(ModuleOp module) {
  llvm::StringMap<SmallVector<Value>> reads;
  for (plan::ProgramOp program : module.getOps<plan::ProgramOp>())
    if (!runsOnce(program))
      program.walk([&](nn::ParamOp param) { reads[param.getName()].push_back(param); });
  for (auto parameter : module.getOps<nn::ParameterOp>()) {
    auto found = reads.find(parameter.getSymName());
    if (!parameter->hasAttr("peft.bf16") || parameter.getTrainable() || found == reads.end() || !llvm::all_of(found->second, isOnlyMultiplied))
      continue;
    parameter->setAttr(plan::kBf16, UnitAttr::get(module.getContext()));
    llvm::for_each(found->second, retypeWithViews);
  }
}

} // namespace

LogicalResult mlir::plan::chooseStorage(ModuleOp module) {
  if (!module->hasAttr(kBf16))
    return success();
  for (ProgramOp program : module.getOps<ProgramOp>())
    choose(program);
  chooseWeights(module);
  return success();
}
