// ExposeStructure (nn-expose-structure): products with a weight expression become products on activations, rows of one an expression of rows.
//
// In     contract(x, E): E run-level, built by sums, scalings of rows or columns and low-rank products over frozen weights;
//        gather(E, ids): E made of a weight of the checkpoint, row by row
// Out    the same value without E: `x (W + s B A)ᵀ` as `x Wᵀ + s (x Aᵀ) Bᵀ`, a row scale moved to y, a column scale to x;
//        and `sum(E ∘ E, in)` by Gram matrices: |W|² + 2 s (W Aᵀ) ∘ B + s² B (A Aᵀ) ∘ B, rows only;
//        `(W + s B A)[ids]` as `W[ids] + s B[ids] A`: a table of all words is not formed for those of a text
// Why here  before nn-derive-backward: what is never formed is never differentiated
// Numerics  reassociates sums; the norm by Gram matrices loses about half an ulp of |W|²
//
// An expression is opened only where it holds a part that is cheaper applied (the interface Structured): that is when a dense [out, in]
// temporary (and, backward, a dense gradient) costs more than two thin products.
#include "compiler/passes/nn/Passes.h"
#include "dialects/nn/Nn.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

using namespace mlir;
using namespace mlir::nn;

/// x[…, k] against E[z, k] (or E[k, z]) into […, z], in either order.
static void exposeProduct(ContractOp op) {
  auto [inputs, out] = op.getEquation().split("->");
  auto [lhs, rhs] = inputs.split(',');
  const bool second = isCheaperApplied(op.getY());
  Value x = second ? op.getX() : op.getY(), E = second ? op.getY() : op.getX();
  if (!isCheaperApplied(E) || !cast<NNType>(x.getType()).getExample() || op.getOverExamples())
    return;
  StringRef own = second ? lhs : rhs, letters = second ? rhs : lhs;
  const char inner = own.back(), outer = out.back();
  if (!letters.contains(inner) || !letters.contains(outer) || own.drop_back() != out.drop_back())
    return;
  OpBuilder b(op);
  StructureContext context{b, op.getLoc(), own.drop_back().str()};
  op.getResult().replaceAllUsesWith(applyTo(context, x, E, letters.find(outer) != 0));
}

/// The sum over the last axis of E ∘ E.
static void exposeNorm(ReduceOp op) {
  auto square = op.getX().getDefiningOp<MulOp>();
  const bool rows = op.getAxes().size() == 1 && (op.getAxes()[0] == 1 || op.getAxes()[0] == -1);
  if (!square || square.getX() != square.getY() || op.getKind() != "sum" || op.getKeep() || !rows || !isCheaperApplied(square.getX()))
    return;
  OpBuilder b(op);
  StructureContext context{b, op.getLoc(), ""};
  if (Value norm = rowNormSq(context, square.getX()))
    op.getResult().replaceAllUsesWith(norm);
}

namespace {
/// Chosen rows of a table of the run, as the same operations on the rows of what it is made of (the interface Growing, whose newest entries are chosen ones here).
class ChosenRows {
public:
  explicit ChosenRows(GatherOp op) : op(op), b(op), rows(typeOf(op.getTable()).getDims()[0]) {}
  bool ofStored = false; ///< whether a weight of the checkpoint takes part

  /// The value with the chosen entries along its marked axis, if it has one of the table's rows; null if there is no such form.
  Value at(Value value, ArrayRef<bool> marked) {
    const auto mark = llvm::find(marked, true);
    const size_t axis = mark - marked.begin();
    if (mark == marked.end() || typeOf(value).getDims()[axis].is(1)) // one row is that of all
      return value;
    if (typeOf(value).getDims()[axis] != rows || llvm::count(marked, true) > 1)
      return nullptr;
    if (Value known = made.lookup({value, axis}))
      return known;
    return made[{value, axis}] = chosen(value, marked, axis);
  }

private:
  static NNType typeOf(Value value) { return cast<NNType>(value.getType()); }

  Value chosen(Value value, ArrayRef<bool> marked, size_t axis) {
    Operation *made = value.getDefiningOp();
    if (isa_and_nonnull<IotaOp>(made))
      return op.getIndices();
    if (auto broadcast = dyn_cast_or_null<BroadcastOp>(made))
      return stretched(broadcast, marked, axis);
    if (!isa_and_nonnull<Growing>(made) || isa<SliceOp, ConcatOp>(made)) // whose last entry is not like the others
      return gathered(value, axis);
    auto ask = [&](Value operand, ArrayRef<bool> own) { return at(operand, own); };
    auto none = [](Dim) { return Value(); };
    GrowthContext context{b, ask, none, none, ""};
    return cast<Growing>(made).newest(context, marked);
  }

  Value stretched(BroadcastOp broadcast, ArrayRef<bool> marked, size_t axis) {
    const NNType type = typeOf(broadcast.getResult());
    Value x = at(broadcast.getX(), marked.take_back(typeOf(broadcast.getX()).rank()));
    if (!x)
      return nullptr;
    SmallVector<Dim> dims(type.getDims());
    dims[axis] = typeOf(op.getIndices()).getDims()[0];
    return BroadcastOp::create(b, op.getLoc(), NNType::get(b.getContext(), typeOf(op.getResult()).getExample(), dims, type.getElement()), x);
  }

  /// Rows of what is there whole.
  Value gathered(Value value, size_t axis) {
    if (auto param = value.getDefiningOp<ParamOp>())
      if (auto declared = param->getParentOfType<ModuleOp>().lookupSymbol<ParameterOp>(param.getName()))
        ofStored |= declared.getRole() == "base";
    SmallVector<int64_t> perm = llvm::to_vector(llvm::seq<int64_t>(0, typeOf(value).rank()));
    std::swap(perm[0], perm[axis]); // its own inverse
    Value table = axis == 0 ? value : TransposeOp::create(b, op.getLoc(), value, perm).getResult();
    Value found = GatherOp::create(b, op.getLoc(), table, op.getIndices());
    return axis == 0 ? found : TransposeOp::create(b, op.getLoc(), found, perm).getResult();
  }

  GatherOp op;
  OpBuilder b;
  const Dim rows;
  llvm::DenseMap<std::pair<Value, size_t>, Value> made;
};
} // namespace

/// Rows of a table that is an expression of the run. Of tables of a method's own all rows are fewer than those of the texts of a batch.
static void exposeRows(GatherOp op) {
  const NNType table = op.getTable().getType(), indices = op.getIndices().getType();
  Operation *made = op.getTable().getDefiningOp();
  if (table.getExample() || !table.isStatic() || indices.rank() != 1 || !isa_and_nonnull<Growing, BroadcastOp>(made) || isa<SliceOp, ConcatOp, GatherOp>(made))
    return;
  ChosenRows rows(op);
  SmallVector<bool> marked(table.rank());
  marked[0] = true;
  if (Value found = rows.at(op.getTable(), marked); found && rows.ofStored && found.getType() == op.getType())
    op.getResult().replaceAllUsesWith(found);
}

LogicalResult mlir::nn::exposeStructure(ModuleOp module) {
  for (auto func : module.getOps<func::FuncOp>()) {
    if (!func->hasAttr("nn.mode"))
      continue;
    for (Operation &op : llvm::make_early_inc_range(func.getBody().front()))
      if (auto contract = dyn_cast<ContractOp>(op))
        exposeProduct(contract);
      else if (auto reduce = dyn_cast<ReduceOp>(op))
        exposeNorm(reduce);
      else if (auto gather = dyn_cast<GatherOp>(op))
        exposeRows(gather);
    // What is no longer used must not be differentiated.
    for (Operation &op : llvm::make_early_inc_range(llvm::reverse(func.getBody().front())))
      if (isOpTriviallyDead(&op))
        op.erase();
  }
  return success();
}
