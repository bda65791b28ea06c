// Rows: kernels over rows of a table, and over elements of the run's vectors.
//
// What is summed over rows is added a row at a time to the sum of its stretch (RowSums.h), which lies in the first-level cache.
//
// A row may be done in parts (attention's heads, which share a vector of positions; experts, each with a number of its own): each part is a row of its own to the
// code of a row.
//
// Products of rows (RowProducts.h) are made by the threads of eight rows, which go through them together: a body then does one row, and where there is none another's
// again, of which it writes nothing.
//
// Scratch  buffers of one row each, twice as long where rows are turned: random numbers first, then values that wait for a reduction; the same for every row.
#include "compiler/conversion/Kernel.h"
#include "compiler/conversion/RowSums.h"

using namespace mlir;
using mlir::plan::Space;

namespace peftc::conversion {
namespace {

int64_t randoms(plan::KernelOp op) { return llvm::count_if(op.getBody().front(), [](Operation &made) { return isa<nn::RandomOp>(made); }); }
/// Floats of one buffer: a row up to a whole vector, and what random numbers need beyond.
int64_t bufferFloats(int64_t columns) { return (columns + 127) / 128 * 128 + 256; }

int64_t turned(plan::KernelOp op) { return llvm::count_if(op.getBody().front(), [](Operation &made) { return isa<nn::RollOp>(made); }); }
int64_t rowBufferFloats(plan::KernelOp op) { return bufferFloats(spaceOf(op).columns * (turned(op) ? 2 : 1)); }

RowCode::Form formOf(const Space &space, Value value) {
  using Form = RowCode::Form;
  auto type = cast<nn::NNType>(value.getType());
  if (space.kind == Space::flat)
    return type.rank() == 1 ? Form::full : Form::scalar;
  if (value.getDefiningOp<nn::ConstantOp>())
    return Form::scalar;
  if (value.getDefiningOp() && plan::isIndex(value)) // counted out
    return Form::full;
  auto shape = plan::rowShapeOf(type);
  if (isOfPart(space, type))
    return Form::row;
  if (type.getExample() != space.example)
    return shape->columns == 1 && shape->rowCount.is(1) ? Form::scalar : Form::column;
  bool sameRows = shape->rowCount == space.rowCount;
  if (!space.example && type.rank() <= 1 && !space.rowCount.is(1))
    return shape->columns == 1 ? Form::scalar : Form::column;
  if (!sameRows)
    return Form::scalar;
  return (isShared(space, type) || shape->columns == space.columns * space.parts) && shape->columns > 1 ? Form::full : Form::row;
}

class Rows {
public:
  explicit Rows(Kernel &kernel) : kernel(kernel), code(kernel.code), columns(kernel.space.columns), parts(kernel.space.parts), bufferSize(rowBufferFloats(kernel.op)), sums(rowSumsOf(kernel.op)), products(plan::rowProductsOf(kernel.op)) {}

  void emit() {
    for (unsigned index = 0; index < kernel.body().getNumArguments(); ++index)
      pointers.push_back(kernel.argumentPointer(index));
    for (unsigned index = 0; index < kernel.yielded().size(); ++index)
      results.push_back(kernel.resultPointer(index));
    for (Operation &op : kernel.body())
      if (auto random = dyn_cast<nn::RandomOp>(op))
        keys[random.getResult()] = randomKeyOf(code, kernel.call, random);
    scratch = code.field(kernel.call, CallField::scratch);
    if (!products.empty()) {
      code.onlyIf(code.less(kernel.begin, kernel.end));
      Value row = code.least(kernel.begin, code.sub(kernel.end, code.integer(1))), none = code.integer(0);
      return emitRow({row, row, none, none});
    }
    if (sums.empty())
      return emitRowsOf(kernel.begin, kernel.end);
    code.loop(kernel.begin, kernel.end, plan::kStretch, [&](Value first) {
      Value stretch = arith::DivUIOp::create(code.b, code.loc, first, code.integer(plan::kStretch));
      partial.clear();
      for (auto [index, sum] : llvm::enumerate(sums)) {
        Value table = code.dataPointer(kernel.call, pointers.size() + results.size() + index), own = code.at(table, code.mul(stretch, sum.pitch));
        partial[sum.result] = own;
        code.loop(code.ownFirst(code.integer(0), code.lanes), code.integer(sum.pitch), code.lanes * code.team, [&](Value column) { code.storeVector(code.splat(code.number(0)), code.at(own, column), {}, code.whole); });
      }
      code.meet();
      emitRowsOf(first, code.least(kernel.end, code.add(first, code.integer(plan::kStretch))));
    });
  }

private:
  void emitRowsOf(Value begin, Value end) {
    code.loop(begin, end, 1, [&](Value row) {
      Value none = code.integer(0);
      if (parts == 1)
        return emitRow({row, row, none, none});
      code.loop(code.machine.dealt == 1 ? none : code.teamOfRow(), code.integer(parts), code.machine.dealt, [&](Value part) { emitRow({row, code.add(code.mul(row, parts), part), part, code.mul(part, columns)}); });
    });
  }

  /// A row, or a part of one.
  struct Part {
    Value row, place, index, firstColumn; ///< its place among all parts of all rows; which part of its row it is, and its first column there
  };

  void emitRow(const Part &part) {
    Columns range{code.integer(0), code.integer(columns), columns};
    RowCode rowCode(code, range, [this](Value value) { return formOf(kernel.space, value); });
    Value start = code.mul(part.place, columns);
    for (auto [index, argument] : llvm::enumerate(kernel.body().getArguments()))
      bind(rowCode, argument, pointers[index], part, kernel.argumentPitch(index));
    int64_t used = 0;
    for (Operation &op : kernel.body()) {
      if (auto random = dyn_cast<nn::RandomOp>(op))
        rowCode.bind(random.getResult(), fillRandom(code, keys[random.getResult()], start, code.integer(columns), buffer(used++)), true);
      if (auto gather = dyn_cast<nn::GatherOp>(op))
        rowCode.bind(gather.getResult(), lookedUp(gather, part.row), false, code.whole);
    }
    for (auto &[result, product] : products)
      rowCode.multiply(product.x, factorOf(product));
    for (auto [index, value] : llvm::enumerate(kernel.yielded())) {
      if (plan::rowProductOf(value))
        continue;
      if (nn::ReduceOp sum = plan::rowSum(value)) {
        const bool isNumber = formOf(kernel.space, sum.getX()) == RowCode::Form::row;
        rowCode.add(sum.getX(), code.at(partial.lookup(index), isNumber ? part.index : part.firstColumn), parts == 1);
        continue;
      }
      bool full = formOf(kernel.space, value) == RowCode::Form::full;
      rowCode.put(value, code.at(results[index], memoryType(code, value), full ? startOf(value, part, kernel.resultPitch(index)) : numberAt(value, part)), false);
    }
    rowCode.emit([&](int64_t index) { return buffer(used + index); });
    for (auto [place, entry] : llvm::enumerate(products)) {
      auto &[result, product] = entry;
      Value first = code.sub(kernel.begin, arith::DivUIOp::create(code.b, code.loc, code.coordinate("laneid"), code.integer(code.machine.ofWarp()))); // of these eight rows
      const int64_t pitch = kernel.resultPitch(result);
      finish(code, factorOf(product), rowCode.sumsOf(place), {results[result], first, kernel.end, pitch ? pitch : product.columns, product.scale});
    }
  }

  RowFactor factorOf(const plan::RowProduct &product) {
    const int64_t pitch = kernel.argumentPitch(product.matrix);
    return {pointers[product.matrix], product.columns, pitch ? pitch : columns};
  }

  /// `pitch`: of whole rows.
  void bind(RowCode &rowCode, Value argument, Value pointer, const Part &part, int64_t pitch) {
    auto type = cast<nn::NNType>(argument.getType());
    if (type.isInteger()) { // a row's whole number; of a lookup's indices nothing is computed
      if (formOf(kernel.space, argument) == RowCode::Form::row)
        rowCode.bindNumber(argument, code.loadWhole(code.at(pointer, code.i64(), numberAt(argument, part))));
      return;
    }
    Type element = memoryType(code, argument);
    switch (formOf(kernel.space, argument)) {
    case RowCode::Form::full:
      return rowCode.bind(argument, code.at(pointer, element, startOf(argument, part, pitch)), false, code.whole);
    case RowCode::Form::column:
      return rowCode.bind(argument, parts == 1 || isShared(kernel.space, type) ? pointer : code.at(pointer, element, part.firstColumn), false, code.whole);
    case RowCode::Form::row:
      return rowCode.bindNumber(argument, loadNumber(code.at(pointer, element, numberAt(argument, part)), type.isBool()));
    case RowCode::Form::scalar:
      return rowCode.bindNumber(argument, loadNumber(pointer, type.isBool()));
    }
  }

  /// Which element of a value's a part's vector begins at, and which one its number is. Whole rows lie `pitch` elements apart, or (0) one behind the other.
  Value startOf(Value value, const Part &part, int64_t pitch) {
    if (isShared(kernel.space, cast<nn::NNType>(value.getType())))
      return code.mul(part.row, columns);
    return pitch == 0 ? code.mul(part.place, columns) : code.add(code.mul(part.row, pitch), part.firstColumn);
  }
  Value numberAt(Value value, const Part &part) {
    auto type = cast<nn::NNType>(value.getType());
    return !isOfPart(kernel.space, type) ? part.row : type.getExample() == kernel.space.example ? part.place : part.index;
  }

  Value loadNumber(Value address, bool isBool) {
    if (!isBool)
      return code.load(address, code.f32());
    Value byte = LLVM::LoadOp::create(code.b, code.loc, code.b.getI8Type(), address, 1);
    return arith::CmpIOp::create(code.b, code.loc, arith::CmpIPredicate::ne, byte, arith::ConstantOp::create(code.b, code.loc, code.b.getI8IntegerAttr(0)));
  }

  /// The row of a table that this row's index names.
  Value lookedUp(nn::GatherOp gather, Value row) {
    Value table = pointers[cast<BlockArgument>(gather.getTable()).getArgNumber()], indices = pointers[cast<BlockArgument>(gather.getIndices()).getArgNumber()];
    Value index = code.load(code.at(indices, code.i64(), row), code.i64());
    return code.at(table, code.mul(index, columns));
  }

  Value buffer(int64_t index) { return code.at(scratch, code.integer(index * bufferSize)); }

  Kernel &kernel;
  Code &code;
  int64_t columns, parts, bufferSize;
  SmallVector<RowSum> sums;
  SmallVector<std::pair<unsigned, plan::RowProduct>> products; ///< by result
  llvm::DenseMap<unsigned, Value> partial; ///< of a result: where the sum of the rows of this stretch is
  SmallVector<Value> pointers, results;
  llvm::DenseMap<Value, RandomKey> keys;
  Value scratch;
};

} // namespace

void emitRows(Kernel &kernel) { Rows(kernel).emit(); }

void emitFlat(Kernel &kernel) {
  Code &code = kernel.code;
  RowCode rowCode(code, Columns{kernel.begin, kernel.end, std::nullopt}, [&](Value value) { return formOf(kernel.space, value); });
  for (auto [index, argument] : llvm::enumerate(kernel.body().getArguments())) {
    Value pointer = kernel.argumentPointer(index);
    if (formOf(kernel.space, argument) == RowCode::Form::full)
      rowCode.bind(argument, pointer, false);
    else
      rowCode.bindNumber(argument, code.load(pointer, code.f32()));
  }
  for (auto [index, value] : llvm::enumerate(kernel.yielded()))
    rowCode.put(value, kernel.resultPointer(index), false);
  rowCode.emit([](int64_t) -> Value { llvm::report_fatal_error("a flat kernel has no reductions"); });
}

int64_t rowBuffers(plan::KernelOp op) {
  return randoms(op) + turned(op) + llvm::count_if(op.getBody().front(), [](Operation &made) { return !isa<nn::ConstantOp, nn::RandomOp>(made) && !plan::isStorageCast(&made); });
}

ScratchSize scratchOf(plan::KernelOp op, unsigned lanes) {
  if (op.getSpace() == "tiles")
    return tilesScratch(op, lanes);
  if (op.getSpace() == "flat")
    return {};
  return {rowBuffers(op) * rowBufferFloats(op) * static_cast<int64_t>(sizeof(float)), 0};
}

} // namespace peftc::conversion
