// PairProduct: see the header.
#include "compiler/conversion/PairProduct.h"

using namespace mlir;

namespace peftc::conversion {
namespace {

constexpr int64_t kRows = 8, kVectors = 2; ///< sums in flight hide an instruction's latency

class Block {
public:
  Block(Code &code, const Matrix &c, const Pairs &a, const Pairs &b, const ProductShape &shape, bool accumulate)
      : code(code), c(c), a(a), b(b), shape(shape), accumulate(accumulate) {}

  /// `rows` rows by `vectors` vectors; `mask`: of the last vector's columns.
  void emit(Value row, Value column, int64_t rows, int64_t vectors, Value mask) {
    SmallVector<Value> targets, starts, sums;
    for (int64_t r = 0; r < rows; ++r) {
      Value line = r ? code.add(row, code.integer(r)) : row;
      starts.push_back(wordAt(a.pointer, code.mul(line, a.rowStride)));
      for (int64_t v = 0; v < vectors; ++v) {
        targets.push_back(code.at(c.pointer, c.isHalf ? code.half() : code.f32(), code.add(code.mul(line, c.rowStride), code.add(column, code.integer(v * kPairLanes)))));
        sums.push_back(accumulate ? valuesAt(targets.back(), v + 1 == vectors ? mask : Value()) : code.splat(code.number(0)));
      }
    }
    Value first = wordAt(b.pointer, column);
    sums = code.loop(code.integer(0), shape.depth, 1, sums, [&](Value place, ValueRange carried) { return step(first, starts, place, carried, vectors); });
    for (auto [index, sum] : llvm::enumerate(sums)) {
      Value where = static_cast<int64_t>(index) % vectors + 1 == vectors ? mask : Value();
      c.isHalf ? code.storeHalves(sum, targets[index], where) : code.storeVector(sum, targets[index], where);
    }
  }

private:
  Value wordAt(Value pointer, Value index) { return code.at(pointer, code.b.getI32Type(), index); }
  Value valuesAt(Value address, Value mask) { return c.isHalf ? code.loadHalves(address, mask) : code.loadVector(address, mask); }

  SmallVector<Value> step(Value first, ArrayRef<Value> starts, Value place, ValueRange carried, int64_t vectors) {
    Type word = code.b.getI32Type(), words = code.vectorOf(word), halves = VectorType::get({2 * kPairLanes}, code.b.getBF16Type());
    auto asHalves = [&](Value value) -> Value { return LLVM::BitcastOp::create(code.b, code.loc, halves, value); };
    SmallVector<Value> columns, next;
    Value line = wordAt(first, code.mul(place, b.rowStride));
    for (int64_t v = 0; v < vectors; ++v)
      columns.push_back(asHalves(LLVM::LoadOp::create(code.b, code.loc, words, wordAt(line, code.integer(v * kPairLanes)), 4)));
    Value along = a.columnStride ? code.mul(place, a.columnStride) : place;
    for (auto [row, start] : llvm::enumerate(starts)) {
      Value factor = asHalves(code.splat(code.load(wordAt(start, along), word)));
      for (int64_t v = 0; v < vectors; ++v)
        next.push_back(LLVM::CallIntrinsicOp::create(code.b, code.loc, code.vectorOf(code.f32()), code.b.getStringAttr("llvm.x86.avx512bf16.dpbf16ps.512"),
                                                     ValueRange{carried[row * vectors + v], factor, columns[v]})
                           .getResult(0));
    }
    return next;
  }

  Code &code;
  const Matrix &c;
  const Pairs &a, &b;
  const ProductShape &shape;
  bool accumulate;
};

void emitLoops(Code &outer, const Matrix &c, const Pairs &a, const Pairs &b, const ProductShape &shape, bool accumulate) {
  Code code(outer.b, outer.loc, {kPairLanes, true});
  Block block(code, c, a, b, shape, accumulate);
  auto rowsOf = [&](Value column, int64_t vectors, Value mask) {
    Value done = code.integer(0);
    for (int64_t rows = kRows; rows > 0; rows /= 2) {
      Value end = code.mul(arith::DivUIOp::create(code.b, code.loc, shape.rows, code.integer(rows)), rows);
      code.loop(done, end, rows, [&](Value row) { block.emit(row, column, rows, vectors, mask); });
      done = end;
    }
  };
  constexpr int64_t kBoth = kVectors * kPairLanes;
  if (!shape.knownColumns)
    return code.loop(code.integer(0), shape.columns, kBoth, [&](Value column) { rowsOf(column, kVectors, {}); });
  int64_t whole = *shape.knownColumns / kBoth * kBoth, rest = *shape.knownColumns - whole, vectors = (rest + kPairLanes - 1) / kPairLanes;
  if (whole)
    code.loop(code.integer(0), code.integer(whole), kBoth, [&](Value column) { rowsOf(column, kVectors, {}); });
  if (rest)
    rowsOf(code.integer(whole), vectors, rest % kPairLanes ? code.firstLanes(rest % kPairLanes) : Value());
}

constexpr int64_t kCIsBf16 = 1, kAdds = 2; ///< as runtime/products/Code.h has them

} // namespace

void PairFunctions::orElse(Code &code, int64_t index, ArrayRef<Value> arguments, const std::function<void()> &otherwise) const {
  code.choose(code.isNull(table), otherwise, [&] { code.callFunction(code.load(code.at(table, code.pointer(), code.integer(index)), code.pointer()), arguments); });
}

void emitPairProduct(Code &code, const Matrix &c, const Pairs &a, const Pairs &b, const ProductShape &shape, bool accumulate, const PairFunctions &functions) {
  auto loops = [&] { emitLoops(code, c, a, b, shape, accumulate); };
  if (shape.knownColumns && *shape.knownColumns % kPairLanes != 0)
    return loops();
  Value how = code.integer((c.isHalf ? kCIsBf16 : 0) | (accumulate ? kAdds : 0)), along = a.columnStride ? a.columnStride : code.integer(1);
  functions.orElse(code, kMultiplyPairs, {c.pointer, a.pointer, b.pointer, c.rowStride, a.rowStride, along, b.rowStride, shape.rows, shape.depth, shape.columns, how}, loops);
}

void emitTurnedPairs(Code &code, const Pairs &from, Value rows, int64_t words, const Pairs &to, const PairFunctions &functions) {
  functions.orElse(code, kTurnPairs, {from.pointer, from.rowStride, to.pointer, to.rowStride, rows, code.integer(words)}, [&] {
    Type word = code.b.getI32Type();
    code.loop(code.integer(0), rows, 1, [&](Value row) {
      Value line = code.at(from.pointer, word, code.mul(row, from.rowStride));
      for (int64_t index = 0; index < words; ++index)
        code.store(code.load(code.at(line, word, code.integer(index)), word), code.at(to.pointer, word, code.add(row, code.mul(to.rowStride, index))));
    });
  });
}

void emitPairedRows(Code &outer, const Matrix &from, Value rows, Value columns, std::optional<int64_t> knownColumns, const Pairs &to) {
  Code code(outer.b, outer.loc, {kPairLanes, true});
  auto half = [&](Value row, Value column) { return code.at(from.pointer, code.half(), code.add(code.mul(row, from.rowStride), column)); };
  Value whole = arith::DivUIOp::create(code.b, code.loc, rows, code.integer(2));
  auto put = [&](Value pair, Value column, Value mask, bool both) {
    Value row = code.mul(pair, 2), words = code.loadHalfWords(half(row, column), mask);
    if (both)
      words = arith::OrIOp::create(code.b, code.loc, words, code.upperHalf(code.loadHalfWords(half(code.add(row, code.integer(1)), column), mask)));
    LLVM::StoreOp::create(code.b, code.loc, words, code.at(to.pointer, code.b.getI32Type(), code.add(code.mul(pair, to.rowStride), column)), 4);
  };
  auto line = [&](Value pair, bool both) {
    if (!knownColumns)
      return code.loop(code.integer(0), columns, kPairLanes, [&](Value column) { put(pair, column, {}, both); });
    for (int64_t column = 0; column < *knownColumns; column += kPairLanes)
      put(pair, code.integer(column), *knownColumns - column < kPairLanes ? code.firstLanes(*knownColumns - column) : Value(), both);
  };
  code.loop(code.integer(0), whole, 1, [&](Value pair) { line(pair, true); });
  Value all = arith::DivUIOp::create(code.b, code.loc, code.add(rows, code.integer(1)), code.integer(2));
  code.loop(whole, all, 1, [&](Value pair) { line(pair, false); });
}

} // namespace peftc::conversion
