// KernelSpace: see the header.
#include "compiler/passes/plan/KernelSpace.h"

using namespace mlir;
using namespace mlir::plan;

/// A row product's, which has no vector of a row: the product, and what scales it.
static bool isOfRowProduct(Operation *op) {
  return isa<nn::ContractOp>(op) || llvm::any_of(op->getOperands(), [](Value operand) { return operand.getDefiningOp<nn::ContractOp>() != nullptr; });
}

Space mlir::plan::spaceOf(KernelOp op) {
  SmallVector<Space> spaces;
  for (Operation &made : op.getBody().front()) {
    if (isa<YieldOp, nn::ConstantOp>(made) || isView(&made) || isStorageCast(&made))
      continue;
    if (isa<nn::RandomOp>(made) || isMadeWhereRead(&made)) // its shape is its users'
      continue;
    if (op.getSpace() == "rows" && isOfRowProduct(&made))
      continue;
    auto own = fusableIn(&made, op.getSpace() == "flat").space;
    assert(own && "an op that no kernel can hold");
    spaces.push_back(*own);
  }
  llvm::stable_sort(spaces, [](const Space &a, const Space &b) { return a.parts > b.parts; }); // whole rows and numbers of parts meet only where there are parts
  std::optional<Space> space;
  for (const Space &own : spaces)
    space = space ? unite(*space, own) : own;
  assert(space && "a kernel without ops");
  return *space;
}

bool mlir::plan::isShared(const Space &space, nn::NNType type) {
  if (space.parts == 1)
    return false;
  if (type.getExample() == space.example)
    return isSharedByParts(type) && type.getDims().back().is(space.columns);
  auto shape = rowShapeOf(type);
  return shape->rowCount.constant * shape->columns == space.columns && !type.getDims().back().is(1);
}

bool mlir::plan::isOfPart(const Space &space, nn::NNType type) {
  auto shape = rowShapeOf(type);
  const int64_t numbers = type.getExample() == space.example ? shape->columns : shape->rowCount.constant * shape->columns;
  return space.example && space.parts > 1 && space.columns > 1 && numbers == space.parts && !isShared(space, type);
}

bool mlir::plan::isWholeRow(const Space &space, nn::NNType type) {
  auto shape = rowShapeOf(type);
  return shape && type.getExample() == space.example && shape->rowCount == space.rowCount && shape->columns == space.columns * space.parts && shape->columns > 1 && !isOfPart(space, type);
}

std::optional<RowProduct> mlir::plan::rowProductOf(Value yielded) {
  auto rounds = yielded.getDefiningOp<nn::CastOp>();
  if (!rounds)
    return std::nullopt;
  RowProduct made;
  Value value = rounds.getX();
  if (auto scaled = value.getDefiningOp<nn::MulOp>()) {
    auto factor = scaled.getY().getDefiningOp<nn::ConstantOp>();
    auto number = factor ? dyn_cast<FloatAttr>(factor.getValue()) : FloatAttr();
    if (!number)
      return std::nullopt;
    made.scale = number.getValueAsDouble(), value = scaled.getX();
  }
  made.product = value.getDefiningOp<nn::ContractOp>();
  if (!made.product || made.product.getEquation() != kRowProduct)
    return std::nullopt;
  auto widened = made.product.getY().getDefiningOp<nn::CastOp>();
  auto matrix = widened ? dyn_cast<BlockArgument>(widened.getX()) : BlockArgument();
  if (!matrix)
    return std::nullopt;
  made.x = made.product.getX(), made.matrix = matrix.getArgNumber(), made.columns = cast<nn::NNType>(matrix.getType()).getDims()[0].constant;
  return made;
}

SmallVector<std::pair<unsigned, RowProduct>> mlir::plan::rowProductsOf(KernelOp op) {
  SmallVector<std::pair<unsigned, RowProduct>> products;
  if (op.getSpace() == "rows")
    for (auto [index, yielded] : llvm::enumerate(op.getBody().front().getTerminator()->getOperands()))
      if (auto product = rowProductOf(yielded))
        products.push_back({index, *product});
  return products;
}
