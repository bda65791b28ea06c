// FoldScales (plan-fold-scales): a product times a number is one product.
//
// In     plan.programs without places, for a device
// Out    where a kernel does nothing but multiply a product by a number, and nobody else reads that product, the product has the number (`alpha`)
// Errs   none
// Why here  a device's library multiplies by a number for nothing; a CPU does so in the cache, where it costs nothing either. Before layouts, which put the product,
//        and no kernel's result, beside its input
//
// What is rounded is rounded once, and not before and behind the number.
#include "compiler/passes/plan/Passes.h"
#include "compiler/passes/plan/Space.h"
#include "dialects/plan/Plan.h"

using namespace mlir;
using namespace mlir::plan;

namespace {

std::optional<double> numberOf(Value value) {
  auto constant = readFrom(value).getDefiningOp<nn::ConstantOp>();
  auto number = constant ? dyn_cast<FloatAttr>(constant.getValue()) : FloatAttr();
  return number ? std::optional(number.getValueAsDouble()) : std::nullopt;
}

/// The number, if the kernel is its input times that.
std::optional<double> scaleOf(KernelOp kernel) {
  if (kernel.getSpace() != "rows" || kernel.getInputs().size() != 1 || kernel.getResults().size() != 1 || kernel.getInputs()[0].getType() != kernel.getResult(0).getType())
    return std::nullopt;
  Block &body = kernel.getBody().front();
  auto product = readFrom(body.getTerminator()->getOperand(0)).getDefiningOp<nn::MulOp>();
  if (!product)
    return std::nullopt;
  for (auto [factor, other] : {std::pair(product->getOperand(0), product->getOperand(1)), {product->getOperand(1), product->getOperand(0)}})
    if (auto number = numberOf(factor); number && readFrom(other) == body.getArgument(0))
      return number;
  return std::nullopt;
}

/// Whether the result is of another type than what is multiplied: a weight is rounded to the other factor's type (plan-round-weights).
bool isWidened(StepOp product) {
  const auto typeOf = [](Value value) { return cast<PackedType>(value.getType()); };
  return llvm::any_of(product.getInputs(), [&](Value factor) { return typeOf(factor).getExample() && typeOf(factor).getElement() != typeOf(product.getResult()).getElement(); });
}

} // namespace

LogicalResult mlir::plan::foldScales(ModuleOp module) {
  for (ProgramOp program : module.getOps<ProgramOp>())
    for (auto kernel : llvm::make_early_inc_range(program.getBody().front().getOps<KernelOp>())) {
      auto product = kernel.getInputs().empty() ? StepOp() : kernel.getInputs()[0].getDefiningOp<StepOp>();
      if (!product || product.getKind() != "gemm" || hasBranch(product) || addendOf(product) >= 0 || !product.getResult().hasOneUse())
        continue;
      auto scale = scaleOf(kernel);
      if (!scale || isWidened(product))
        continue;
      NamedAttrList how(product.getHow());
      how.set("alpha", FloatAttr::get(Float64Type::get(module.getContext()), *scale));
      product.setHowAttr(how.getDictionary(module.getContext()));
      kernel.getResult(0).replaceAllUsesWith(product.getResult());
      kernel.erase();
    }
  return success();
}
