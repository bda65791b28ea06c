// Space: see the header.
#include "compiler/passes/plan/Space.h"
#include "llvm/ADT/STLExtras.h"

using namespace mlir;
using namespace mlir::nn;
using namespace mlir::plan;

namespace {
NNType typeOf(Value value) { return cast<NNType>(value.getType()); }

int64_t productOf(ArrayRef<Dim> dims) {
  int64_t product = 1;
  for (Dim dim : dims)
    product *= dim.constant;
  return product;
}

bool allOnes(ArrayRef<Dim> dims) {
  return llvm::all_of(dims, [](Dim dim) { return dim.is(1); });
}

ArrayRef<Dim> withoutLeadingOnes(ArrayRef<Dim> dims) {
  while (!dims.empty() && dims.front().is(1))
    dims = dims.drop_front();
  return dims;
}

/// The length of an axis of query rows: a text's, or of a text's newest token alone.
bool isRows(Dim dim) { return !dim.isStatic() || dim.is(1); }

/// How many of the dims are the row: those that are not columns.
size_t rowDims(NNType type) {
  if (type.getExample())
    return !type.isStatic() || (type.rank() > 1 && type.getDims()[0].is(1)) ? 1 : 0;
  return type.rank() > 1 ? 1 : 0;
}

bool isElementwise(Operation *op) {
  return isa<NegOp, ExpOp, LogOp, SqrtOp, RsqrtOp, TanhOp, ErfOp, SinOp, CosOp, AbsOp, SignOp, FloorOp, NotOp, CastOp, AddOp, SubOp, MulOp, DivOp, MaxOp, MinOp, LtOp, LeOp, EqOp, NeOp, GtOp,
             GeOp, AndOp, OrOp, SelectOp>(op);
}

bool isNumber(NNType type) { return type.isFloat() || type.isBool(); }
/// Ops that kernels can do on whole numbers.
bool knowsWholeNumbers(Operation *op) { return isa<CastOp, LtOp, LeOp, EqOp, NeOp, GtOp, GeOp>(op); }
/// [1, rows, 1], [1, 1, keys]: places that all heads share.
bool isTileIndex(Value value) {
  auto type = typeOf(value);
  return isIndex(value) && type.getExample() && type.rank() == 3 && type.getDims()[0].is(1) && (type.getDims()[1].is(1) || type.getDims()[2].is(1));
}

Fusable no(StringRef reason) { return {std::nullopt, reason}; }

Space rowsOf(const RowShape &shape) {
  Space space;
  space.example = shape.example;
  space.rowCount = shape.rowCount;
  space.columns = shape.columns;
  return space;
}

Fusable inRows(NNType result) {
  auto shape = rowShapeOf(result);
  if (!shape)
    return no("its type is no table of rows");
  return {rowsOf(*shape), ""};
}

/// Whether there are parts: axes between the rows and the last one.
bool hasParts(NNType type) {
  auto shape = rowShapeOf(type);
  return shape && type.getExample() && type.rank() > static_cast<int64_t>(rowDims(type)) + 1 && !type.getDims().back().is(1) && shape->columns > type.getDims().back().constant;
}

/// Rows in parts, one for each entry of the axes between the first and the last.
Space inParts(NNType type) {
  Space space = rowsOf(*rowShapeOf(type));
  const int64_t last = type.getDims().back().constant;
  space.parts = space.columns / last;
  space.columns = last;
  return space;
}

Fusable wholeRows(Fusable fusable) {
  if (fusable.space)
    fusable.space->whole = true;
  return fusable;
}

Space tilesOf(NNType type) {
  Space space;
  space.kind = Space::tiles;
  space.example = true;
  space.rowCount = type.getDims()[1];
  space.heads = type.getDims()[0].constant;
  space.keyCount = isQuadratic(type) ? type.getDims()[2] : Dim{};
  return space;
}

/// Why the operands of an elementwise op, or of a broadcast, do not meet in rows.
StringRef whyApart(NNType operand, NNType result) {
  if (!rowShapeOf(result) || !rowShapeOf(operand))
    return "its type is no table of rows";
  const bool ofText = operand.getExample() && result.getExample() && operand.isStatic() && !result.isStatic();
  return ofText ? "an operand is one for all rows of a text" : "an operand is broadcast along other axes than rows or columns";
}

bool isOfParts(Meeting meeting) { return meeting == Meeting::shared || meeting == Meeting::part; }

Fusable elementwise(Operation *op) {
  NNType result = typeOf(op->getResult(0));
  bool tiles = isQuadratic(result) || isRowOfTiles(result);
  auto readable = [&](Value operand) {
    auto type = typeOf(operand);
    if (isNumber(type))
      return true;
    if (!knowsWholeNumbers(op))
      return false;
    Meeting meeting = tiles ? Meeting::none : meetingOf(type, result);
    return tiles ? isIndex(operand) || isRowOfTiles(type) : meeting == Meeting::scalar || meeting == (isIndex(operand) ? Meeting::column : Meeting::row);
  };
  if (!isNumber(result) || !llvm::all_of(op->getOperands(), readable))
    return no("it reads or makes whole numbers");
  if (!tiles && !result.getExample() && allOnes(result.getDims()))
    return no("a single number of the run");
  for (Value operand : op->getOperands()) {
    NNType type = typeOf(operand);
    auto alike = [&](bool row) { // but for heads that share it
      ArrayRef<Dim> own = type.getDims(), other = result.getDims();
      return type.getExample() && own.size() == 3 && (own[0] == other[0] || own[0].is(1)) && own[1] == other[1] && (row || own[2] == other[2]);
    };
    bool matrix = isQuadratic(type) || isRowOfTiles(type);
    if (tiles && !(matrix && alike(isRowOfTiles(type))) && !isTileIndex(operand) && !isKeyTruth(operand) && !(!type.getExample() && allOnes(type.getDims())))
      return no("an operand is no matrix of a head, no number of its rows and none of the run");
    if (!tiles && meetingOf(type, result) == Meeting::none)
      return no(whyApart(type, result));
  }
  if (tiles)
    return {tilesOf(result), ""};
  bool parted = llvm::any_of(op->getOperands(), [&](Value operand) { return isOfParts(meetingOf(typeOf(operand), result)); });
  return parted ? Fusable{inParts(result), ""} : inRows(result);
}

Fusable reduction(ReduceOp op) {
  NNType from = typeOf(op.getX());
  if (ContractOp product = groupSummed(op))
    return fusableIn(product, false);
  if (plan::rowSum(op.getResult()))
    return inRows(from);
  if (op.getOverExamples())
    return no("it reduces over the examples of the batch");
  if (!from.isFloat())
    return no("it reads or makes whole numbers");
  if (isQuadratic(from)) {
    bool keys = op.getAxes().size() == 1 && (op.getAxes()[0] == 2 || op.getAxes()[0] == -1) && op.getKeep();
    return keys ? Fusable{tilesOf(from), ""} : no("it reduces another axis than the keys");
  }
  auto shape = rowShapeOf(from);
  if (!shape)
    return no("its type is no table of rows");
  if (reducesParts(op))
    return {inParts(from), ""};
  llvm::SmallVector<bool> reduced(from.rank(), false);
  for (int64_t axis : op.getAxes())
    reduced[axis < 0 ? axis + from.rank() : axis] = true;
  for (int64_t axis = 0, rows = rowDims(from); axis < from.rank(); ++axis)
    if (reduced[axis] != (axis >= rows) && !from.getDims()[axis].is(1))
      return no(rows && reduced[0] && from.getExample() ? "it reduces over the rows of a text" : "it does not reduce exactly the columns of a row or of its parts");
  if (!from.getExample() && rowDims(from) == 0)
    return no("it reduces the only row");
  if (!rowShapeOf(typeOf(op.getResult())))
    return no("its result is no number of a row");
  Space space = rowsOf(*shape);
  space.whole = true;
  return {space, ""};
}

/// The letters of a batched matrix product of rank three: one in all, one summed.
struct Letters {
  std::string x, y, out;
  char batch = 0;
};
std::optional<Letters> lettersOf(ContractOp op) {
  auto [inputs, out] = op.getEquation().split("->");
  auto [x, y] = inputs.split(',');
  Letters letters{x.str(), y.str(), out.str()};
  if (x.size() != 3 || y.size() != 3 || out.size() != 3)
    return std::nullopt;
  int batches = 0;
  for (char letter : letters.out)
    if (x.contains(letter) && y.contains(letter)) {
      letters.batch = letter;
      ++batches;
    }
  return batches == 1 ? std::optional(letters) : std::nullopt;
}

/// [rows, heads, size] with the heads in the middle.
bool isLinear(NNType type, const std::string &letters, char batch) {
  return type.rank() == 3 && isRows(type.getDims()[0]) && type.getDims()[1].isStatic() && type.getDims()[2].isStatic() && letters[1] == batch;
}
} // namespace

std::optional<Space> mlir::plan::unite(const Space &a, const Space &b) {
  if (a.kind != b.kind || a.example != b.example)
    return std::nullopt;
  Space both = a;
  if (a.kind == Space::flat)
    return both;
  if (a.rowCount != b.rowCount || (a.heads != b.heads && a.heads != 1 && b.heads != 1))
    return std::nullopt;
  both.heads = std::max(a.heads, b.heads);
  if (a.parts != b.parts) { // rows are done in parts where everything can be
    const Space &parted = a.parts > b.parts ? a : b, &rows = a.parts > b.parts ? b : a;
    const bool numbers = a.example && rows.columns == parted.parts && parted.parts != parted.columns; // of the parts; as long as a part it could be what all of them share
    if (rows.parts != 1 || rows.whole || parted.whole || (rows.columns != 1 && rows.columns != parted.parts * parted.columns && !numbers))
      return std::nullopt;
    return parted;
  }
  if (a.columns != b.columns && a.columns != 1 && b.columns != 1)
    return std::nullopt;
  both.columns = std::max(a.columns, b.columns);
  both.whole = a.whole || b.whole;
  Dim none;
  if (a.keyCount != b.keyCount && a.keyCount != none && b.keyCount != none)
    return std::nullopt;
  both.keyCount = a.keyCount == none ? b.keyCount : a.keyCount;
  return both;
}

StringRef mlir::plan::nameOf(Space::Kind kind) { return kind == Space::rows ? "rows" : kind == Space::tiles ? "tiles" : "flat"; }

std::optional<RowShape> mlir::plan::rowShapeOf(NNType type) {
  ArrayRef<Dim> dims = type.getDims();
  if (llvm::any_of(dims.drop_front(dims.empty() ? 0 : 1), [](Dim dim) { return !dim.isStatic(); }))
    return std::nullopt;
  size_t rows = rowDims(type);
  return RowShape{type.getExample(), rows ? dims[0] : Dim{1, 0}, productOf(dims.drop_front(rows))};
}

bool mlir::plan::isQuadratic(NNType type) {
  return type.getExample() && type.rank() == 3 && type.getDims()[0].isStatic() && isRows(type.getDims()[1]) && !type.getDims()[2].isStatic();
}
bool mlir::plan::isRowOfTiles(NNType type) {
  return type.getExample() && type.rank() == 3 && type.getDims()[0].isStatic() && isRows(type.getDims()[1]) && type.getDims()[2].is(1);
}

Meeting mlir::plan::meetingOf(NNType operand, NNType result) {
  auto to = rowShapeOf(result), from = rowShapeOf(operand);
  if (!to || !from)
    return Meeting::none;
  bool one = allOnes(operand.getDims());
  if (!operand.getExample() && one)
    return Meeting::scalar;
  size_t rows = rowDims(result);
  ArrayRef<Dim> columns = result.getDims().drop_front(rows);
  auto isNumberOfParts = [&](ArrayRef<Dim> own) { return hasParts(result) && own.size() == columns.size() && own.back().is(1) && own.drop_back() == columns.drop_back(); };
  if (operand.getExample() != result.getExample()) {
    if (operand.getExample())
      return Meeting::none;
    if (withoutLeadingOnes(operand.getDims()) == withoutLeadingOnes(columns))
      return Meeting::column;
    if (hasParts(result) && withoutLeadingOnes(operand.getDims()) == columns.take_back(1))
      return Meeting::shared;
    return isNumberOfParts(operand.getDims()) ? Meeting::part : Meeting::none;
  }
  if (operand.getDims() == result.getDims())
    return Meeting::full;
  if (operand.rank() == result.rank() && operand.getDims().take_front(rows) == result.getDims().take_front(rows) && isNumberOfParts(operand.getDims().drop_front(rows)))
    return Meeting::part;
  if (rows && isSharedByParts(operand) && result.rank() == 3 && operand.getDims()[0] == result.getDims()[0] && operand.getDims()[2] == result.getDims()[2])
    return Meeting::shared;
  if (rows && rowDims(operand) && operand.getDims()[0] == result.getDims()[0] && operand.rank() == result.rank() && allOnes(operand.getDims().drop_front(1)))
    return Meeting::row;
  if ((!rows || result.getDims()[0].is(1)) && result.getExample() && one)
    return Meeting::row; // one row an example
  if (!result.getExample() && rows && operand.rank() < result.rank() && withoutLeadingOnes(operand.getDims()) == withoutLeadingOnes(columns))
    return Meeting::column;
  return Meeting::none;
}

bool mlir::plan::isSharedByParts(NNType type) { return type.rank() == 3 && type.getDims()[1].is(1) && !type.getDims()[2].is(1); }

bool mlir::plan::reducesParts(ReduceOp op) {
  NNType from = typeOf(op.getX());
  return op.getAxes().size() == 1 && (op.getAxes()[0] == -1 || op.getAxes()[0] == from.rank() - 1) && hasParts(from);
}

std::optional<TileProduct> mlir::plan::tileProductOf(ContractOp op) {
  NNType x = typeOf(op.getX()), y = typeOf(op.getY()), out = typeOf(op.getResult());
  auto letters = lettersOf(op);
  if (!letters || op.getOverExamples() || !x.isFloat() || !x.getExample() || !y.getExample())
    return std::nullopt;
  char batch = letters->batch;
  if (isQuadratic(out)) {
    if (letters->out[0] != batch || !isLinear(x, letters->x, batch) || !isLinear(y, letters->y, batch))
      return std::nullopt;
    if (letters->x[2] != letters->y[2])
      return std::nullopt;
    return TileProduct{TileProduct::scores, letters->x[0] == letters->out[1] ? 0u : 1u};
  }
  bool first = isQuadratic(x);
  if (first == isQuadratic(y) || !isLinear(out, letters->out, batch))
    return std::nullopt;
  const std::string &matrix = first ? letters->x : letters->y, &other = first ? letters->y : letters->x;
  if (matrix[0] != batch || !isLinear(first ? y : x, other, batch) || other[2] != letters->out[2])
    return std::nullopt;
  if (matrix[2] == other[0] && matrix[1] == letters->out[0])
    return TileProduct{TileProduct::overKeys, first ? 0u : 1u};
  if (matrix[1] == other[0] && matrix[2] == letters->out[0])
    return TileProduct{TileProduct::overRows, first ? 0u : 1u};
  return std::nullopt;
}

bool mlir::plan::isIndex(Value value) {
  Operation *op = value.getDefiningOp();
  if (!op || !typeOf(value).isInteger())
    return false;
  if (isa<IotaOp, ConstantOp>(op))
    return true;
  return isa<ExpandDimsOp, AddOp, SubOp>(op) && llvm::all_of(op->getOperands(), isIndex);
}

bool mlir::plan::isKeyTruth(Value value) {
  Operation *op = value.getDefiningOp();
  NNType type = typeOf(value);
  const bool compares = op && type.isBool() && isa<LtOp, LeOp, EqOp, NeOp, GtOp, GeOp>(op) && llvm::all_of(op->getOperands(), isIndex);
  return compares && isQuadratic(type) && type.getDims()[0].is(1) && type.getDims()[1].is(1);
}

bool mlir::plan::isHeadsRepeat(Operation *op) {
  auto repeat = dyn_cast<RepeatOp>(op);
  if (!repeat || repeat.getAxis() != 1)
    return false;
  NNType type = typeOf(repeat.getX());
  return type.getExample() && type.rank() == 3 && !type.getDims()[0].isStatic() && type.getDims()[1].isStatic() && type.getDims()[2].isStatic();
}

ContractOp mlir::plan::groupSummed(Operation *op) {
  auto reduce = dyn_cast<ReduceOp>(op);
  auto split = reduce ? reduce.getX().getDefiningOp<SplitOp>() : SplitOp();
  auto product = split ? split.getX().getDefiningOp<ContractOp>() : ContractOp();
  if (!product || reduce.getKind() != "sum" || reduce.getKeep() || reduce.getOverExamples() || reduce.getAxes() != ArrayRef<int64_t>{2} || split.getAxis() != 1 ||
      split.getSizes().size() != 2 || !split.getResult().hasOneUse() || !product.getResult().hasOneUse())
    return {};
  auto inside = tileProductOf(product);
  return inside && inside->kind == TileProduct::overRows ? product : ContractOp();
}

ReduceOp mlir::plan::rowSum(Value value) {
  auto op = value.getDefiningOp<ReduceOp>();
  if (!op || op.getKind() != "sum")
    return {};
  NNType from = typeOf(op.getX());
  const int64_t rows = rowDims(from);
  if (!from.isFloat() || !rowShapeOf(from) || op.getOverExamples() != from.getExample() || (!from.getExample() && (rows == 0 || from.getDims()[0].is(1))))
    return {};
  llvm::SmallVector<bool> reduced(from.rank(), false);
  for (int64_t axis : op.getAxes())
    reduced[axis < 0 ? axis + from.rank() : axis] = true;
  for (int64_t axis = 0; axis < from.rank(); ++axis)
    if (reduced[axis] != (axis < rows) && !from.getDims()[axis].is(1))
      return {};
  return op;
}

bool mlir::plan::isMadeWhereRead(Operation *op) {
  return isView(op) || isa<ConstantOp>(op) || isHeadsRepeat(op) || (op->getNumResults() == 1 && (isIndex(op->getResult(0)) || isKeyTruth(op->getResult(0))));
}

bool mlir::plan::isUpdate(Operation *op) { return isa<PutLastOp>(op) && isa<BlockArgument>(op->getOperand(0)) && op->getOperand(0).hasOneUse(); }

bool mlir::plan::isView(Operation *op) { return isa<SplitOp, MergeOp, ExpandDimsOp, SqueezeOp, StopGradOp>(op); }

bool mlir::plan::isStorageCast(Operation *op) {
  auto cast = dyn_cast<CastOp>(op);
  return cast && typeOf(cast.getX()).isFloat() && typeOf(cast.getResult()).isFloat() && cast.getX().getType() != cast.getResult().getType();
}

Value mlir::plan::readFrom(Value operand) {
  Operation *op = operand.getDefiningOp();
  return op && (isStorageCast(op) || isHeadsRepeat(op)) ? readFrom(op->getOperand(0)) : operand;
}

Fusable mlir::plan::fusableIn(Operation *op, bool flatProgram) {
  if (op->getNumResults() != 1)
    return no("");
  NNType result = typeOf(op->getResult(0));
  if (flatProgram) {
    Space flatSpace;
    flatSpace.kind = Space::flat;
    bool vector = isElementwise(op) && result.isFloat() && result.rank() == 1;
    bool met = llvm::all_of(op->getOperands(), [](Value operand) { return typeOf(operand).isFloat() && typeOf(operand).rank() <= 1; });
    return vector && met ? Fusable{flatSpace, ""} : no("no elementwise op on the run's vectors");
  }
  if (isKeyTruth(op->getResult(0)))
    return no("");
  if (isElementwise(op))
    return elementwise(op);
  if (auto reduce = dyn_cast<ReduceOp>(op))
    return reduction(reduce);
  if (auto broadcast = dyn_cast<BroadcastOp>(op)) {
    NNType from = typeOf(broadcast.getX());
    if (isQuadratic(result))
      return isRowOfTiles(from) && from.getDims().take_front(2) == result.getDims().take_front(2) ? Fusable{tilesOf(result), ""} : no("it broadcasts something else than a row's number");
    Meeting meeting = meetingOf(from, result);
    if (!isNumber(result))
      return no("it reads or makes whole numbers");
    if (!result.getExample())
      return no("it makes a value of the run");
    if (meeting == Meeting::none)
      return no(whyApart(from, result));
    return isOfParts(meeting) ? Fusable{inParts(result), ""} : inRows(result);
  }
  if (auto random = dyn_cast<RandomOp>(op)) {
    if (random.getDist() == "normal" || !random.getLike() || !result.getExample())
      return no("only uniform numbers of a text are made inside kernels");
    return isQuadratic(result) ? Fusable{tilesOf(result), ""} : inRows(result);
  }
  if (auto contract = dyn_cast<ContractOp>(op)) {
    if (!tileProductOf(contract))
      return no("a product that is neither one of the whole batch nor one of a head's matrix");
    for (Value value : {Value(contract.getX()), Value(contract.getY()), Value(contract.getResult())})
      if (isQuadratic(typeOf(value)))
        return {tilesOf(typeOf(value)), ""};
  }
  if (auto roll = dyn_cast<RollOp>(op)) {
    const bool last = result.isFloat() && result.getExample() && result.rank() > 1 && (roll.getAxis() == static_cast<uint64_t>(result.rank() - 1));
    return last && rowShapeOf(result) ? Fusable{inParts(result), ""} : no("it turns another axis than the last one of a token");
  }
  if (auto gather = dyn_cast<GatherOp>(op)) {
    NNType table = typeOf(gather.getTable()), indices = typeOf(gather.getIndices());
    if (!table.getExample() && table.rank() == 2 && table.isFloat() && indices.getExample() && indices.rank() == 1)
      return wholeRows(inRows(result));
    return no("it looks up something else than rows of a table of the run");
  }
  if (isa<PowOp>(op))
    return no("its exponent is none of the whole numbers that become products");
  return no("it is no elementwise op, row reduction or lookup of rows");
}
