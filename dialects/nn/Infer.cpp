// Infer: result types of `nn` ops from their operands. Ops that carry theirs are in Verify.cpp.
//
// The messages end up in front of a user when an elaborated method does not fit its site, so they name both shapes.
#include "dialects/nn/Nn.h"
#include "mlir/IR/BuiltinOps.h"
#include <map>
#include <utility>

using namespace mlir;
using namespace mlir::nn;

namespace {
NNType typeOf(Value value) { return cast<NNType>(value.getType()); }
NNType make(MLIRContext *context, bool example, ArrayRef<Dim> dims, Type element) { return NNType::get(context, example, dims, element); }
Type boolType(MLIRContext *context) { return IntegerType::get(context, 1); }
Type indexType(MLIRContext *context) { return IntegerType::get(context, 64); }
bool anyExample(ValueRange values) {
  return llvm::any_of(values, [](Value value) { return typeOf(value).getExample(); });
}
/// A negative axis counts from the end; failure when outside.
FailureOr<int64_t> axisOf(std::optional<Location> location, int64_t axis, int64_t rank) {
  int64_t actual = axis < 0 ? axis + rank : axis;
  if (actual < 0 || actual >= rank)
    return emitOptionalError(location, "axis ", axis, " of a value with ", rank, " axes"), failure();
  return actual;
}
/// Right-aligned broadcast of all operands' shapes, in their common element type (or `element`).
LogicalResult inferElementwise(MLIRContext *context, std::optional<Location> location, ValueRange operands, Type element,
                               SmallVectorImpl<Type> &types) {
  SmallVector<Dim> dims;
  for (Value operand : operands) {
    auto both = broadcastDims(dims, typeOf(operand).getDims());
    if (failed(both))
      return emitOptionalError(location, "shapes ", toString(typeOf(operands.front())), " and ", toString(typeOf(operand)),
                               " do not match");
    dims = *both;
  }
  types.push_back(make(context, anyExample(operands), dims, element));
  return success();
}
LogicalResult sameElement(std::optional<Location> location, Value x, Value y) {
  if (typeOf(x).getElement() == typeOf(y).getElement())
    return success();
  return emitOptionalError(location, "operands hold ", typeOf(x).getElement(), " and ", typeOf(y).getElement());
}
LogicalResult boolElement(std::optional<Location> location, Value x) {
  return typeOf(x).isBool() ? success() : emitOptionalError(location, "a condition is true or false, this holds ", typeOf(x).getElement());
}
} // namespace

#define PEFT_INFER(OP)                                                                                                 \
  static LogicalResult infer##OP(MLIRContext *context, std::optional<Location> location, OP::Adaptor op,               \
                                 ValueRange operands, SmallVectorImpl<Type> &types);                                   \
  LogicalResult OP::inferReturnTypes(MLIRContext *context, std::optional<Location> location, ValueRange operands,      \
                                     DictionaryAttr attributes, OpaqueProperties properties, RegionRange regions,      \
                                     SmallVectorImpl<Type> &types) {                                                   \
    return infer##OP(context, location, OP::Adaptor(operands, attributes, properties, regions), operands, types);      \
  }                                                                                                                    \
  static LogicalResult infer##OP(MLIRContext *context, std::optional<Location> location, OP::Adaptor op,               \
                                 ValueRange operands, SmallVectorImpl<Type> &types)

#define PEFT_INFER_UNARY(OP)                                                                                           \
  PEFT_INFER(OP) {                                                                                                     \
    types.push_back(operands[0].getType());                                                                            \
    return success();                                                                                                  \
  }
PEFT_INFER_UNARY(NegOp)
PEFT_INFER_UNARY(ExpOp)
PEFT_INFER_UNARY(LogOp)
PEFT_INFER_UNARY(SqrtOp)
PEFT_INFER_UNARY(RsqrtOp)
PEFT_INFER_UNARY(TanhOp)
PEFT_INFER_UNARY(ErfOp)
PEFT_INFER_UNARY(SinOp)
PEFT_INFER_UNARY(CosOp)
PEFT_INFER_UNARY(AbsOp)
PEFT_INFER_UNARY(SignOp)
PEFT_INFER_UNARY(FloorOp)
PEFT_INFER_UNARY(StopGradOp)

#define PEFT_INFER_BINARY(OP)                                                                                          \
  PEFT_INFER(OP) {                                                                                                     \
    if (failed(sameElement(location, operands[0], operands[1])))                                                       \
      return failure();                                                                                                \
    return inferElementwise(context, location, operands, typeOf(operands[0]).getElement(), types);                     \
  }
PEFT_INFER_BINARY(AddOp)
PEFT_INFER_BINARY(SubOp)
PEFT_INFER_BINARY(MulOp)
PEFT_INFER_BINARY(DivOp)
PEFT_INFER_BINARY(PowOp)
PEFT_INFER_BINARY(MaxOp)
PEFT_INFER_BINARY(MinOp)

#define PEFT_INFER_COMPARE(OP)                                                                                         \
  PEFT_INFER(OP) {                                                                                                     \
    if (failed(sameElement(location, operands[0], operands[1])))                                                       \
      return failure();                                                                                                \
    return inferElementwise(context, location, operands, boolType(context), types);                                    \
  }
PEFT_INFER_COMPARE(LtOp)
PEFT_INFER_COMPARE(LeOp)
PEFT_INFER_COMPARE(EqOp)
PEFT_INFER_COMPARE(NeOp)
PEFT_INFER_COMPARE(GtOp)
PEFT_INFER_COMPARE(GeOp)

#define PEFT_INFER_LOGIC(OP)                                                                                           \
  PEFT_INFER(OP) {                                                                                                     \
    for (Value operand : operands)                                                                                     \
      if (failed(boolElement(location, operand)))                                                                      \
        return failure();                                                                                              \
    return inferElementwise(context, location, operands, boolType(context), types);                                    \
  }
PEFT_INFER_LOGIC(AndOp)
PEFT_INFER_LOGIC(OrOp)
PEFT_INFER_LOGIC(NotOp)

PEFT_INFER(CastOp) {
  if (!isa<FloatType>(op.getTo()) && !op.getTo().isInteger(64) && !op.getTo().isInteger(1))
    return emitOptionalError(location, "there are no tensors of ", op.getTo());
  types.push_back(typeOf(operands[0]).withElement(op.getTo()));
  return success();
}
PEFT_INFER(SelectOp) {
  if (failed(boolElement(location, operands[0])) || failed(sameElement(location, operands[1], operands[2])))
    return failure();
  return inferElementwise(context, location, operands, typeOf(operands[1]).getElement(), types);
}
PEFT_INFER(ByModeOp) {
  if (!typeOf(operands[0]).sameShape(typeOf(operands[1])))
    return emitOptionalError(location, "training has ", toString(typeOf(operands[0])), ", other programs have ",
                             toString(typeOf(operands[1])));
  types.push_back(typeOf(operands[0]).withExample(anyExample(operands)));
  return success();
}
PEFT_INFER(IotaOp) {
  NNType like = typeOf(operands[0]);
  auto axis = axisOf(location, op.getAxis(), like.rank());
  if (failed(axis))
    return failure();
  types.push_back(make(context, like.getExample(), like.getDims()[*axis], indexType(context)));
  return success();
}
PEFT_INFER(DimOp) {
  NNType like = typeOf(operands[0]);
  if (failed(axisOf(location, op.getAxis(), like.rank())))
    return failure();
  types.push_back(make(context, like.getExample(), {}, indexType(context)));
  return success();
}
PEFT_INFER(OriginOp) {
  NNType x = typeOf(operands[0]), of = typeOf(operands[1]);
  if (x.rank() < 1 || of.rank() < 1)
    return emitOptionalError(location, "entries of ", toString(x), " have no place among those of ", toString(of));
  types.push_back(make(context, anyExample(operands), x.getDims().front(), indexType(context)));
  return success();
}
PEFT_INFER(GradientOp) {
  NNType value = typeOf(operands[0]), x = typeOf(operands[1]);
  if (value.rank() != 0 || !value.isFloat())
    return emitOptionalError(location, "a gradient is that of one real number, this is ", toString(value));
  if (!x.isFloat() || !x.getExample())
    return emitOptionalError(location, "a gradient is by real numbers of each example, this is ", toString(x));
  types.push_back(x);
  return success();
}
PEFT_INFER(ArgmaxOp) {
  NNType x = typeOf(operands[0]);
  auto axis = axisOf(location, op.getAxis(), x.rank());
  if (failed(axis))
    return failure();
  SmallVector<Dim> dims(x.getDims());
  dims.erase(dims.begin() + *axis);
  types.push_back(make(context, x.getExample(), dims, indexType(context)));
  return success();
}
PEFT_INFER(RanksOp) {
  types.push_back(typeOf(operands[0]).withElement(Float32Type::get(context)));
  return axisOf(location, op.getAxis(), typeOf(operands[0]).rank());
}
PEFT_INFER(OrderOp) {
  types.push_back(typeOf(operands[0]).withElement(indexType(context)));
  return axisOf(location, op.getAxis(), typeOf(operands[0]).rank());
}
PEFT_INFER(AllRowsOp) {
  NNType x = typeOf(operands[0]);
  if (!x.getExample())
    return emitOptionalError(location, toString(x), " is the same whatever the rows are");
  SmallVector<Dim> dims = {Dim::seq()};
  dims.append(x.getDims().begin() + (x.rank() > 0 && !x.getDims().front().isStatic()), x.getDims().end());
  types.push_back(make(context, true, dims, x.getElement()));
  return success();
}
PEFT_INFER(SiblingsOp) {
  NNType x = typeOf(operands[0]);
  if (!x.getExample() || !x.isStatic())
    return emitOptionalError(location, toString(x), " is not of each example, in one shape");
  SmallVector<Dim> dims = {Dim{static_cast<int64_t>(op.getSiblings()), 0}};
  llvm::append_range(dims, x.getDims());
  types.push_back(x.withDims(dims));
  return success();
}
PEFT_INFER(SumSiblingsOp) {
  NNType x = typeOf(operands[0]);
  if (!x.getExample() || !x.isStatic() || x.rank() < 1 || x.getDims().front().constant != static_cast<int64_t>(op.getSiblings()))
    return emitOptionalError(location, toString(x), " does not have one entry for each of ", op.getSiblings(), " examples");
  types.push_back(x.withDims(x.getDims().drop_front()));
  return success();
}
PEFT_INFER(ReduceOp) {
  NNType x = typeOf(operands[0]);
  SmallVector<Dim> dims(x.getDims());
  llvm::SmallVector<bool> reduced(dims.size());
  for (int64_t axis : op.getAxes()) {
    auto actual = axisOf(location, axis, x.rank());
    if (failed(actual))
      return failure();
    if (reduced[*actual])
      return emitOptionalError(location, "axis ", axis, " is named twice");
    reduced[*actual] = true;
  }
  SmallVector<Dim> kept;
  for (auto [i, dim] : llvm::enumerate(dims))
    if (!reduced[i])
      kept.push_back(dim);
    else if (op.getKeep())
      kept.push_back({1, 0});
  types.push_back(make(context, x.getExample() && !op.getOverExamples(), kept, x.getElement()));
  return success();
}
PEFT_INFER(ContractOp) {
  StringRef inputs, lhs, rhs, out;
  std::tie(inputs, out) = op.getEquation().split("->");
  std::tie(lhs, rhs) = inputs.split(',');
  auto twice = [](StringRef letters) { return llvm::any_of(letters, [&](char letter) { return letters.count(letter) > 1; }); };
  if (twice(lhs) || twice(rhs) || twice(out))
    return emitOptionalError(location, "`", op.getEquation(), "` names an axis twice");
  std::map<char, Dim> lengths;
  for (auto [letters, value] : {std::pair(lhs, operands[0]), std::pair(rhs, operands[1])}) {
    NNType type = typeOf(value);
    if (static_cast<int64_t>(letters.size()) != type.rank())
      return emitOptionalError(location, "`", op.getEquation(), "` names ", letters.size(), " axes of a value ", toString(type));
    for (auto [letter, dim] : llvm::zip(letters, type.getDims())) {
      auto [it, inserted] = lengths.insert({letter, dim});
      if (!inserted && it->second != dim)
        return emitOptionalError(location, "a product of ", toString(typeOf(operands[0])), " and ",
                                 toString(typeOf(operands[1])), " sums over axes of length ", toString(it->second), " and ",
                                 toString(dim));
    }
  }
  SmallVector<Dim> dims;
  for (char letter : out) {
    auto it = lengths.find(letter);
    if (it == lengths.end())
      return emitOptionalError(location, "`", op.getEquation(), "`: `", std::string(1, letter), "` is not in an operand");
    dims.push_back(it->second);
  }
  types.push_back(make(context, anyExample(operands) && !op.getOverExamples(), dims, typeOf(operands[0]).getElement()));
  return success();
}
PEFT_INFER(InverseOp) {
  NNType x = typeOf(operands[0]);
  ArrayRef<Dim> matrix = x.getDims().take_back(2);
  if (matrix.size() < 2 || matrix[0] != matrix[1] || !matrix[0].isStatic() || !x.isFloat())
    return emitOptionalError(location, toString(x), " holds no square matrices of numbers, in one size");
  types.push_back(x);
  return success();
}
PEFT_INFER(TransposeOp) {
  NNType x = typeOf(operands[0]);
  if (static_cast<int64_t>(op.getPerm().size()) != x.rank())
    return emitOptionalError(location, "a permutation of ", op.getPerm().size(), " axes for ", toString(x));
  SmallVector<Dim> dims;
  llvm::SmallVector<bool> placed(x.rank());
  for (int64_t axis : op.getPerm()) {
    if (axis < 0 || axis >= x.rank() || std::exchange(placed[axis], true))
      return emitOptionalError(location, "axis ", axis, " is not one of ", toString(x), ", or was placed before");
    dims.push_back(x.getDims()[axis]);
  }
  types.push_back(x.withDims(dims));
  return success();
}
PEFT_INFER(SplitOp) {
  NNType x = typeOf(operands[0]);
  auto axis = axisOf(location, op.getAxis(), x.rank());
  if (failed(axis))
    return failure();
  int64_t product = 1, open = 0;
  for (int64_t size : op.getSizes())
    size == -1 ? ++open : product *= std::max<int64_t>(size, 0);
  const Dim whole = x.getDims()[*axis];
  const bool divides = product > 0 && whole.constant % product == 0 && whole.scale % product == 0;
  if (open > 1 || (open == 1 && !divides) || (open == 0 && !whole.is(product)))
    return emitOptionalError(location, "axis ", *axis, " of ", toString(x), " is not ", product, open ? " times a whole number" : "", " long");
  SmallVector<Dim> dims(x.getDims().take_front(*axis));
  for (int64_t size : op.getSizes())
    dims.push_back(size == -1 ? whole.over(product) : Dim{size, 0});
  llvm::append_range(dims, x.getDims().drop_front(*axis + 1));
  types.push_back(x.withDims(dims));
  return success();
}
PEFT_INFER(MergeOp) {
  NNType x = typeOf(operands[0]);
  auto axis = axisOf(location, op.getAxis(), x.rank());
  if (failed(axis))
    return failure();
  if (static_cast<int64_t>(op.getCount()) < 1)
    return emitOptionalError(location, "cannot merge ", op.getCount(), " axes of ", toString(x), " from axis ", *axis);
  Dim merged{1, 0};
  for (int64_t i = *axis; i < *axis + op.getCount(); ++i) {
    if (i >= x.rank())
      return emitOptionalError(location, "cannot merge ", op.getCount(), " axes of ", toString(x), " from axis ", *axis);
    Dim dim = x.getDims()[i];
    if (!dim.isStatic() && !merged.isStatic())
      return emitOptionalError(location, "two axes that depend on the length of the text cannot be merged: ", toString(x));
    merged = merged.isStatic() ? dim.times(merged.constant) : merged.times(dim.constant);
  }
  SmallVector<Dim> dims(x.getDims().take_front(*axis));
  dims.push_back(merged);
  llvm::append_range(dims, x.getDims().drop_front(*axis + op.getCount()));
  types.push_back(x.withDims(dims));
  return success();
}
PEFT_INFER(RollOp) {
  NNType x = typeOf(operands[0]);
  if (failed(axisOf(location, op.getAxis(), x.rank())))
    return failure();
  types.push_back(x);
  return success();
}
PEFT_INFER(RepeatOp) {
  NNType x = typeOf(operands[0]);
  auto axis = axisOf(location, op.getAxis(), x.rank());
  if (failed(axis))
    return failure();
  const auto times = static_cast<int64_t>(op.getTimes());
  if (times < 1)
    return emitOptionalError(location, "entries of ", toString(x), " cannot be repeated ", times, " times");
  SmallVector<Dim> dims(x.getDims());
  dims[*axis] = dims[*axis].times(times);
  types.push_back(x.withDims(dims));
  return success();
}
PEFT_INFER(ExpandDimsOp) {
  NNType x = typeOf(operands[0]);
  auto axis = axisOf(location, op.getAxis(), x.rank() + 1);
  if (failed(axis))
    return failure();
  SmallVector<Dim> dims(x.getDims());
  dims.insert(dims.begin() + *axis, Dim{1, 0});
  types.push_back(x.withDims(dims));
  return success();
}
PEFT_INFER(SqueezeOp) {
  NNType x = typeOf(operands[0]);
  auto axis = axisOf(location, op.getAxis(), x.rank());
  if (failed(axis))
    return failure();
  if (!x.getDims()[*axis].is(1))
    return emitOptionalError(location, "axis ", *axis, " of ", toString(x), " is not 1 long");
  SmallVector<Dim> dims(x.getDims());
  dims.erase(dims.begin() + *axis);
  types.push_back(x.withDims(dims));
  return success();
}
PEFT_INFER(SliceOp) {
  NNType x = typeOf(operands[0]);
  auto axis = axisOf(location, op.getAxis(), x.rank());
  if (failed(axis))
    return failure();
  Dim length = x.getDims()[*axis];
  auto place = [&](Dim dim) { return dim.isStatic() && dim.constant < 0 ? length + dim : dim; };
  Dim start = place(op.getStart().dim());
  Dim stop = op.getStop() ? place(op.getStop()->dim()) : length;
  if (!stop.adds(start))
    return emitOptionalError(location, "entries ", toString(start), " to ", toString(stop), " are counted by two sequences");
  Dim count = stop - start;
  if (count.isStatic() && length.isStatic() && (start.constant < 0 || stop.constant > length.constant || count.constant < 0))
    return emitOptionalError(location, "entries ", toString(start), " to ", toString(stop), " of an axis that is ", toString(length), " long");
  int64_t step = op.getStep();
  if (step != 1) {
    if (step < 1 || !count.isStatic())
      return emitOptionalError(location, "a step of ", step, " along an axis of length ", toString(count));
    count.constant = (count.constant + step - 1) / step;
  }
  SmallVector<Dim> dims(x.getDims());
  dims[*axis] = count;
  types.push_back(x.withDims(dims));
  return success();
}
PEFT_INFER(ConcatOp) {
  if (operands.empty())
    return emitOptionalError(location, "there is nothing to join");
  NNType first = typeOf(operands[0]);
  auto axis = axisOf(location, op.getAxis(), first.rank());
  if (failed(axis))
    return failure();
  SmallVector<Dim> dims(first.getDims());
  for (Value operand : operands.drop_front()) {
    NNType type = typeOf(operand);
    if (failed(sameElement(location, operands[0], operand)))
      return failure();
    if (!equalBut(first, type, *axis) || !dims[*axis].adds(type.getDims()[*axis]))
      return emitOptionalError(location, "cannot join ", toString(first), " and ", toString(type), " along axis ", *axis);
    dims[*axis] = dims[*axis] + type.getDims()[*axis];
  }
  types.push_back(make(context, anyExample(operands), dims, first.getElement()));
  return success();
}
PEFT_INFER(PutLastOp) {
  NNType x = typeOf(operands[0]), entries = typeOf(operands[1]);
  auto axis = axisOf(location, op.getAxis(), x.rank());
  if (failed(axis))
    return failure();
  if (!equalBut(x, entries, *axis) || !entries.getDims()[*axis].isStatic())
    return emitOptionalError(location, toString(entries), " are no entries of ", toString(x), " along axis ", *axis);
  types.push_back(make(context, anyExample(operands), x.getDims(), x.getElement()));
  return success();
}
PEFT_INFER(GatherOp) {
  NNType table = typeOf(operands[0]), indices = typeOf(operands[1]);
  if (table.rank() < 1 || !indices.isInteger())
    return emitOptionalError(location, "cannot look up ", toString(indices), " of ", indices.getElement(), " in ", toString(table));
  SmallVector<Dim> dims(indices.getDims());
  llvm::append_range(dims, table.getDims().drop_front());
  types.push_back(make(context, anyExample(operands), dims, table.getElement()));
  return success();
}
PEFT_INFER(ScatterAddOp) {
  NNType indices = typeOf(operands[0]), updates = typeOf(operands[1]);
  if (updates.rank() < indices.rank() || !indices.isInteger() || updates.getDims().take_front(indices.rank()) != indices.getDims())
    return emitOptionalError(location, "cannot add ", toString(updates), " at indices ", toString(indices));
  SmallVector<Dim> dims = {op.getRows().dim()};
  llvm::append_range(dims, updates.getDims().drop_front(indices.rank()));
  types.push_back(make(context, anyExample(operands) && !op.getOverExamples(), dims, updates.getElement()));
  return success();
}

#define GET_OP_CLASSES
#include "dialects/nn/NnOps.cpp.inc"
