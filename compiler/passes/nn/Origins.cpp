// Origins: see the header.
//
// In     nn.origin(x, of): x is, by way of concatenations and slices along its first axis and of ops that keep rows apart, `of`'s rows with others joined to them
// Out    for `of`'s rows their index, -1 for the entry in front of the first, -2 for the one before it …; far below that for those behind them, and for those between
//        them where `of` was cut
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
/// Places where `of` was cut: put together as x was. Null where x has none of its rows.
class CutPlaces {
public:
  CutPlaces(OpBuilder &b, Location loc, Dim own) : b(b), loc(loc), own(own) {}

  Value of(Value x) {
    if (typeOf(x).rank() == 0)
      return {};
    if (rowsOf(x) == own)
      return IotaOp::create(b, loc, x, b.getI64IntegerAttr(0));
    Operation *op = x.getDefiningOp();
    if (!op)
      return {};
    if (auto slice = dyn_cast<SliceOp>(op))
      return ofSlice(slice);
    if (auto concat = dyn_cast<ConcatOp>(op); concat && isRows(concat.getAxis(), x))
      return ofConcat(concat);
    for (Value operand : keepsRows(op) ? ValueRange(op->getOperands()) : ValueRange())
      if (typeOf(operand).rank() > 0 && rowsOf(operand) == rowsOf(x))
        if (Value places = of(operand))
          return places;
    return {};
  }

private:
  static bool isRows(int64_t axis, Value x) { return axis == 0 || axis == -typeOf(x).rank(); }

  Value ofSlice(SliceOp slice) {
    Value places = of(slice.getX());
    return !places || !isRows(slice.getAxis(), slice.getX()) ? places : Value(SliceOp::create(b, loc, places, b.getI64IntegerAttr(0), slice.getStartAttr(), slice.getStopAttr(), slice.getStepAttr()));
  }

  Value ofConcat(ConcatOp concat) {
    SmallVector<Value> parts = llvm::map_to_vector(concat.getXs(), [&](Value part) { return of(part); });
    if (llvm::none_of(parts, [](Value part) { return bool(part); }))
      return {};
    Value apart = ConstantOp::create(b, loc, NNType::get(b.getContext(), false, {}, b.getI64Type()), b.getI64IntegerAttr(kFarBelow));
    for (auto [part, places] : llvm::zip_equal(concat.getXs(), parts))
      if (!places)
        places = AddOp::create(b, loc, IotaOp::create(b, loc, part, b.getI64IntegerAttr(0)), apart);
    return ConcatOp::create(b, loc, parts, b.getI64IntegerAttr(0));
  }

  OpBuilder &b;
  Location loc;
  Dim own;
};
} // namespace

LogicalResult mlir::nn::resolveOrigins(func::FuncOp func, OpBuilder &b) {
  OpBuilder::InsertionGuard guard(b);
  auto integer = NNType::get(b.getContext(), false, {}, b.getI64Type());
  for (auto op : llvm::to_vector(func.getOps<OriginOp>())) {
    auto joined = joinedTo(op.getX(), rowsOf(op.getOf()));
    b.setInsertionPoint(op);
    Location loc = op.getLoc();
    if (!joined) {
      Value places = CutPlaces(b, loc, rowsOf(op.getOf())).of(op.getX());
      if (!places)
        return op.emitError("which rows of ") << toString(typeOf(op.getX())) << " are those of " << toString(typeOf(op.getOf())) << " cannot be told";
      op.getResult().replaceAllUsesWith(places);
      op.erase();
      continue;
    }
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
