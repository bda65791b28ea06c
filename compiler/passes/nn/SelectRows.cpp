// SelectRows (nn-select-rows): what is asked for its last entry only is computed for that.
//
// In     whole functions of inference
// Out    the last entry of a value as the same operations on the last entries of what it is made of (Growth.h), as far up as that is less work: where nothing
//        else reads the value, or where it has more elements than what it is made of (a vocabulary's logits), which then need not be there whole
// Errs   none
// Why here  behind nn-derive-decode, which asks for such entries; before products are restructured, because of one row other forms are cheaper
// Numerics  none: the same operations on the same numbers
#include "compiler/passes/nn/Passes.h"
#include "dialects/nn/Nn.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

using namespace mlir;
using namespace mlir::nn;

namespace {
NNType typeOf(Value value) { return cast<NNType>(value.getType()); }

/// The axis of whose entries a slice takes the last one, where a text decides how many there are.
std::optional<int64_t> lastOf(SliceOp slice) {
  NNType type = slice.getX().getType();
  const auto axis = static_cast<int64_t>(slice.getAxis());
  const Dim own = type.getDims()[axis], start = slice.getStart().dim();
  const bool fromEnd = start == Dim{-1, 0} || start == Dim{own.constant - 1, own.scale};
  if (own.isStatic() || !fromEnd || slice.getStep() != 1 || typeOf(slice.getResult()).getDims()[axis] != Dim{1, 0})
    return std::nullopt;
  return axis;
}

/// Elements for each entry of the axes that a text decides; 0: the same for all texts.
int64_t width(Value value) {
  int64_t elements = typeOf(value).getExample() ? 1 : 0;
  for (Dim dim : typeOf(value).getDims())
    elements *= dim.isStatic() ? dim.constant : 1;
  return elements;
}

bool isWorthwhile(Operation *op, std::optional<int64_t> axis) {
  const bool alone = llvm::all_of(op->getUsers(), [&](Operation *user) {
    auto slice = dyn_cast<SliceOp>(user);
    return (slice && lastOf(slice) == axis) || isOpTriviallyDead(user);
  });
  int64_t read = 0;
  for (Value operand : op->getOperands())
    read += width(operand);
  return alone || (!op->hasTrait<MovesElements>() && width(op->getResult(0)) > read);
}

/// The slice's value by other operations, or null; `more`: slices that these read.
Value sunk(SliceOp slice, SmallVectorImpl<SliceOp> &more) {
  Operation *op = slice.getX().getDefiningOp();
  const std::optional<int64_t> axis = lastOf(slice);
  if (!axis || !op || isa<IotaOp, DimOp>(op) || !isa<Growing>(op) || !isWorthwhile(op, axis))
    return nullptr;
  OpBuilder builder(slice);
  SmallVector<SliceOp> made;
  auto ask = [&](Value value, ArrayRef<bool> marked) -> Value {
    for (auto [place, mark] : llvm::enumerate(marked))
      if (mark && !typeOf(value).getDims()[place].isStatic()) {
        value = lastEntry(builder, value, place);
        made.push_back(value.getDefiningOp<SliceOp>());
      }
    return value;
  };
  auto none = [](Dim) { return Value(); }; // of what counts entries, which is not asked
  GrowthContext context{builder, ask, none, none, ""};
  SmallVector<bool> marked(typeOf(slice.getX()).rank());
  marked[*axis] = true;
  Value entry = cast<Growing>(op).newest(context, marked);
  if (!entry || entry.getType() != slice.getType()) {
    for (SliceOp unused : llvm::reverse(made))
      if (unused.use_empty())
        unused.erase();
    return nullptr;
  }
  llvm::append_range(more, made);
  return entry;
}
} // namespace

LogicalResult mlir::nn::selectRows(ModuleOp module) {
  for (auto func : module.getOps<func::FuncOp>()) {
    auto mode = func->getAttrOfType<StringAttr>("nn.mode");
    if (!mode || mode.getValue() != "infer")
      continue;
    SmallVector<SliceOp> open(func.getOps<SliceOp>());
    while (!open.empty()) {
      SliceOp slice = open.pop_back_val();
      if (Value entry = sunk(slice, open)) {
        slice.getResult().replaceAllUsesWith(entry);
        slice.erase(); // what it was taken of may be read by nothing now
      }
    }
    for (Operation &op : llvm::make_early_inc_range(llvm::reverse(func.getBody().front())))
      if (isOpTriviallyDead(&op))
        op.erase();
  }
  return success();
}
