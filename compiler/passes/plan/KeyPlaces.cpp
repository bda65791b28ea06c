// KeyPlaces: see the header.
#include "compiler/passes/plan/KeyPlaces.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace mlir::plan;

namespace {
enum class Axis { rows, keys, none };
Axis axisOf(Value index) {
  auto type = cast<nn::NNType>(index.getType());
  if (type.rank() != 3)
    return Axis::none;
  return isRowOfTiles(type) ? Axis::rows : type.getDims()[2].isStatic() ? Axis::none : Axis::keys;
}

std::optional<Comparison::Kind> kindOf(Operation *op) {
  return llvm::TypeSwitch<Operation *, std::optional<Comparison::Kind>>(op)
      .Case<nn::LtOp>([](auto) { return Comparison::lt; })
      .Case<nn::LeOp>([](auto) { return Comparison::le; })
      .Case<nn::EqOp>([](auto) { return Comparison::eq; })
      .Case<nn::GeOp>([](auto) { return Comparison::ge; })
      .Case<nn::GtOp>([](auto) { return Comparison::gt; })
      .Default([](Operation *) { return std::nullopt; });
}

/// What both bounds leave, or none if they do not compare; and either, the nearer one if they do.
std::optional<Bound> outer(const std::optional<Bound> &x, const std::optional<Bound> &y, bool greater) {
  if (!x || !y || x->ofRow != y->ofRow)
    return std::nullopt;
  return (x->offset > y->offset) == greater ? x : y;
}
std::optional<Bound> inner(const std::optional<Bound> &x, const std::optional<Bound> &y, bool greater) {
  if (!x || !y)
    return x ? x : y;
  return x->ofRow != y->ofRow || (x->offset > y->offset) == greater ? x : y;
}
} // namespace

int64_t mlir::plan::offsetOf(Value index) {
  Operation *op = index.getDefiningOp();
  if (auto constant = dyn_cast<nn::ConstantOp>(op))
    return cast<IntegerAttr>(constant.getValue()).getInt();
  if (isa<nn::AddOp>(op))
    return offsetOf(op->getOperand(0)) + offsetOf(op->getOperand(1));
  if (isa<nn::SubOp>(op))
    return offsetOf(op->getOperand(0)) - offsetOf(op->getOperand(1));
  return isa<nn::ExpandDimsOp>(op) ? offsetOf(op->getOperand(0)) : 0; // else an iota
}

std::optional<Comparison> mlir::plan::comparisonOf(Operation *op) {
  auto kind = kindOf(op);
  if (!kind || !isIndex(op->getOperand(0)) || !isIndex(op->getOperand(1)))
    return std::nullopt;
  const bool turned = axisOf(op->getOperand(1)) == Axis::keys;
  Value key = op->getOperand(turned ? 1 : 0), other = op->getOperand(turned ? 0 : 1);
  if (axisOf(key) != Axis::keys || axisOf(other) == Axis::keys)
    return std::nullopt;
  if (turned)
    kind = static_cast<Comparison::Kind>(Comparison::gt - *kind);
  return Comparison{*kind, axisOf(other) == Axis::rows, offsetOf(other) - offsetOf(key)};
}

Hull mlir::plan::hullOf(Value seen) {
  Operation *op = seen.getDefiningOp();
  if (!op)
    return {};
  if (isa<nn::AndOp, nn::OrOp>(op)) {
    Hull x = hullOf(op->getOperand(0)), y = hullOf(op->getOperand(1));
    if (isa<nn::AndOp>(op))
      return {inner(x.begin, y.begin, true), inner(x.end, y.end, false)};
    return x.isEmpty() ? y : y.isEmpty() ? x : Hull{outer(x.begin, y.begin, false), outer(x.end, y.end, true)};
  }
  auto comparison = comparisonOf(op);
  if (!comparison)
    return {};
  const Bound here{comparison->ofRow, comparison->offset}, behind{comparison->ofRow, comparison->offset + 1};
  switch (comparison->kind) {
  case Comparison::lt:
    return {{}, here};
  case Comparison::le:
    return {{}, behind};
  case Comparison::eq:
    return {here, behind};
  case Comparison::ge:
    return {here, {}};
  case Comparison::gt:
    return {behind, {}};
  }
  return {};
}
