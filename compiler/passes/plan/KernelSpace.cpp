// KernelSpace: see the header.
#include "compiler/passes/plan/KernelSpace.h"

using namespace mlir;
using namespace mlir::plan;

Space mlir::plan::spaceOf(KernelOp op) {
  SmallVector<Space> spaces;
  for (Operation &made : op.getBody().front()) {
    if (isa<YieldOp, nn::ConstantOp>(made) || isView(&made) || isStorageCast(&made))
      continue;
    if (isa<nn::RandomOp>(made) || isMadeWhereRead(&made)) // its shape is its users'
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
