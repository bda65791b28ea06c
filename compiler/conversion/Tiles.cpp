// Tiles: kernels over the matrices [rows, keys] of an example's heads: attention forward and backward, and whatever stands between its products.
//
// A task is one head of one example. A tile of kTileRows query rows is done at a time: products that make matrices, then the row program over
// all keys of a row, then products that use matrices. A row is whole (no online softmax): any chain of ops and reductions may stand there, and
// kTileRows rows of a few thousand keys lie in the second-level cache.
//
// Scratch  floats: a tile for each matrix that a product makes or reads, random numbers of a tile, rows that wait for a reduction, and the
//          transposed right operand of each product that makes a matrix.
#include "compiler/conversion/Kernel.h"
#include "compiler/conversion/Product.h"

using namespace mlir;
using mlir::plan::TileProduct;

namespace peftc::conversion {
namespace {

constexpr int64_t kTileRows = 32;

nn::NNType typeOf(Value value) { return cast<nn::NNType>(value.getType()); }
bool isQuadratic(Value value) { return plan::isQuadratic(typeOf(value)); }

RowCode::Form formOf(Value value) {
  if (isQuadratic(value))
    return RowCode::Form::full;
  return plan::isRowOfTiles(typeOf(value)) ? RowCode::Form::row : RowCode::Form::scalar;
}

/// Matrices that lie in a tile of scratch: those that a product makes, and those that a row program makes for a product.
llvm::SetVector<Value> tilesOf(plan::KernelOp op) {
  llvm::SetVector<Value> tiles;
  for (Operation &made : op.getBody().front())
    if (auto contract = dyn_cast<nn::ContractOp>(made))
      for (Value value : {Value(contract.getX()), Value(contract.getY()), Value(contract.getResult())})
        if (isQuadratic(value) && value.getDefiningOp())
          tiles.insert(value);
  return tiles;
}

struct Counts {
  int64_t tiles = 0, randoms = 0, rows = 0, transposed = 0; ///< transposed: columns in all
};
Counts countsOf(plan::KernelOp op) {
  Counts counts;
  counts.tiles = tilesOf(op).size();
  for (Operation &made : op.getBody().front()) {
    auto contract = dyn_cast<nn::ContractOp>(made);
    if (contract && isQuadratic(contract.getResult()))
      counts.transposed += typeOf(contract.getX()).getDims()[2].constant;
    else if (isa<nn::RandomOp>(made))
      ++counts.randoms;
    else if (!contract && !isa<nn::ConstantOp>(made))
      ++counts.rows;
  }
  return counts;
}

class Tiles {
public:
  explicit Tiles(Kernel &kernel) : kernel(kernel), code(kernel.code), heads(kernel.space.heads), tiles(tilesOf(kernel.op)) {}

  void emit() {
    for (BlockArgument argument : kernel.body().getArguments())
      pointers[argument] = kernel.argumentPointer(argument.getArgNumber());
    for (unsigned index = 0; index < kernel.yielded().size(); ++index)
      resultPointers.push_back(kernel.resultPointer(index));
    for (Operation &op : kernel.body())
      if (auto random = dyn_cast<nn::RandomOp>(op))
        keys[random.getResult()] = randomKeyOf(code, kernel.call, random);
    offsets = code.field(kernel.call, CallField::offsets);
    squares = code.field(kernel.call, CallField::squares);
    scratch = code.field(kernel.call, CallField::scratch);
    code.loop(kernel.begin, kernel.end, 1, [&](Value task) { emitTask(task); });
  }

private:
  using DimValue = nn::Dim;

  void emitTask(Value task) {
    example = arith::DivUIOp::create(code.b, code.loc, task, code.integer(heads));
    head = arith::RemUIOp::create(code.b, code.loc, task, code.integer(heads));
    firstToken = code.load(code.at(offsets, code.i64(), example), code.i64());
    length = code.sub(code.load(code.at(offsets, code.i64(), code.add(example, code.integer(1))), code.i64()), firstToken);
    rowCount = lengthOf(kernel.space.rowCount);
    keyCount = lengthOf(kernel.space.keyCount);
    pitch = code.roundUp(keyCount, code.lanes);
    layOut();
    for (Operation &op : kernel.body())
      if (auto contract = dyn_cast<nn::ContractOp>(op)) {
        TileProduct product = *plan::tileProductOf(contract);
        if (product.kind == TileProduct::scores)
          transpose(contract, product);
        else if (product.kind == TileProduct::overRows)
          clear(contract.getResult());
      }
    code.loop(code.integer(0), rowCount, kTileRows, [&](Value row) { emitTile(row); });
  }

  /// Where everything of this task lies in scratch.
  void layOut() {
    Value next = scratch;
    auto take = [&](Value floats) {
      Value here = next;
      next = code.at(next, floats);
      return here;
    };
    for (Value tile : tiles)
      places[tile] = take(code.mul(pitch, kTileRows));
    for (Operation &op : kernel.body()) {
      if (auto random = dyn_cast<nn::RandomOp>(op))
        places[random.getResult()] = take(code.add(code.mul(keyCount, kTileRows), code.integer(kRandomSlack + code.lanes)));
      auto contract = dyn_cast<nn::ContractOp>(op);
      if (contract && isQuadratic(contract.getResult()))
        transposed[contract] = take(code.mul(pitch, sizeOf(contract.getX())));
    }
    rowBuffers = next;
  }

  void emitTile(Value firstRow) {
    Value rows = code.least(code.integer(kTileRows), code.sub(rowCount, firstRow));
    for (Operation &op : kernel.body())
      if (auto contract = dyn_cast<nn::ContractOp>(op); contract && isQuadratic(contract.getResult()))
        emitScores(contract, firstRow, rows);
    llvm::DenseMap<Value, Value> random;
    for (auto &[value, key] : keys) {
      Value first = code.add(matrixStart(), code.mul(firstRow, keyCount));
      random[value] = fillRandom(code, key, first, code.mul(rows, keyCount), places[value]);
    }
    code.loop(code.integer(0), rows, 1, [&](Value row) { emitRow(row, code.add(firstRow, row), random); });
    for (Operation &op : kernel.body())
      if (auto contract = dyn_cast<nn::ContractOp>(op); contract && !isQuadratic(contract.getResult()))
        emitUse(contract, firstRow, rows);
  }

  void emitRow(Value inTile, Value row, const llvm::DenseMap<Value, Value> &random) {
    RowCode rowCode(code, Columns{code.integer(0), keyCount, std::nullopt, true}, formOf);
    for (auto &[argument, pointer] : pointers)
      if (isQuadratic(argument))
        rowCode.bind(argument, code.at(pointer, code.add(matrixStart(), code.mul(row, keyCount))), false);
      else if (plan::isRowOfTiles(typeOf(argument)))
        rowCode.bindNumber(argument, code.load(code.at(pointer, code.add(rowsStart(), row)), code.f32()));
      else if (!typeOf(argument).getExample())
        rowCode.bindNumber(argument, code.load(pointer, code.f32()));
    for (auto &[value, place] : random)
      rowCode.bind(value, code.at(place, code.mul(inTile, keyCount)), true);
    for (Value tile : tiles) {
      Value place = code.at(places[tile], code.mul(inTile, pitch));
      if (tile.getDefiningOp<nn::ContractOp>())
        rowCode.bind(tile, place, true);
      else
        rowCode.put(tile, place, true);
    }
    for (auto [value, pointer] : llvm::zip_equal(kernel.yielded(), resultPointers))
      if (isQuadratic(value))
        rowCode.put(value, code.at(pointer, code.add(matrixStart(), code.mul(row, keyCount))), false);
      else if (plan::isRowOfTiles(typeOf(value)))
        rowCode.put(value, code.at(pointer, code.add(rowsStart(), row)), false);
    rowCode.emit([&](int64_t index) { return code.at(rowBuffers, code.mul(pitch, index)); });
  }

  void emitScores(nn::ContractOp op, Value firstRow, Value rows) {
    TileProduct product = *plan::tileProductOf(op);
    Value left = product.matrix == 0 ? op.getX() : op.getY();
    Value stride = code.integer(heads * sizeOf(left));
    Matrix a{code.at(headOf(left, pointers[left]), code.mul(firstRow, stride)), stride, {}};
    emitProduct(code, {places[op.getResult()], pitch, {}}, a, {transposed[op], pitch, {}}, {rows, code.integer(sizeOf(left)), pitch, std::nullopt}, false);
  }

  void emitUse(nn::ContractOp op, Value firstRow, Value rows) {
    TileProduct product = *plan::tileProductOf(op);
    Value matrix = product.matrix == 0 ? op.getX() : op.getY(), other = product.matrix == 0 ? op.getY() : op.getX();
    Matrix a = matrixOf(matrix, firstRow);
    int64_t size = sizeOf(other);
    Value stride = code.integer(heads * size), start = headOf(other, pointers[other]), result = resultOf(op);
    if (product.kind == TileProduct::overKeys) {
      Matrix c{code.at(result, code.mul(firstRow, stride)), stride, {}};
      emitProduct(code, c, a, {start, stride, {}}, {rows, keyCount, code.integer(size), size}, false);
    } else {
      Matrix turned{a.pointer, code.integer(1), a.rowStride}, b{code.at(start, code.mul(firstRow, stride)), stride, {}};
      emitProduct(code, {result, stride, {}}, turned, b, {keyCount, rows, code.integer(size), size}, true);
    }
  }

  Matrix matrixOf(Value matrix, Value firstRow) {
    if (Value place = places.lookup(matrix))
      return {place, pitch, {}};
    return {code.at(pointers[matrix], code.add(matrixStart(), code.mul(firstRow, keyCount))), keyCount, {}};
  }

  /// The operand of the keys, [keys, size], as [size, pitch].
  void transpose(nn::ContractOp op, const TileProduct &product) {
    Value right = product.matrix == 0 ? op.getY() : op.getX();
    Value from = headOf(right, pointers[right]), to = transposed[op];
    int64_t size = sizeOf(right);
    code.loop(code.integer(0), keyCount, 1, [&](Value key) {
      Value line = code.at(from, code.mul(key, heads * size)), column = code.at(to, key);
      for (int64_t place = 0; place < size; ++place)
        code.store(code.load(code.at(line, code.integer(place)), code.f32()), code.at(column, code.mul(pitch, place)));
    });
  }

  void clear(Value result) {
    int64_t size = sizeOf(result);
    Value start = resultOf(result.getDefiningOp<nn::ContractOp>());
    Value rows = lengthOf(typeOf(result).getDims()[0]);
    code.loop(code.integer(0), rows, 1, [&](Value row) {
      Value line = code.at(start, code.mul(row, heads * size));
      for (int64_t place = 0; place < size; place += code.lanes)
        code.storeVector(code.splat(code.number(0)), code.at(line, code.integer(place)), size - place < code.lanes ? code.firstLanes(size - place) : Value());
    });
  }

  // ---- places in memory ----
  static int64_t sizeOf(Value linear) { return typeOf(linear).getDims()[2].constant; }
  Value lengthOf(DimValue dim) { return code.add(code.integer(dim.constant), code.mul(length, dim.scale)); }
  /// The first row of this example among all examples' rows.
  Value firstRowOf(DimValue dim) { return code.add(code.mul(example, dim.constant), code.mul(firstToken, dim.scale)); }
  /// This example's and head's part of a value [rows, heads, size].
  Value headOf(Value linear, Value pointer) {
    return code.at(pointer, code.add(code.mul(firstRowOf(typeOf(linear).getDims()[0]), heads * sizeOf(linear)), code.mul(head, sizeOf(linear))));
  }
  Value resultOf(nn::ContractOp op) {
    auto index = llvm::find(kernel.yielded(), op.getResult()) - kernel.yielded().begin();
    return headOf(op.getResult(), resultPointers[index]);
  }
  /// Where this head's matrix begins in a packed [heads, rows, keys].
  Value matrixStart() {
    DimValue r = kernel.space.rowCount, k = kernel.space.keyCount;
    Value square = code.load(code.at(squares, code.i64(), example), code.i64());
    Value before = code.add(code.add(code.mul(example, r.constant * k.constant), code.mul(firstToken, r.constant * k.scale + r.scale * k.constant)), code.mul(square, r.scale * k.scale));
    return code.add(code.mul(before, heads), code.mul(head, code.mul(rowCount, keyCount)));
  }
  /// The same for a packed [heads, rows, 1].
  Value rowsStart() { return code.add(code.mul(firstRowOf(kernel.space.rowCount), heads), code.mul(head, rowCount)); }

  Kernel &kernel;
  Code &code;
  int64_t heads;
  llvm::SetVector<Value> tiles;
  llvm::MapVector<Value, Value> pointers;
  SmallVector<Value> resultPointers;
  llvm::MapVector<Value, RandomKey> keys;
  llvm::DenseMap<Value, Value> places;
  llvm::DenseMap<Operation *, Value> transposed;
  Value offsets, squares, scratch, rowBuffers;
  Value example, head, firstToken, length, rowCount, keyCount, pitch; ///< of the task
};

} // namespace

void emitTiles(Kernel &kernel) { Tiles(kernel).emit(); }

ScratchSize tilesScratch(plan::KernelOp op, unsigned lanes) {
  Counts counts = countsOf(op);
  nn::Dim keys = spaceOf(op).keyCount;
  int64_t slack = lanes, perKey = counts.tiles * kTileRows + counts.rows + counts.transposed, randomSlack = counts.randoms * (kRandomSlack + lanes);
  ScratchSize size;
  size.c = 4 * (perKey * (keys.constant + slack) + counts.randoms * kTileRows * keys.constant + randomSlack);
  size.k = 4 * (perKey + counts.randoms * kTileRows) * keys.scale;
  return size;
}

} // namespace peftc::conversion
