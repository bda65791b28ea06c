// LowerPrograms (plan-lower-programs): a program's values become packed arrays, its ops steps.
//
// In     plan.program of nn ops, products and kernels
// Out    a step for each op: a product is a `gemm`, a kernel stays one (on packed operands), what only names the same row-major blocks anew is an
//        alias; all else is done as it stands (`aten`)
// Errs   internal only: an op that no program may hold
// Why here  everything after it speaks of bytes
#include "compiler/passes/plan/Passes.h"
#include "compiler/passes/plan/Space.h"
#include "compiler/passes/plan/StepAttributes.h"
#include "dialects/nn/Nn.h"
#include "dialects/plan/Plan.h"
#include "mlir/IR/IRMapping.h"

using namespace mlir;

namespace {
DictionaryAttr productAttributes(plan::ProductOp op) {
  Builder builder(op.getContext());
  SmallVector<NamedAttribute> attributes = {builder.getNamedAttr("equation", op.getEquationAttr()), builder.getNamedAttr("over_examples", op.getOverExamplesAttr())};
  if (StringAttr branch = op.getBranchEquationAttr())
    attributes.push_back(builder.getNamedAttr("branch", branch));
  return builder.getDictionaryAttr(attributes);
}

/// A parameter's step says whether it stays as it is.
DictionaryAttr withFrozen(DictionaryAttr attributes, nn::ParamOp op) {
  auto parameter = SymbolTable::lookupNearestSymbolFrom<nn::ParameterOp>(op, op.getNameAttr());
  NamedAttrList list(attributes);
  if (parameter && !parameter.getTrainable())
    list.set("frozen", BoolAttr::get(op.getContext(), true));
  return list.getDictionary(op.getContext());
}

class Lowering {
public:
  explicit Lowering(plan::ProgramOp program) : program(program) {}

  LogicalResult run() {
    Block &old = program.getBody().front();
    auto *made = new Block();
    for (BlockArgument argument : old.getArguments())
      mapping.map(argument, made->addArgument(packedOf(argument), argument.getLoc()));
    program.getBody().push_back(made);
    OpBuilder builder = OpBuilder::atBlockEnd(made);
    for (Operation &op : old)
      if (failed(lower(op, builder)))
        return failure();
    old.dropAllReferences();
    for (Operation &op : llvm::make_early_inc_range(llvm::reverse(old)))
      op.erase();
    old.erase();
    return success();
  }

private:
  static plan::PackedType packedOf(Value value) { return plan::packed(cast<nn::NNType>(value.getType())); }

  LogicalResult lower(Operation &op, OpBuilder &builder) {
    SmallVector<Value> operands = llvm::map_to_vector(op.getOperands(), [&](Value value) { return mapping.lookup(value); });
    if (isa<plan::ReturnOp>(op)) {
      plan::ReturnOp::create(builder, op.getLoc(), operands);
      return success();
    }
    if (auto kernel = dyn_cast<plan::KernelOp>(op)) {
      SmallVector<Type> types = llvm::map_to_vector(kernel.getResults(), [](Value value) -> Type { return packedOf(value); });
      auto lowered = plan::KernelOp::create(builder, op.getLoc(), types, operands, kernel.getSpaceAttr(), kernel.getSitesAttr(), kernel.getSymbolAttr(), DenseI64ArrayAttr());
      lowered.getBody().takeBody(kernel.getBody());
      mapping.map(kernel.getResults(), lowered.getResults());
      return success();
    }
    plan::PackedType type = packedOf(op.getResult(0));
    if (plan::isView(&op)) {
      mapping.map(op.getResult(0), plan::AliasOp::create(builder, op.getLoc(), type, builder.getStringAttr(op.getName().stripDialect()), operands[0]).getResult());
      return success();
    }
    auto product = dyn_cast<plan::ProductOp>(op);
    FailureOr<DictionaryAttr> attributes = product ? FailureOr<DictionaryAttr>(productAttributes(product)) : plan::stepAttributes(&op);
    if (failed(attributes))
      return failure();
    if (auto parameter = dyn_cast<nn::ParamOp>(op))
      attributes = withFrozen(*attributes, parameter);
    StringRef kind = product ? "gemm" : isa<nn::RandomOp>(op) ? "random" : plan::isUpdate(&op) ? "update" : "aten", name = product ? "contract" : op.getName().stripDialect();
    auto step = plan::StepOp::create(builder, op.getLoc(), type, builder.getStringAttr(kind), builder.getStringAttr(name), operands, IntegerAttr(), *attributes);
    if (Attribute why = op.getAttr(plan::kWhyAlone))
      step->setAttr(plan::kWhyAlone, why);
    mapping.map(op.getResult(0), step.getResult());
    return success();
  }

  plan::ProgramOp program;
  IRMapping mapping;
};
} // namespace

LogicalResult mlir::plan::lowerPrograms(ModuleOp module) {
  for (plan::ProgramOp program : module.getOps<plan::ProgramOp>())
    if (failed(Lowering(program).run()))
      return failure();
  return success();
}
