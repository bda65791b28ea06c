// KeyRange: see the header.
#include "compiler/conversion/KeyRange.h"
#include "llvm/ADT/DenseMap.h"

using namespace mlir;

namespace peftc::conversion {
namespace {

using plan::Bound;
using plan::Comparison;
using plan::Hull;
using plan::hullOf;
constexpr double kLowest = -1e29; ///< and below: exp of it less any score is 0

nn::NNType typeOf(Value value) { return cast<nn::NNType>(value.getType()); }
bool isMatrix(Value value) { return plan::isQuadratic(typeOf(value)); }

/// Whether every row sees the key that is `ahead` of its own index: true only if that is sure.
bool isSeen(Value seen, int64_t ahead) {
  Operation *op = seen.getDefiningOp();
  if (!op)
    return false;
  if (isa<nn::AndOp>(op))
    return isSeen(op->getOperand(0), ahead) && isSeen(op->getOperand(1), ahead);
  if (isa<nn::OrOp>(op))
    return isSeen(op->getOperand(0), ahead) || isSeen(op->getOperand(1), ahead);
  auto comparison = plan::comparisonOf(op);
  if (!comparison || !comparison->ofRow)
    return false;
  const int64_t difference = ahead - comparison->offset;
  switch (comparison->kind) {
  case Comparison::lt:
    return difference < 0;
  case Comparison::le:
    return difference <= 0;
  case Comparison::eq:
    return difference == 0;
  case Comparison::ge:
    return difference >= 0;
  case Comparison::gt:
    return difference > 0;
  }
  return false;
}

/// What a value is for keys that no row of the tile sees.
enum class Outside { unknown, lowest, zero };

class Reading {
public:
  Reading(plan::KernelOp op, const Hull &hull) : op(op), hull(hull) {}

  /// Whether nothing that leaves the matrices depends on keys outside.
  bool isClosed() {
    for (Operation &made : op.getBody().front()) {
      if (auto reduce = dyn_cast<nn::ReduceOp>(made); reduce && isMatrix(reduce.getX())) {
        if (outside(reduce.getX()) != (reduce.getKind() == "max" ? Outside::lowest : Outside::zero) || (reduce.getKind() != "max" && reduce.getKind() != "sum"))
          return false;
      } else if (auto contract = dyn_cast<nn::ContractOp>(made)) {
        for (Value factor : {Value(contract.getX()), Value(contract.getY())})
          if (isMatrix(factor) && outside(factor) != Outside::zero)
            return false;
      } else if (isa<plan::YieldOp>(made) && llvm::any_of(made.getOperands(), isMatrix)) {
        return false;
      }
    }
    return true;
  }

private:
  Outside outside(Value value) {
    if (auto found = known.find(value); found != known.end())
      return found->second;
    Operation *made = value.getDefiningOp();
    return known[value] = made && made->getNumResults() == 1 ? ofOp(made) : Outside::unknown;
  }

  Outside ofOp(Operation *made) {
    if (auto constant = dyn_cast<nn::ConstantOp>(made))
      return ofConstant(constant);
    auto operand = [&](unsigned index) { return outside(made->getOperand(index)); };
    if (auto select = dyn_cast<nn::SelectOp>(made)) {
      Outside other = operand(2);
      return hullOf(select.getCondition()) == hull || operand(1) == other ? other : Outside::unknown;
    }
    if (isa<nn::BroadcastOp, nn::StopGradOp, nn::CastOp>(made))
      return operand(0);
    if (isa<nn::ExpOp>(made))
      return operand(0) == Outside::lowest ? Outside::zero : Outside::unknown;
    if (isa<nn::NegOp, nn::DivOp>(made))
      return operand(0) == Outside::zero ? Outside::zero : Outside::unknown;
    if (isa<nn::MulOp>(made))
      return operand(0) == Outside::zero || operand(1) == Outside::zero ? Outside::zero : Outside::unknown;
    if (isa<nn::AddOp, nn::SubOp>(made)) {
      if (operand(0) == Outside::zero && operand(1) == Outside::zero)
        return Outside::zero;
      return operand(0) == Outside::lowest && !isMatrix(made->getOperand(1)) ? Outside::lowest : Outside::unknown; // less a number of the row
    }
    return Outside::unknown;
  }

  static Outside ofConstant(nn::ConstantOp constant) {
    auto number = dyn_cast<FloatAttr>(constant.getValue());
    if (!number)
      return Outside::unknown;
    return number.getValueAsDouble() == 0 ? Outside::zero : number.getValueAsDouble() <= kLowest ? Outside::lowest : Outside::unknown;
  }

  plan::KernelOp op;
  Hull hull;
  llvm::DenseMap<Value, Outside> known;
};

/// Whether a tile's every row sees some key.
bool seesSomething(Value seen, const Hull &hull, nn::Dim rowCount, nn::Dim keyCount) {
  for (const std::optional<Bound> &bound : {hull.begin, hull.end})
    for (int64_t ahead : {bound ? bound->offset : 0, bound ? bound->offset - 1 : 0}) // the first, and the last of what the mask leaves
      if (bound && bound->ofRow && ahead >= 0 && keyCount.scale == rowCount.scale && keyCount.sequence == rowCount.sequence && rowCount.constant + ahead <= keyCount.constant && isSeen(seen, ahead))
        return true;
  return false;
}

} // namespace

KeyRange::KeyRange(plan::KernelOp op, nn::Dim rowCount, nn::Dim keyCount) {
  for (auto select : op.getBody().front().getOps<nn::SelectOp>()) {
    Hull hull = isMatrix(select.getResult()) ? hullOf(select.getCondition()) : Hull();
    if (hull.isAll() || !seesSomething(select.getCondition(), hull, rowCount, keyCount) || !Reading(op, hull).isClosed())
      continue;
    first = hull.begin, last = hull.end;
    return;
  }
}

std::optional<Value> KeyRange::at(Code &code, const std::optional<Bound> &bound, Value row) {
  if (!bound)
    return std::nullopt;
  return bound->ofRow ? code.add(row, code.integer(bound->offset)) : code.integer(bound->offset);
}

} // namespace peftc::conversion
