// Growth: the rules of Growth.h.
#include "dialects/nn/Nn.h"
#include "mlir/IR/IRMapping.h"

using namespace mlir;
using namespace mlir::nn;

namespace {
using Marks = SmallVector<bool>;

NNType typeOf(Value value) { return cast<NNType>(value.getType()); }
int64_t fromFront(int64_t axis, int64_t rank) { return axis < 0 ? axis + rank : axis; }
bool anyMarked(ArrayRef<bool> marked) { return llvm::is_contained(marked, true); }

/// The marks of an operand whose axis i is the result's axis axes[i]; -1: it is needed whole.
Marks marksOf(ArrayRef<int64_t> axes, ArrayRef<bool> marked) {
  return llvm::map_to_vector(axes, [&](int64_t axis) { return axis >= 0 && marked[axis]; });
}

/// `op` on what is asked of its operands.
Value rebuilt(Operation *op, GrowthContext &context, ArrayRef<Marks> marks) {
  SmallVector<Value> operands;
  for (auto [operand, own] : llvm::zip_equal(op->getOperands(), marks)) {
    operands.push_back(context.ask(operand, own));
    if (!operands.back())
      return nullptr;
  }
  return cloneOn(context.builder, op, operands);
}
Value rebuilt(Operation *op, GrowthContext &context, Marks marks) { return rebuilt(op, context, ArrayRef<Marks>(&marks, 1)); }

/// Axes of a value of that rank, without those that the result lacks.
SmallVector<int64_t> keptAxes(int64_t rank, ArrayRef<int64_t> gone, bool keep) {
  llvm::SmallVector<bool> lost(rank);
  for (int64_t axis : gone)
    lost[fromFront(axis, rank)] = true;
  SmallVector<int64_t> axes;
  int64_t next = 0;
  for (int64_t axis = 0; axis < rank; ++axis) {
    axes.push_back(lost[axis] ? -1 : next);
    next += keep || !lost[axis];
  }
  return axes;
}
} // namespace

Value mlir::nn::cloneOn(OpBuilder &builder, Operation *op, ValueRange operands) {
  IRMapping mapping;
  mapping.map(op->getOperands(), operands);
  Operation *copy = builder.clone(*op, mapping);
  if (auto infer = dyn_cast<InferTypeOpInterface>(copy)) {
    SmallVector<Type> types;
    if (failed(infer.inferReturnTypes(op->getContext(), op->getLoc(), copy->getOperands(), copy->getAttrDictionary(), copy->getPropertiesStorage(), copy->getRegions(), types)))
      return nullptr;
    copy->getResult(0).setType(types.front());
  }
  return copy->getResult(0);
}

Value mlir::nn::lastEntry(OpBuilder &builder, Value value, int64_t axis) {
  return SliceOp::create(builder, value.getLoc(), value, builder.getI64IntegerAttr(axis), DimAttr::get(builder.getContext(), -1), DimAttr(), builder.getI64IntegerAttr(1));
}

Value mlir::nn::newestOfEach(Operation *op, GrowthContext &context, ArrayRef<bool> marked) {
  SmallVector<Marks> marks;
  for (Value operand : op->getOperands()) // an axis of 1 that is stretched is never ragged, so no mark is lost
    marks.push_back(Marks(marked.take_back(typeOf(operand).rank())));
  return rebuilt(op, context, marks);
}

Value IotaOp::newest(GrowthContext &context, ArrayRef<bool> marked) { return context.lastPlace(getResult().getType().getDims().front()); }

Value DimOp::newest(GrowthContext &context, ArrayRef<bool>) {
  NNType like = getLike().getType();
  return context.length(like.getDims()[fromFront(getAxis(), like.rank())]);
}

Value BroadcastOp::newest(GrowthContext &context, ArrayRef<bool> marked) {
  Value x = context.ask(getX(), Marks(marked.take_back(getX().getType().rank())));
  if (!x)
    return nullptr;
  SmallVector<Dim> dims(getResult().getType().getDims());
  for (auto [dim, mark] : llvm::zip_equal(dims, marked))
    dim = mark ? Dim{1, 0} : dim;
  return BroadcastOp::create(context.builder, getLoc(), getResult().getType().withDims(dims), x);
}

Value ReduceOp::newest(GrowthContext &context, ArrayRef<bool> marked) {
  if (getOverExamples())
    return context.reject("it sums over the examples of the batch");
  return rebuilt(*this, context, marksOf(keptAxes(getX().getType().rank(), getAxes(), getKeep()), marked));
}

Value ArgmaxOp::newest(GrowthContext &context, ArrayRef<bool> marked) {
  return rebuilt(*this, context, marksOf(keptAxes(getX().getType().rank(), {static_cast<int64_t>(getAxis())}, false), marked));
}

Value ContractOp::newest(GrowthContext &context, ArrayRef<bool> marked) {
  if (getOverExamples())
    return context.reject("it sums over the examples of the batch");
  auto [inputs, out] = getEquation().split("->");
  auto [x, y] = inputs.split(',');
  SmallVector<Marks> marks;
  for (StringRef letters : {x, y}) {
    SmallVector<int64_t> axes;
    for (char letter : letters)
      axes.push_back(out.contains(letter) ? static_cast<int64_t>(out.find(letter)) : -1);
    marks.push_back(marksOf(axes, marked));
  }
  return rebuilt(*this, context, marks);
}

Value TransposeOp::newest(GrowthContext &context, ArrayRef<bool> marked) {
  Marks marks(marked.size());
  for (auto [place, axis] : llvm::enumerate(getPerm()))
    marks[axis] = marked[place];
  return rebuilt(*this, context, marks);
}

Value SplitOp::newest(GrowthContext &context, ArrayRef<bool> marked) {
  const int64_t axis = fromFront(getAxis(), getX().getType().rank()), parts = getSizes().size();
  if (anyMarked(marked.slice(axis, parts)))
    return context.reject("it cuts the text into pieces");
  Marks marks(marked.take_front(axis));
  marks.push_back(false);
  llvm::append_range(marks, marked.drop_front(axis + parts));
  return rebuilt(*this, context, marks);
}

Value MergeOp::newest(GrowthContext &context, ArrayRef<bool> marked) {
  const int64_t axis = fromFront(getAxis(), getX().getType().rank()), count = getCount();
  if (marked[axis])
    return context.reject("it makes one axis of the text's and others");
  Marks marks(marked.take_front(axis));
  marks.append(count, false);
  llvm::append_range(marks, marked.drop_front(axis + 1));
  return rebuilt(*this, context, marks);
}

Value ExpandDimsOp::newest(GrowthContext &context, ArrayRef<bool> marked) {
  Marks marks(marked);
  marks.erase(marks.begin() + fromFront(getAxis(), marked.size()));
  return rebuilt(*this, context, marks);
}

Value SqueezeOp::newest(GrowthContext &context, ArrayRef<bool> marked) {
  Marks marks(marked);
  marks.insert(marks.begin() + fromFront(getAxis(), marked.size() + 1), false);
  return rebuilt(*this, context, marks);
}

Value SliceOp::newest(GrowthContext &context, ArrayRef<bool> marked) {
  const int64_t axis = fromFront(getAxis(), marked.size());
  if (!marked[axis])
    return rebuilt(*this, context, Marks(marked));
  const bool toEnd = !getStop() || getStop()->dim() == getX().getType().getDims()[axis];
  if (!toEnd || getStep() != 1)
    return context.reject("it takes a part of the text that does not end with it");
  return context.ask(getX(), marked); // from a fixed place on: the newest is the newest
}

Value RollOp::newest(GrowthContext &context, ArrayRef<bool> marked) {
  return marked[fromFront(getAxis(), marked.size())] ? context.reject("it turns the text") : rebuilt(*this, context, Marks(marked));
}

Value RepeatOp::newest(GrowthContext &context, ArrayRef<bool> marked) {
  return marked[fromFront(getAxis(), marked.size())] ? context.reject("it repeats the text's entries") : rebuilt(*this, context, Marks(marked));
}

Value ConcatOp::newest(GrowthContext &context, ArrayRef<bool> marked) {
  const int64_t axis = fromFront(getAxis(), marked.size());
  if (!marked[axis])
    return rebuilt(*this, context, SmallVector<Marks>(getXs().size(), Marks(marked)));
  for (Value part : getXs().drop_back())
    if (!typeOf(part).getDims()[axis].isStatic())
      return context.reject("it joins two texts");
  if (typeOf(getXs().back()).getDims()[axis].isStatic())
    return context.reject("it joins entries behind the text");
  return context.ask(getXs().back(), marked);
}

Value GatherOp::newest(GrowthContext &context, ArrayRef<bool> marked) {
  const int64_t indexed = getIndices().getType().rank();
  Marks table = {false};
  llvm::append_range(table, marked.drop_front(indexed));
  SmallVector<Marks> marks = {table, Marks(marked.take_front(indexed))};
  return rebuilt(*this, context, marks);
}
