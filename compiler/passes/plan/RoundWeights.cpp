// RoundWeights (plan-round-weights): weights of f32 that products of bf16 read are rounded once.
//
// In     plan.programs without places, for a device
// Out    where one factor of a product is bf16 and the other a parameter or an input of f32, that one rounded: by a step at the program's begin, or, of a parameter that is a
//        matrix, into one that is kept from run to run (a plan.border with nothing beside it), and written anew only when the parameter may have changed
// Errs   none
// Why here  a device's library multiplies factors of one type: whoever multiplied would round for each product anew. Behind layouts, whose matrices are of their products'
//        type already
#include "compiler/passes/plan/Begin.h"
#include "compiler/passes/plan/Passes.h"
#include "dialects/plan/Plan.h"
#include "llvm/ADT/DenseMap.h"

using namespace mlir;
using namespace mlir::plan;

namespace {
PackedType typeOf(Value value) { return cast<PackedType>(value.getType()); }

class Rounding {
public:
  explicit Rounding(ProgramOp program) : block(program.getBody().front()) {}

  void run() {
    for (auto step : block.getOps<StepOp>())
      if (step.getKind() == "gemm")
        for (unsigned first = 0; first < (hasBranch(step) ? 4u : 2u); first += 2)
          for (unsigned place : {first, first + 1})
            if (typeOf(step.getInputs()[2 * first + 1 - place]).getElement().isBF16() && isWeight(step.getInputs()[place]))
              uses.push_back({step, place});
    for (auto [step, place] : uses)
      step.getInputsMutable()[place].set(rounded(step.getInputs()[place]));
  }

private:
  static bool isWeight(Value value) { return typeOf(value).getElement().isF32() && !typeOf(value).getExample() && isGiven(value); }

  Value rounded(Value value) {
    Value &made = known[value];
    if (made)
      return made;
    OpBuilder builder = atBegin(block, value);
    auto type = PackedType::get(builder.getContext(), false, typeOf(value).getDims(), builder.getBF16Type());
    if (isParameter(value.getDefiningOp()) && type.getDims().size() == 2)
      made = BorderOp::create(builder, value.getLoc(), type, value, ValueRange(), ArrayRef<int64_t>(), ArrayRef<bool>());
    else
      made = StepOp::create(builder, value.getLoc(), type, builder.getStringAttr("aten"), builder.getStringAttr("cast"), value, IntegerAttr(), builder.getDictionaryAttr({}));
    return made;
  }

  Block &block;
  SmallVector<std::pair<StepOp, unsigned>> uses;
  llvm::DenseMap<Value, Value> known;
};
} // namespace

LogicalResult mlir::plan::roundWeights(ModuleOp module) {
  for (ProgramOp program : module.getOps<ProgramOp>())
    Rounding(program).run();
  return success();
}
