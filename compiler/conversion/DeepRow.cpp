// DeepRow: products of one row: attention of the newest token. See Product.h.
//
// Why  such a product has few columns or little depth, and the other of both is a text's length: pieces of its result are too few for a block of threads, or the
// keys would be turned for one row. So threads share the keys: a key's dot is one thread's, and a sum over keys is of parts, which lie in shared memory.
#include "compiler/conversion/Kernel.h"
#include "compiler/conversion/Product.h"

using namespace mlir;

namespace peftc::conversion {
namespace {

constexpr int64_t kInFlight = 4; ///< rows of B that a thread asks for before it waits for the first

Type elementOf(Code &code, const Matrix &matrix) { return matrix.isHalf ? code.half() : code.f32(); }
Value vectorAt(Code &code, const Matrix &matrix, Value pointer, Value mask, bool whole) { return matrix.isHalf ? code.loadHalves(pointer, mask, whole) : code.loadVector(pointer, mask, whole); }
/// A GPU's accesses are of 16 bytes, whatever they hold.
unsigned lanesFor(const Code &code, const Matrix &matrix, bool whole) { return code.team > 1 && whole && matrix.isHalf ? Code::kAccess / 2 : code.lanes; }
Value multiplied(Code &code, Value x, Value y, Value sum) { return vector::FMAOp::create(code.b, code.loc, x, y, sum); }

/// A number at the pointer, rounded where the matrix is bf16.
void storeNumber(Code &outer, const Matrix &matrix, Value number, Value pointer) {
  matrix.isHalf ? outer.storeHalf(number, pointer) : outer.store(number, pointer);
}

/// How threads share B's rows: a row is so many vectors, each a lane's, and a warp takes so many rows at a time.
struct Shares {
  int64_t vectors, rows;
  Shares(int64_t columns, unsigned lanes) : vectors(columns / lanes), rows(vectors ? Machine::kWarp / vectors : 0) {}
};

} // namespace

bool haveWholeRows(plan::KernelOp op) {
  auto isWhole = [](Value value, Value outside) {
    auto type = cast<nn::NNType>(value.getType());
    if (!type.getExample() || type.rank() != 3 || plan::isQuadratic(type) || plan::isRowOfTiles(type))
      return true;
    const int64_t ofAccess = isHalf(value) ? 8 : 4, size = type.getDims()[2].constant; // elements of 16 bytes
    return size % ofAccess == 0 && plan::pitchOf(outside) % ofAccess == 0;
  };
  Block &body = op.getBody().front();
  return llvm::all_of(llvm::zip_equal(body.getArguments(), op.getInputs()), [&](auto pair) { return isWhole(std::get<0>(pair), std::get<1>(pair)); }) &&
         llvm::all_of(llvm::zip_equal(body.getTerminator()->getOperands(), op.getResults()), [&](auto pair) { return isWhole(std::get<0>(pair), std::get<1>(pair)); });
}

void emitDots(Code &outer, const Matrix &c, const Matrix &a, const Matrix &b, Value columns, int64_t depth, bool whole) {
  Code code(outer.b, outer.loc, {lanesFor(outer, b, whole), outer.pairs});
  const int64_t lanes = code.lanes, rest = depth % lanes;
  auto plus = [&](Value x, Value y) -> Value { return arith::AddFOp::create(code.b, code.loc, x, y); };
  code.loop(outer.ownFirst(code.integer(0), 1), columns, outer.team, [&](Value column) {
    Value row = code.at(b.pointer, elementOf(code, b), code.mul(column, b.rowStride)), sum = code.splat(code.number(0));
    for (int64_t place = 0; place < depth; place += lanes) { // heads are short: all of a row is asked for before the first of it is there
      const bool isRest = rest && place + lanes > depth;
      Value mask = isRest ? code.firstLanes(rest) : Value(), at = code.integer(place);
      Value left = vectorAt(code, a, code.at(a.pointer, elementOf(code, a), at), mask, whole && !isRest);
      sum = multiplied(code, left, vectorAt(code, b, code.at(row, elementOf(code, b), at), mask, whole && !isRest), sum);
    }
    storeNumber(code, c, code.reduce(sum, plus), code.at(c.pointer, elementOf(code, c), column));
  });
}

bool hasDeepRow(const Code &code, int64_t columns, bool whole) {
  const unsigned widest = Code::kAccess / 2;
  return code.machine.warps > 1 && code.machine.together() == 1 && whole && columns % widest == 0 && Shares(columns, code.lanes).rows > 0;
}

void emitDeepRow(Code &outer, const Matrix &c, const Matrix &a, const Matrix &b, Value depth, int64_t columns) {
  Code code(outer.b, outer.loc, {lanesFor(outer, b, true)});
  const int64_t lanes = code.lanes;
  const Shares shares(columns, code.lanes);
  const int64_t ofWarp = shares.rows * columns, step = shares.rows * outer.machine.warps;
  Value lane = code.coordinate("laneid"), vectors = code.integer(shares.vectors);
  Value inWarp = arith::DivUIOp::create(code.b, code.loc, lane, vectors), column = code.mul(arith::RemUIOp::create(code.b, code.loc, lane, vectors), lanes);
  Value isIdle = code.less(code.integer(shares.rows - 1), inWarp); // lanes beyond whole rows
  Value first = arith::SelectOp::create(code.b, code.loc, isIdle, depth, code.add(code.mul(outer.warp(), shares.rows), inWarp));
  auto terms = [&](Value row, int64_t count, Value sum) {
    SmallVector<Value> numbers, rows;
    for (int64_t next = 0; next < count; ++next) {
      Value at = code.add(row, code.integer(next * step)), number = code.at(a.pointer, elementOf(code, a), at);
      numbers.push_back(a.isHalf ? code.loadHalf(number) : code.load(number, code.f32()));
      rows.push_back(vectorAt(code, b, code.at(b.pointer, elementOf(code, b), code.add(code.mul(at, b.rowStride), column)), {}, true));
    }
    for (auto [number, vector] : llvm::zip_equal(numbers, rows))
      sum = multiplied(code, code.splat(number), vector, sum);
    return SmallVector<Value>{sum};
  };
  // As many whole turns of kInFlight as there are rows for, then the rest one by one.
  const int64_t turn = step * kInFlight;
  Value left = arith::MaxSIOp::create(code.b, code.loc, code.sub(depth, first), code.integer(0)), turns = arith::DivUIOp::create(code.b, code.loc, code.add(left, code.integer(step - 1)), code.integer(turn));
  Value middle = code.add(first, code.mul(turns, turn));
  SmallVector<Value> sum = code.loop(first, middle, turn, {code.splat(code.number(0))}, [&](Value row, ValueRange carried) { return terms(row, kInFlight, carried[0]); });
  sum = code.loop(middle, depth, step, sum, [&](Value row, ValueRange carried) { return terms(row, 1, carried[0]); });
  outer.meet(); // what lay there has been read
  Value own = code.at(outer.shared(ofWarp), code.add(code.mul(inWarp, columns), column));
  code.when(arith::CmpIOp::create(code.b, code.loc, arith::CmpIPredicate::ult, inWarp, code.integer(shares.rows)), [&] { code.storeVector(sum[0], own, {}, true); });
  outer.meet();
  code.loop(outer.ownFirst(code.integer(0), 1), code.integer(columns), outer.team, [&](Value place) {
    Value all = outer.shared(ofWarp, code.integer(0));
    SmallVector<Value> total = code.loop(code.integer(0), code.integer(step), 1, {code.number(0)}, [&](Value part, ValueRange carried) {
      return SmallVector<Value>{arith::AddFOp::create(code.b, code.loc, carried[0], code.load(code.at(all, code.add(code.mul(part, columns), place)), code.f32()))};
    });
    storeNumber(code, c, total[0], code.at(c.pointer, elementOf(code, c), place));
  });
}

} // namespace peftc::conversion
