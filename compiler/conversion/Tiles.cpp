// Tiles: kernels over the matrices [rows, keys] of an example's heads: attention forward and backward, and whatever stands between its products.
//
// A task is one head of one example. A tile of kTileRows query rows is done at a time: products that make matrices, then the row program over
// all keys of a row, then products that use matrices. A row is whole (no online softmax): any chain of ops and reductions may stand there, and
// kTileRows rows of a few thousand keys lie in the second-level cache. Keys that a mask hides from all rows of a tile are left out (KeyRange).
//
// Scratch  floats: a tile for each matrix that a product makes or reads, random numbers of a tile, rows that wait for a reduction, and the
//          transposed right operand of each product that makes a matrix, and sums over tiles that memory holds as bf16. Pairs of what products multiply.
//
// Team     a GPU's head is a team's: products and rows are dealt out among its threads, which wait for each other between the three parts of a tile.
//
// Pairs    where the CPU multiplies pairs of bf16, products do whose operands are bf16 in memory; a tile that only they read is rounded to bf16.
#include "compiler/conversion/Kernel.h"
#include "compiler/conversion/KeyRange.h"
#include "compiler/conversion/PairProduct.h"
#include "compiler/conversion/Product.h"
#include "compiler/conversion/Sequences.h"

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
  if (plan::isRowOfTiles(typeOf(value)))
    return RowCode::Form::row;
  return plan::isIndex(value) && typeOf(value).rank() > 0 ? RowCode::Form::full : RowCode::Form::scalar; // places along the keys
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

/// What sums a product's result over heads that share keys, if anything does.
nn::ReduceOp sumOverGroup(nn::ContractOp op) {
  for (Operation *view : op.getResult().getUsers())
    for (Operation *user : view->getUsers())
      if (plan::groupSummed(user) == op)
        return cast<nn::ReduceOp>(user);
  return {};
}
int64_t headsOf(Value linear) { return typeOf(linear).getDims()[1].constant; }

/// The value that the kernel yields for a product: behind a cast where memory holds bf16.
Value yieldedFor(nn::ContractOp op) {
  Value made = op.getResult();
  if (nn::ReduceOp sum = sumOverGroup(op))
    made = sum.getResult();
  for (Operation *user : made.getUsers())
    if (plan::isStorageCast(user))
      return user->getResult(0);
  return made;
}

/// A sum over tiles whose result is rounded: it waits in f32.
bool accumulates(nn::ContractOp op) { return plan::tileProductOf(op)->kind == TileProduct::overRows && isHalf(yieldedFor(op)); }

/// A product's matrix, and its other operand.
Value matrixIn(nn::ContractOp op) { return plan::tileProductOf(op)->matrix == 0 ? op.getX() : op.getY(); }
Value otherIn(nn::ContractOp op) { return plan::tileProductOf(op)->matrix == 0 ? op.getY() : op.getX(); }
int64_t sizeOf(Value linear) { return typeOf(linear).getDims()[2].constant; }
int64_t paddedSize(Value linear) { return llvm::alignTo(sizeOf(linear), kPairLanes); }
bool isBf16InMemory(Value operand) { return isHalf(plan::readFrom(operand)); }

/// A matrix that the row program makes for products alone, which may take it as bf16.
bool isPairedTile(Value tile) {
  if (!tile.getDefiningOp() || isa<nn::ContractOp>(tile.getDefiningOp()))
    return false;
  return llvm::all_of(tile.getUsers(), [&](Operation *user) {
    auto contract = dyn_cast<nn::ContractOp>(user);
    return !contract || isQuadratic(contract.getResult()) || isBf16InMemory(otherIn(contract));
  });
}
bool takesPairs(nn::ContractOp op) {
  if (isQuadratic(op.getResult()))
    return isBf16InMemory(op.getX()) && isBf16InMemory(op.getY()) && sizeOf(op.getX()) % 2 == 0;
  return isPairedTile(matrixIn(op));
}

struct Counts {
  int64_t pairsOfKey = 0, pairs = 0; ///< words a key, and beside them
  int64_t tiles = 0, randoms = 0, rows = 0, transposed = 0, sums = 0; ///< transposed, sums: columns in all
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
    else if (!contract && !isa<nn::ConstantOp>(made) && !plan::isStorageCast(&made))
      ++counts.rows;
    if (contract && accumulates(contract))
      counts.sums += typeOf(contract.getResult()).getDims()[2].constant;
    if (!contract || isQuadratic(contract.getResult()) || !takesPairs(contract))
      continue;
    const bool overKeys = plan::tileProductOf(contract)->kind == TileProduct::overKeys;
    counts.pairsOfKey += overKeys ? paddedSize(otherIn(contract)) / 2 : kTileRows / 2;
    counts.pairs += (overKeys ? 1 : kTileRows / 2) * paddedSize(otherIn(contract));
  }
  return counts;
}

class Tiles {
public:
  explicit Tiles(Kernel &kernel) : kernel(kernel), code(kernel.code), heads(kernel.space.heads), tiles(tilesOf(kernel.op)), range(kernel.op, kernel.space.rowCount, kernel.space.keyCount), sequences(kernel.code, kernel.call), isWhole(kernel.code.whole) {
    code.whole = false; // said of operands; scratch is divided as it comes
  }

  void emit() {
    for (BlockArgument argument : kernel.body().getArguments()) {
      pointers[argument] = kernel.argumentPointer(argument.getArgNumber());
      pitches[argument] = kernel.argumentPitch(argument.getArgNumber());
    }
    for (auto [index, value] : llvm::enumerate(kernel.yielded())) {
      resultPointers.push_back(kernel.resultPointer(index));
      pitches[value] = kernel.resultPitch(index);
    }
    for (Operation &op : kernel.body())
      if (auto random = dyn_cast<nn::RandomOp>(op))
        randomKeys[random.getResult()] = randomKeyOf(code, kernel.call, random);
    scratch = code.field(kernel.call, CallField::scratch);
    if (llvm::any_of(kernel.body().getOps<nn::ContractOp>(), [&](nn::ContractOp op) { return byPairs(op); }))
      functions.table = code.field(kernel.call, CallField::pairs);
    code.loop(kernel.begin, kernel.end, 1, [&](Value task) { emitTask(task); });
  }

private:
  void emitTask(Value task) {
    const int64_t together = headsPerTask(kernel.op), tasks = heads / together;
    example = arith::DivUIOp::create(code.b, code.loc, task, code.integer(tasks));
    firstHead = head = code.mul(arith::RemUIOp::create(code.b, code.loc, task, code.integer(tasks)), together);
    sequences.begin(example, {kernel.space.rowCount, kernel.space.keyCount});
    rowCount = lengthOf(kernel.space.rowCount);
    keyCount = lengthOf(kernel.space.keyCount);
    pitch = code.roundUp(keyCount, code.lanes);
    layOut();
    if (together == 1)
      return emitHead();
    code.loop(code.integer(0), code.integer(together), 1, [&](Value index) {
      place = index;
      head = code.add(firstHead, index);
      emitHead();
    });
  }

  void emitHead() {
    for (Operation &op : kernel.body())
      if (auto contract = dyn_cast<nn::ContractOp>(op)) {
        TileProduct product = *plan::tileProductOf(contract);
        if (product.kind == TileProduct::scores) {
          if (!isOneRow() || byPairs(contract))
            transpose(contract);
        }
        else if (product.kind == TileProduct::overRows)
          atGroupsEnd(contract, 0, [&] { clear(contract); });
        else if (byPairs(contract))
          emitPairedRows(code, linear(otherIn(contract), code.integer(0)), keyCount, {}, sizeOf(otherIn(contract)), pairedOther[contract]);
      }
    code.meet();
    code.loop(code.integer(0), rowCount, kTileRows, [&](Value row) { emitTile(row); });
    for (auto &[op, place] : sums)
      atGroupsEnd(cast<nn::ContractOp>(op), -1, [&] { round(cast<nn::ContractOp>(op), place); });
    code.meet(); // the next head's matrices take the places of these
  }

  /// Where heads share the result of a sum over rows: at the first of them (`end` = 0), or at the last one (-1).
  void atGroupsEnd(nn::ContractOp op, int64_t end, const std::function<void()> &body) {
    const int64_t sharing = heads / headsOf(yieldedFor(op));
    if (sharing == 1)
      return body();
    Value inGroup = arith::RemUIOp::create(code.b, code.loc, place, code.integer(sharing));
    code.when(arith::CmpIOp::create(code.b, code.loc, arith::CmpIPredicate::eq, inGroup, code.integer(end == 0 ? 0 : sharing - 1)), body);
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
      if (contract && accumulates(contract))
        sums[contract] = take(code.mul(code.roundUp(lengthOf(typeOf(contract.getResult()).getDims()[0]), code.lanes), sizeOf(contract.getResult())));
    }
    for (Operation &op : kernel.body())
      if (auto contract = dyn_cast<nn::ContractOp>(op); contract && !isQuadratic(contract.getResult()) && byPairs(contract)) {
        const bool overKeys = plan::tileProductOf(contract)->kind == TileProduct::overKeys;
        Value width = code.integer(paddedSize(otherIn(contract)));
        pairedOther[contract] = {take(code.mul(overKeys ? halved(keyCount) : code.integer(kTileRows / 2), width)), width, {}};
        if (!overKeys)
          pairedTile[contract] = {take(code.mul(pitch, kTileRows / 2)), pitch, {}};
      }
    rowBuffers = next;
  }

  /// The keys that this tile's rows need, from a whole vector on and up to one, if there are as many keys.
  void boundKeys(Value firstRow, Value rows) {
    Value none = code.integer(0);
    firstKey = none, lastKey = keyCount;
    auto clamped = [&](Value key) { return arith::MaxSIOp::create(code.b, code.loc, code.least(key, keyCount), none).getResult(); };
    if (auto begin = range.begin(code, firstRow))
      firstKey = code.mul(arith::DivUIOp::create(code.b, code.loc, clamped(*begin), code.integer(code.lanes)), code.lanes);
    if (auto end = range.end(code, code.sub(code.add(firstRow, rows), code.integer(1))))
      lastKey = code.least(code.roundUp(clamped(*end), code.lanes), keyCount);
    keys = code.sub(lastKey, firstKey);
    paddedKeys = code.roundUp(keys, code.lanes);
  }

  void emitTile(Value firstRow) {
    Value rows = code.least(code.integer(kTileRows), code.sub(rowCount, firstRow));
    boundKeys(firstRow, rows);
    for (Operation &op : kernel.body())
      if (auto contract = dyn_cast<nn::ContractOp>(op); contract && isQuadratic(contract.getResult()))
        emitScores(contract, firstRow, rows);
    code.meet();
    llvm::DenseMap<Value, Value> random;
    for (auto &[value, key] : randomKeys) {
      Value first = code.add(matrixStart(value), code.mul(firstRow, keyCount));
      random[value] = fillRandom(code, key, first, code.mul(rows, keyCount), places[value]);
    }
    code.loop(code.integer(0), rows, 1, [&](Value row) { emitRow(row, code.add(firstRow, row), random); });
    code.meet();
    for (Operation &op : kernel.body())
      if (auto contract = dyn_cast<nn::ContractOp>(op); contract && !isQuadratic(contract.getResult()))
        emitUse(contract, firstRow, rows);
    code.meet();
  }

  void emitRow(Value inTile, Value row, const llvm::DenseMap<Value, Value> &random) {
    RowCode rowCode(code, Columns{firstKey, lastKey, std::nullopt}, formOf);
    for (auto &[argument, pointer] : pointers)
      if (isQuadratic(argument))
        rowCode.bind(argument, code.at(pointer, memoryType(code, argument), code.add(matrixStart(argument), code.mul(row, keyCount))), false);
      else if (plan::isRowOfTiles(typeOf(argument)) && typeOf(argument).isInteger())
        rowCode.bindNumber(argument, code.loadWhole(code.at(pointer, code.i64(), code.add(rowsStart(argument), row))));
      else if (plan::isRowOfTiles(typeOf(argument)))
        rowCode.bindNumber(argument, code.load(code.at(pointer, code.add(rowsStart(argument), row)), code.f32()));
      else if (!typeOf(argument).getExample())
        rowCode.bindNumber(argument, code.load(pointer, code.f32()));
    for (Operation &op : kernel.body()) // places along the rows
      if (op.getNumResults() == 1 && plan::isIndex(op.getResult(0)) && isa<nn::ExpandDimsOp>(op) && plan::isRowOfTiles(typeOf(op.getResult(0))))
        rowCode.bindNumber(op.getResult(0), arith::TruncIOp::create(code.b, code.loc, code.b.getI32Type(), code.add(row, code.integer(plan::offsetOf(op.getResult(0))))));
    for (auto &[value, place] : random)
      rowCode.bind(value, code.at(place, code.mul(inTile, keyCount)), true);
    SmallVector<Value> rounded; // rows of tiles
    for (Value tile : tiles) {
      const bool rounds = code.pairs && isPairedTile(tile);
      Value place = code.at(places[tile], rounds ? code.half() : code.f32(), code.mul(inTile, pitch));
      if (tile.getDefiningOp<nn::ContractOp>())
        rowCode.bind(tile, place, true);
      else
        rowCode.put(tile, place, true, rounds);
      if (rounds)
        rounded.push_back(place);
    }
    for (auto [value, pointer] : llvm::zip_equal(kernel.yielded(), resultPointers))
      if (isQuadratic(value))
        rowCode.put(value, code.at(pointer, memoryType(code, value), code.add(matrixStart(value), code.mul(row, keyCount))), false);
      else if (plan::isRowOfTiles(typeOf(value)))
        rowCode.put(value, code.at(pointer, code.add(rowsStart(value), row)), false);
    rowCode.emit([&](int64_t index) { return code.at(rowBuffers, code.mul(pitch, index)); });
    for (Value place : rounded) // the last pair's second half, if there is no such key; the pitch is even
      code.when(isOdd(keyCount), [&] {
        Value zero = arith::ConstantOp::create(code.b, code.loc, code.b.getI16IntegerAttr(0));
        LLVM::StoreOp::create(code.b, code.loc, zero, code.at(place, code.half(), keyCount), 2);
      });
  }

  void emitScores(nn::ContractOp op, Value firstRow, Value rows) {
    TileProduct product = *plan::tileProductOf(op);
    Value left = product.matrix == 0 ? op.getX() : op.getY();
    Matrix a = linear(left, firstRow);
    if (isOneRow() && !byPairs(op))
      return emitDots(code, {code.at(places[op.getResult()], firstKey), pitch, {}, false}, a, linear(otherIn(op), firstKey), keys, sizeOf(left), isWhole);
    if (byPairs(op)) {
      Pairs rowsOfA{a.pointer, code.integer(headsOf(plan::readFrom(left)) * sizeOf(left) / 2), {}}, columns{code.at(transposed[op], firstKey), pitch, {}};
      return emitPairProduct(code, {code.at(places[op.getResult()], firstKey), pitch, {}, false}, rowsOfA, columns, {rows, code.integer(sizeOf(left) / 2), paddedKeys, std::nullopt}, false, functions);
    }
    emitProduct(code, {code.at(places[op.getResult()], firstKey), pitch, {}, false}, a, {code.at(transposed[op], firstKey), pitch, {}, false}, {rows, code.integer(sizeOf(left)), paddedKeys, std::nullopt}, false);
  }

  void emitUse(nn::ContractOp op, Value firstRow, Value rows) {
    TileProduct product = *plan::tileProductOf(op);
    if (byPairs(op))
      return emitUseOfPairs(op, firstRow, rows);
    Value matrix = matrixIn(op), other = otherIn(op);
    Matrix a = matrixOf(matrix, firstRow);
    int64_t size = sizeOf(other);
    if (product.kind == TileProduct::overKeys && isOneRow() && hasDeepRow(code, size, isWhole))
      return emitDeepRow(code, resultOf(op, firstRow), a, linear(other, firstKey), keys, size);
    if (product.kind == TileProduct::overKeys)
      return emitProduct(code, resultOf(op, firstRow), a, linear(other, firstKey), {rows, keys, code.integer(size), size}, false);
    Matrix turned{a.pointer, code.integer(1), a.rowStride, a.isHalf};
    emitProduct(code, fromKey(sumOf(op)), turned, linear(other, firstRow), {keys, rows, code.integer(size), size}, true);
  }

  void emitUseOfPairs(nn::ContractOp op, Value firstRow, Value rows) {
    Value tile = code.at(places[matrixIn(op)], code.half(), firstKey);
    int64_t size = sizeOf(otherIn(op));
    Value columns = code.integer(size);
    if (plan::tileProductOf(op)->kind == TileProduct::overKeys) {
      Value two = code.integer(2), firstPair = arith::DivUIOp::create(code.b, code.loc, firstKey, two);
      Pairs other = pairedOther[op];
      other.pointer = code.at(other.pointer, code.mul(firstPair, other.rowStride));
      return emitPairProduct(code, resultOf(op, firstRow), {tile, arith::DivUIOp::create(code.b, code.loc, pitch, two), {}}, other, {rows, halved(keys), columns, size}, false, functions);
    }
    emitPairedRows(code, {tile, pitch, {}, true}, rows, paddedKeys, std::nullopt, pairedTile[op]);
    emitPairedRows(code, linear(otherIn(op), firstRow), rows, {}, size, pairedOther[op]);
    Pairs turned{pairedTile[op].pointer, code.integer(1), pitch};
    emitPairProduct(code, fromKey(sumOf(op)), turned, pairedOther[op], {keys, halved(rows), columns, size}, true, functions);
  }

  /// The newest token's: products go over keys as they lie.
  bool isOneRow() const { return kernel.space.rowCount.is(1); }
  bool byPairs(nn::ContractOp op) { return code.pairs && takesPairs(op); }
  /// Half, rounded up.
  Value halved(Value count) { return arith::DivUIOp::create(code.b, code.loc, code.add(count, code.integer(1)), code.integer(2)); }
  Value isOdd(Value count) {
    return arith::CmpIOp::create(code.b, code.loc, arith::CmpIPredicate::ne, arith::RemUIOp::create(code.b, code.loc, count, code.integer(2)), code.integer(0));
  }

  Matrix matrixOf(Value matrix, Value firstRow) {
    if (Value place = places.lookup(matrix))
      return {code.at(place, firstKey), pitch, {}, false};
    return {code.at(pointers[matrix], code.add(code.add(matrixStart(matrix), code.mul(firstRow, keyCount)), firstKey)), keyCount, {}, false};
  }
  /// A matrix of keys, from the tile's first one on.
  Matrix fromKey(Matrix matrix) {
    matrix.pointer = code.at(matrix.pointer, matrix.isHalf ? code.half() : code.f32(), code.mul(firstKey, matrix.rowStride));
    return matrix;
  }

  /// The operand of the keys, [keys, size], as [size, pitch]; of pairs [size / 2, pitch].
  void transpose(nn::ContractOp op) {
    Matrix right = linear(otherIn(op), code.integer(0));
    Value to = transposed[op];
    int64_t size = sizeOf(op.getX());
    if (byPairs(op))
      return emitTurnedPairs(code, {right.pointer, code.integer(headsOf(plan::readFrom(otherIn(op))) * size / 2), {}}, keyCount, size / 2, {to, pitch, {}}, functions);
    Type element = right.isHalf ? code.half() : code.f32();
    code.loop(code.ownFirst(code.integer(0), 1), keyCount, code.team, [&](Value key) {
      Value line = code.at(right.pointer, element, code.mul(key, right.rowStride)), column = code.at(to, key);
      for (int64_t place = 0; place < size; ++place) {
        Value from = code.at(line, element, code.integer(place));
        code.store(right.isHalf ? code.loadHalf(from) : code.load(from, code.f32()), code.at(column, code.mul(pitch, place)));
      }
    });
  }

  /// `body(row, first column, mask)` for each vector of a product's result [rows, size], by the team's threads in turn.
  void forEachVector(nn::ContractOp op, const std::function<void(Value, Value, Value)> &body) {
    int64_t size = sizeOf(op.getResult());
    code.loop(code.ownFirst(code.integer(0), 1), lengthOf(typeOf(op.getResult()).getDims()[0]), code.team, [&](Value row) {
      for (int64_t place = 0; place < size; place += code.lanes)
        body(row, code.integer(place), size - place < code.lanes ? code.firstLanes(size - place) : Value());
    });
  }

  void clear(nn::ContractOp op) {
    Matrix sum = sumOf(op);
    forEachVector(op, [&](Value row, Value column, Value mask) {
      code.storeVector(code.splat(code.number(0)), code.at(sum.pointer, code.add(code.mul(row, sum.rowStride), column)), mask);
    });
  }

  /// What was summed in f32 goes to its place.
  void round(nn::ContractOp op, Value from) {
    Matrix to = resultOf(op, code.integer(0)), sum = sumOf(op);
    forEachVector(op, [&](Value row, Value column, Value mask) {
      Value vector = code.loadVector(code.at(from, code.add(code.mul(row, sum.rowStride), column)), mask);
      code.storeHalves(vector, code.at(to.pointer, code.half(), code.add(code.mul(row, to.rowStride), column)), mask);
    });
  }

  // ---- places in memory ----
  Value lengthOf(nn::Dim dim) { return sequences.lengthOf(dim); }
  /// This example's and head's part of a value [rows, heads, size] at `pointer`, from a row on.
  Matrix headOf(Value value, Value pointer, Value firstRow) {
    const int64_t own = headsOf(value), sharing = heads / own, pitch = pitches.lookup(value);
    Value stride = code.integer(pitch ? pitch : own * sizeOf(value)), row = code.add(sequences.firstRowOf(typeOf(value).getDims()[0]), firstRow);
    Value part = sharing == 1 ? head : Value(arith::DivUIOp::create(code.b, code.loc, head, code.integer(sharing)));
    return {code.at(pointer, memoryType(code, value), code.add(code.mul(row, stride), code.mul(part, sizeOf(value)))), stride, {}, isHalf(value)};
  }
  /// The same of a product's operand.
  Matrix linear(Value operand, Value firstRow) {
    Value argument = plan::readFrom(operand);
    return headOf(argument, pointers[argument], firstRow);
  }
  Matrix resultOf(nn::ContractOp op, Value firstRow) {
    Value value = yieldedFor(op);
    auto index = llvm::find(kernel.yielded(), value) - kernel.yielded().begin();
    return headOf(value, resultPointers[index], firstRow);
  }
  /// Where tiles are summed.
  Matrix sumOf(nn::ContractOp op) {
    if (Value place = sums.lookup(op))
      return {place, code.integer(sizeOf(op.getResult())), {}, false};
    return resultOf(op, code.integer(0));
  }
  /// Where this head's matrix begins in a packed [heads, rows, keys]; in [1, rows, keys] it is every head's.
  Value matrixStart(Value value) {
    Value before = sequences.firstEntryOf(kernel.space.rowCount, kernel.space.keyCount);
    return typeOf(value).getDims()[0].is(1) ? before : code.add(code.mul(before, heads), code.mul(head, code.mul(rowCount, keyCount)));
  }
  /// The same for a packed [heads, rows, 1].
  Value rowsStart(Value value) {
    Value before = sequences.firstRowOf(kernel.space.rowCount);
    return typeOf(value).getDims()[0].is(1) ? before : code.add(code.mul(before, heads), code.mul(head, rowCount));
  }

  Kernel &kernel;
  Code &code;
  int64_t heads;
  llvm::SetVector<Value> tiles;
  KeyRange range;
  Sequences sequences;
  llvm::MapVector<Value, Value> pointers;
  SmallVector<Value> resultPointers;
  llvm::DenseMap<Value, int64_t> pitches; ///< of arguments and results whose rows lie in a table
  llvm::MapVector<Value, RandomKey> randomKeys;
  llvm::DenseMap<Value, Value> places;
  llvm::DenseMap<Operation *, Value> transposed;
  llvm::MapVector<Operation *, Value> sums;
  llvm::DenseMap<Operation *, Pairs> pairedOther, pairedTile;
  PairFunctions functions;
  Value scratch, rowBuffers;
  bool isWhole; ///< operands' rows begin where a whole access may
  Value firstHead, place; ///< of the heads that a task does together, and which of them it is at
  Value example, head, rowCount, keyCount, pitch; ///< of the task
  Value firstKey, lastKey, keys, paddedKeys; ///< of the tile: keys firstKey … lastKey - 1; how many, and up to a whole vector
};

} // namespace

int64_t headsPerTask(plan::KernelOp op) {
  if (op.getSpace() != "tiles")
    return 1;
  const int64_t heads = spaceOf(op).heads;
  int64_t together = 1;
  for (int pass = 0; pass < 2; ++pass) // that many, or all where some groups do not fit into others
    for (nn::ContractOp product : op.getBody().front().getOps<nn::ContractOp>())
      if (nn::ReduceOp sum = sumOverGroup(product)) {
        const int64_t sharing = heads / headsOf(sum.getResult());
        together = pass == 0 ? std::max(together, sharing) : together % sharing == 0 ? together : heads;
      }
  return together;
}

void emitTiles(Kernel &kernel) { Tiles(kernel).emit(); }

ScratchSize tilesScratch(plan::KernelOp op, unsigned lanes) {
  Counts counts = countsOf(op);
  nn::Dim keys = spaceOf(op).keyCount;
  int64_t slack = lanes, perKey = counts.tiles * kTileRows + counts.rows + counts.transposed + counts.sums + counts.pairsOfKey, randomSlack = counts.randoms * (kRandomSlack + lanes);
  ScratchSize size;
  size.c = 4 * (perKey * (keys.constant + slack) + counts.randoms * kTileRows * keys.constant + randomSlack + counts.pairs);
  size.k = 4 * (perKey + counts.randoms * kTileRows) * keys.scale;
  size.sequence = keys.sequence;
  return size;
}

} // namespace peftc::conversion
