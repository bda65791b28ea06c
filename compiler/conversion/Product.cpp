// Product: see the header.
#include "compiler/conversion/Product.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace peftc::conversion {
namespace {

constexpr int64_t kBlockRows = 4; // times two registers of columns: eight sums in flight hide an fma's latency

class Block {
public:
  Block(Code &code, const Matrix &c, const Matrix &a, const Matrix &b, Value depth, Value column, Value mask, bool accumulate)
      : code(code), c(c), a(a), b(b), depth(depth), column(column), mask(mask), accumulate(accumulate) {}

  void emit(Value row, int64_t rows) {
    SmallVector<Value> targets, starts, sums;
    for (int64_t r = 0; r < rows; ++r) {
      Value line = r ? code.add(row, code.integer(r)) : row;
      targets.push_back(place(c, code.add(code.mul(line, c.rowStride), column)));
      starts.push_back(place(a, code.mul(line, a.rowStride)));
      sums.push_back(accumulate ? vectorAt(c, targets.back()) : code.splat(code.number(0)));
    }
    Value first = place(b, column);
    sums = code.loop(code.integer(0), depth, 1, sums, [&](Value place, ValueRange carried) {
      Value vector = vectorAt(b, at(b, first, code.mul(place, b.rowStride)));
      Value along = a.columnStride ? code.mul(place, a.columnStride) : place;
      SmallVector<Value> next;
      for (auto [start, sum] : llvm::zip_equal(starts, carried))
        next.push_back(vector::FMAOp::create(code.b, code.loc, code.splat(numberAt(at(a, start, along))), vector, sum));
      return next;
    });
    for (auto [target, sum] : llvm::zip_equal(targets, sums))
      c.isHalf ? code.storeHalves(sum, target, mask) : code.storeVector(sum, target, mask);
  }

private:
  Value at(const Matrix &matrix, Value pointer, Value index) { return code.at(pointer, matrix.isHalf ? code.half() : code.f32(), index); }
  Value place(const Matrix &matrix, Value index) { return at(matrix, matrix.pointer, index); }
  Value vectorAt(const Matrix &matrix, Value address) { return matrix.isHalf ? code.loadHalves(address, mask) : code.loadVector(address, mask); }
  Value numberAt(Value address) { return a.isHalf ? code.loadHalf(address) : code.load(address, code.f32()); }

  Code &code;
  const Matrix &c, &a, &b;
  Value depth, column, mask;
  bool accumulate;
};

} // namespace

/// A team's: pieces of kBlockRows rows by a vector of columns go round, then those of single rows.
static void emitDealt(Code &outer, Code &code, const ProductShape &shape, const std::function<Block(Value column, Value mask)> &blockOf) {
  const int64_t lanes = code.lanes;
  Value whole = code.mul(arith::DivUIOp::create(code.b, code.loc, shape.rows, code.integer(kBlockRows)), kBlockRows);
  auto deal = [&](Value vectors, const std::function<Block(Value vector)> &block) {
    auto rows = [&](Value first, Value end, int64_t together) {
      Value pieces = code.mul(arith::DivUIOp::create(code.b, code.loc, code.sub(end, first), code.integer(together)), vectors);
      code.loop(outer.ownFirst(code.integer(0), 1), pieces, outer.team, [&](Value piece) {
        Value above = arith::DivUIOp::create(code.b, code.loc, piece, vectors);
        block(arith::RemUIOp::create(code.b, code.loc, piece, vectors)).emit(code.add(first, code.mul(above, together)), together);
      });
    };
    rows(code.integer(0), whole, kBlockRows);
    rows(whole, shape.rows, 1);
  };
  const auto ofWhole = [&](Value vector) { return blockOf(code.mul(vector, lanes), {}); };
  if (!shape.knownColumns)
    return deal(arith::DivUIOp::create(code.b, code.loc, shape.columns, code.integer(lanes)), ofWhole);
  if (const int64_t vectors = *shape.knownColumns / lanes)
    deal(code.integer(vectors), ofWhole);
  if (const int64_t rest = *shape.knownColumns % lanes)
    deal(code.integer(1), [&](Value) { return blockOf(code.integer(*shape.knownColumns - rest), code.firstLanes(rest)); });
}

void emitProduct(Code &outer, const Matrix &c, const Matrix &a, const Matrix &b, const ProductShape &shape, bool accumulate) {
  unsigned lanes = shape.knownColumns ? std::min<unsigned>(outer.lanes, llvm::PowerOf2Ceil(std::max<int64_t>(8, *shape.knownColumns))) : outer.lanes;
  Code code(outer.b, outer.loc, {lanes, outer.pairs});
  if (outer.team > 1)
    return emitDealt(outer, code, shape, [&](Value column, Value mask) { return Block(code, c, a, b, shape.depth, column, mask, accumulate); });
  auto rowsOf = [&](Value column, Value mask) {
    Block block(code, c, a, b, shape.depth, column, mask, accumulate);
    Value whole = code.mul(arith::DivUIOp::create(code.b, code.loc, shape.rows, code.integer(kBlockRows)), kBlockRows);
    code.loop(code.integer(0), whole, kBlockRows, [&](Value row) { block.emit(row, kBlockRows); });
    code.loop(whole, shape.rows, 1, [&](Value row) { block.emit(row, 1); });
  };
  if (!shape.knownColumns)
    return code.loop(code.integer(0), shape.columns, lanes, [&](Value column) { rowsOf(column, {}); });
  int64_t whole = *shape.knownColumns / lanes * lanes, rest = *shape.knownColumns - whole;
  if (whole)
    code.loop(code.integer(0), code.integer(whole), lanes, [&](Value column) { rowsOf(column, {}); });
  if (rest)
    rowsOf(code.integer(whole), code.firstLanes(rest));
}

} // namespace peftc::conversion
