// StepAttributes: see the header.
#include "compiler/passes/plan/StepAttributes.h"
#include "dialects/nn/Nn.h"
#include "dialects/plan/Plan.h"

using namespace mlir;

namespace {
int64_t fromFront(int64_t axis, int64_t rank) { return axis < 0 ? axis + rank : axis; }

/// The operand's rank that `axis` counts in.
int64_t axisRank(Operation *op) {
  int64_t rank = cast<nn::NNType>(op->getOperand(0).getType()).rank();
  return isa<nn::ExpandDimsOp>(op) ? rank + 1 : rank;
}

/// A slice's start may count from the end.
nn::Dim sliceStart(nn::SliceOp op) {
  nn::Dim start = op.getStart().dim();
  if (!start.isStatic() || start.constant >= 0)
    return start;
  auto type = cast<nn::NNType>(op.getX().getType());
  return type.getDims()[fromFront(op.getAxis(), type.rank())] + start;
}

Attribute spelled(Operation *op, NamedAttribute attribute) {
  MLIRContext *context = op->getContext();
  StringRef name = attribute.getName().getValue();
  if (name == "axis") {
    int64_t axis = cast<IntegerAttr>(attribute.getValue()).getInt();
    return IntegerAttr::get(IntegerType::get(context, 64), fromFront(axis, axisRank(op)));
  }
  if (auto reduce = dyn_cast<nn::ReduceOp>(op); reduce && name == "axes") {
    SmallVector<int64_t> axes;
    for (int64_t axis : reduce.getAxes())
      axes.push_back(fromFront(axis, axisRank(op)));
    return DenseI64ArrayAttr::get(context, axes);
  }
  if (auto dim = dyn_cast<nn::DimAttr>(attribute.getValue())) {
    nn::Dim value = dim.dim();
    if (auto slice = dyn_cast<nn::SliceOp>(op); slice && name == "start")
      value = sliceStart(slice);
    return plan::DimAttr::get(context, value.constant, value.scale, value.sequence);
  }
  return attribute.getValue();
}

/// What the result's type says already.
bool isInType(Operation *op, StringRef name) {
  return (isa<nn::CastOp>(op) && name == "to") || (isa<nn::SliceOp>(op) && name == "stop");
}
} // namespace

FailureOr<DictionaryAttr> mlir::plan::stepAttributes(Operation *op) {
  if (op->getNumResults() != 1 || !plan::isOp(op->getName().stripDialect()))
    return op->emitError("`") << op->getName() << "` cannot be a step of a program", failure();
  SmallVector<NamedAttribute> attributes;
  for (NamedAttribute attribute : op->getAttrDictionary()) {
    StringRef name = attribute.getName().getValue();
    if (!name.contains('.') && !isInType(op, name))
      attributes.push_back({attribute.getName(), spelled(op, attribute)});
  }
  return DictionaryAttr::get(op->getContext(), attributes);
}

plan::PackedType mlir::plan::packed(nn::NNType type) {
  SmallVector<plan::Dim> dims;
  for (nn::Dim dim : type.getDims())
    dims.push_back({dim.constant, dim.scale, dim.sequence});
  return PackedType::get(type.getContext(), type.getExample(), dims, type.getElement());
}
