// LowerPrograms (plan-lower-programs): each function becomes a program of steps.
//
// In     func.func of nn ops; arguments and results named by `nn.name`
// Out    beside it a plan.program of the same name, a step (or alias) for each op; the function stays (the reference runs it)
// Errs   internal only: an op that no program may hold, a value without a name
// Why here  first of the plan phase: everything after it speaks of bytes
//
// A contract is a `gemm` where the packed batch is one matrix product (isGemm); what only names the same row-major blocks
// anew is an alias; all else is done as it stands (`aten`).
#include "compiler/passes/plan/Passes.h"
#include "compiler/passes/plan/StepAttributes.h"
#include "dialects/nn/Nn.h"
#include "dialects/plan/Plan.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/IRMapping.h"

using namespace mlir;

namespace {
plan::PackedType packed(nn::NNType type) {
  SmallVector<plan::Dim> dims;
  for (nn::Dim dim : type.getDims())
    dims.push_back({dim.constant, dim.scale});
  return plan::PackedType::get(type.getContext(), type.getExample(), dims, type.getElement());
}

/// `activations` (example, summed letter last) times a matrix of the run.
bool isProjection(StringRef activations, StringRef matrix, StringRef result) {
  if (activations.empty() || matrix.size() != 2)
    return false;
  char summed = activations.back();
  if (!matrix.contains(summed))
    return false;
  char made = matrix[0] == summed ? matrix[1] : matrix[0];
  return !activations.contains(made) && result == (activations.drop_back() + Twine(made)).str();
}

/// Both example, summed over everything but their last axes: a gradient of a weight.
bool isGradient(StringRef x, StringRef y, StringRef result) {
  if (x.empty() || y.empty() || x.drop_back() != y.drop_back() || x.back() == y.back() || result.size() != 2)
    return false;
  return result.contains(x.back()) && result.contains(y.back());
}

/// Two matrices of the run with one letter in common.
bool isMatrixProduct(StringRef x, StringRef y, StringRef result) {
  return x.size() == 2 && y.size() == 2 && result.size() == 2 &&
         llvm::count_if(x, [&](char letter) { return y.contains(letter); }) == 1 &&
         llvm::none_of(result, [&](char letter) { return x.contains(letter) && y.contains(letter); });
}

bool isGemm(nn::ContractOp op) {
  auto [inputs, result] = op.getEquation().split("->");
  auto [x, y] = inputs.split(',');
  auto level = [](Value value) { return cast<nn::NNType>(value.getType()).getExample(); };
  if (!cast<nn::NNType>(op.getResult().getType()).isFloat())
    return false;
  if (op.getOverExamples())
    return level(op.getX()) && level(op.getY()) && isGradient(x, y, result);
  if (level(op.getX()) != level(op.getY()))
    return level(op.getX()) ? isProjection(x, y, result) : isProjection(y, x, result);
  return !level(op.getX()) && isMatrixProduct(x, y, result);
}

/// A block's bytes under another shape.
bool isView(Operation *op) { return isa<nn::SplitOp, nn::MergeOp, nn::ExpandDimsOp, nn::SqueezeOp, nn::StopGradOp>(op); }

StringRef kindOf(Operation *op) {
  if (isa<nn::RandomOp>(op))
    return "random";
  auto contract = dyn_cast<nn::ContractOp>(op);
  return contract && isGemm(contract) ? "gemm" : "aten";
}

FailureOr<ArrayAttr> namesOf(func::FuncOp function, bool arguments) {
  SmallVector<Attribute> names;
  unsigned count = arguments ? function.getNumArguments() : function.getNumResults();
  for (unsigned i = 0; i < count; ++i) {
    auto name = arguments ? function.getArgAttrOfType<StringAttr>(i, "nn.name") : function.getResultAttrOfType<StringAttr>(i, "nn.name");
    if (!name)
      return function.emitError("`@") << function.getSymName() << "`: " << (arguments ? "argument " : "result ") << i << " has no name", failure();
    names.push_back(name);
  }
  return ArrayAttr::get(function.getContext(), names);
}

LogicalResult lowerOp(Operation &op, OpBuilder &builder, IRMapping &mapping) {
  SmallVector<Value> operands;
  for (Value operand : op.getOperands())
    operands.push_back(mapping.lookup(operand));
  if (isa<func::ReturnOp>(op)) {
    plan::ReturnOp::create(builder, op.getLoc(), operands);
    return success();
  }
  auto attributes = plan::stepAttributes(&op);
  if (failed(attributes))
    return failure();
  plan::PackedType type = packed(cast<nn::NNType>(op.getResult(0).getType()));
  StringAttr name = builder.getStringAttr(op.getName().stripDialect());
  Value made = isView(&op) ? plan::AliasOp::create(builder, op.getLoc(), type, name, operands[0]).getResult()
                           : plan::StepOp::create(builder, op.getLoc(), type, builder.getStringAttr(kindOf(&op)), name, operands,
                                                  IntegerAttr(), *attributes)
                                 .getResult();
  mapping.map(op.getResult(0), made);
  return success();
}

LogicalResult lower(func::FuncOp function) {
  auto inputs = namesOf(function, true), results = namesOf(function, false);
  if (failed(inputs) || failed(results))
    return failure();
  OpBuilder builder(function->getContext());
  builder.setInsertionPointToEnd(function->getParentOfType<ModuleOp>().getBody());
  auto program = plan::ProgramOp::create(builder, function.getLoc(), function.getSymNameAttr(), *inputs, *results, ArrayAttr());
  Block &block = program.getBody().emplaceBlock();
  IRMapping mapping;
  for (BlockArgument argument : function.getArguments())
    mapping.map(argument, block.addArgument(packed(cast<nn::NNType>(argument.getType())), argument.getLoc()));
  builder.setInsertionPointToEnd(&block);
  for (Operation &op : function.front())
    if (failed(lowerOp(op, builder, mapping)))
      return failure();
  return success();
}
} // namespace

LogicalResult mlir::plan::lowerPrograms(ModuleOp module) {
  module.getContext()->getOrLoadDialect<plan::PlanDialect>();
  SmallVector<func::FuncOp> functions(module.getOps<func::FuncOp>());
  for (func::FuncOp function : functions)
    if (failed(lower(function)))
      return failure();
  return success();
}
