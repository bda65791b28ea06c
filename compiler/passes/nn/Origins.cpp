// Origins: see the header.
//
// In     nn.origin(x, of): x is, by way of concatenations along its first axis and of ops that keep rows apart, `of`'s rows with others joined to them
// Out    for `of`'s rows their index, -1 for the entry in front of the first, -2 for the one before it …; far below that for those behind them
#include "compiler/passes/nn/Origins.h"
#include "dialects/nn/Nn.h"

using namespace mlir;
using namespace mlir::nn;

namespace {
constexpr int64_t kFarBelow = -(1 << 30);

NNType typeOf(Value value) { return cast<NNType>(value.getType()); }
Dim rowsOf(Value value) { return typeOf(value).getDims().front(); }

/// What stands in front of and behind the own rows: operands of concatenations.
struct Joined {
  SmallVector<Value> front, behind;
};

/// Whether row i of the result depends on row i of every operand of its length.
bool keepsRows(Operation *op) {
  if (auto transpose = dyn_cast<TransposeOp>(op))
    return transpose.getPerm().front() == 0;
  if (auto roll = dyn_cast<RollOp>(op))
    return roll.getAxis() != 0;
  if (auto contract = dyn_cast<ContractOp>(op))
    return contract.getEquation()[0] == contract.getEquation().split("->").second.front();
  return isa<NegOp, MulOp, AddOp, SubOp, DivOp, CastOp, SelectOp, StopGradOp, SplitOp, MergeOp, ExpandDimsOp, SqueezeOp>(op);
}

std::optional<Joined> joinedTo(Value x, Dim own) {
  if (typeOf(x).rank() == 0)
    return std::nullopt;
  if (rowsOf(x) == own)
    return Joined{};
  Operation *op = x.getDefiningOp();
  auto concat = dyn_cast_or_null<ConcatOp>(op);
  if (!op || (!concat && !keepsRows(op)))
    return std::nullopt;
  if (!concat) { // row by row: the operand that has all rows knows
    for (Value operand : op->getOperands())
      if (typeOf(operand).rank() > 0 && rowsOf(operand) == rowsOf(x))
        if (auto joined = joinedTo(operand, own))
          return joined;
    return std::nullopt;
  }
  const int64_t axis = concat.getAxis();
  if (axis != 0 && axis != -typeOf(x).rank())
    return std::nullopt;
  for (auto [place, part] : llvm::enumerate(concat.getXs())) {
    std::optional<Joined> joined = rowsOf(part).isStatic() && !own.isStatic() ? std::nullopt : joinedTo(part, own);
    if (!joined)
      continue;
    joined->front.insert(joined->front.begin(), concat.getXs().begin(), concat.getXs().begin() + place);
    joined->behind.append(concat.getXs().begin() + place + 1, concat.getXs().end());
    return joined;
  }
  return std::nullopt;
}

/// How many rows the values have in all.
Value countOf(OpBuilder &b, Location loc, ArrayRef<Value> values) {
  auto integer = NNType::get(b.getContext(), false, {}, b.getI64Type());
  int64_t known = 0;
  Value ragged;
  for (Value value : values)
    if (rowsOf(value).isStatic()) {
      known += rowsOf(value).constant;
    } else {
      Value length = DimOp::create(b, loc, value, b.getI64IntegerAttr(0));
      ragged = ragged ? AddOp::create(b, loc, ragged, length).getResult() : length;
    }
  Value constant = ConstantOp::create(b, loc, integer, b.getI64IntegerAttr(known));
  return ragged ? AddOp::create(b, loc, ragged, constant).getResult() : constant;
}
} // namespace

LogicalResult mlir::nn::resolveOrigins(func::FuncOp func, OpBuilder &b) {
  OpBuilder::InsertionGuard guard(b);
  auto integer = NNType::get(b.getContext(), false, {}, b.getI64Type());
  for (auto op : llvm::to_vector(func.getOps<OriginOp>())) {
    auto joined = joinedTo(op.getX(), rowsOf(op.getOf()));
    if (!joined)
      return op.emitError("which rows of ") << toString(typeOf(op.getX())) << " are those of " << toString(typeOf(op.getOf())) << " cannot be told";
    b.setInsertionPoint(op);
    Location loc = op.getLoc();
    Value index = IotaOp::create(b, loc, op.getX(), b.getI64IntegerAttr(0));
    if (!joined->front.empty())
      index = SubOp::create(b, loc, index, countOf(b, loc, joined->front));
    if (!joined->behind.empty()) {
      Value own = countOf(b, loc, {op.getOf()});
      Value none = ConstantOp::create(b, loc, integer, b.getI64IntegerAttr(kFarBelow));
      index = SelectOp::create(b, loc, LtOp::create(b, loc, index, own), index, none);
    }
    op.getResult().replaceAllUsesWith(index);
    op.erase();
  }
  return success();
}
