// RowProducts: see the header.
#include "compiler/conversion/RowProducts.h"

using namespace mlir;

namespace peftc::conversion {
namespace {

constexpr int64_t kTile = 16, kRows = 8, kNumbers = 4; ///< columns and rows of a tile of y; numbers of it that a thread has
constexpr int64_t kOfTile = kTile * kRows;

int64_t tilesOf(const RowFactor &a) { return (a.rows + kTile - 1) / kTile; }
Value inFour(Code &code) { return arith::AndIOp::create(code.b, code.loc, code.coordinate("laneid"), code.integer(3)); }
Value fourth(Code &code) { return arith::DivUIOp::create(code.b, code.loc, code.coordinate("laneid"), code.integer(4)); }

/// Pairs of bf16 as words.
SmallVector<Value> pairsOf(Code &code, Value halves) {
  const int64_t count = code.lanes / 2;
  Value words = vector::BitCastOp::create(code.b, code.loc, VectorType::get({count}, code.b.getI32Type()), halves);
  return llvm::map_to_vector(llvm::seq<int64_t>(0, count), [&](int64_t place) -> Value { return vector::ExtractOp::create(code.b, code.loc, words, ArrayRef<int64_t>{place}); });
}

/// A row of A from `column` on. Behind the last one it is the last one again, and nobody reads what that makes.
SmallVector<Value> rowOf(Code &code, const RowFactor &a, int64_t first, Value column) {
  Value row = code.least(code.add(code.integer(first), fourth(code)), code.integer(a.rows - 1));
  return pairsOf(code, code.loadHalfBits(code.at(a.pointer, code.half(), code.add(code.mul(row, a.pitch), column)), code.whole));
}

/// D = A B + D of a warp: words of A [16, 16] and B [16, 8].
void multiply(Code &code, ArrayRef<Value> a, ArrayRef<Value> b, MutableArrayRef<Value> d) {
  SmallVector<Value> operands(a);
  operands.append(b.begin(), b.end());
  operands.append(d.begin(), d.end());
  Type f32 = code.f32(), type = LLVM::LLVMStructType::getLiteral(code.b.getContext(), {f32, f32, f32, f32});
  Value made = LLVM::CallIntrinsicOp::create(code.b, code.loc, type, code.b.getStringAttr("llvm.nvvm.mma.m16n8k16.row.col.bf16"), operands).getResult(0);
  for (auto [index, number] : llvm::enumerate(d))
    number = LLVM::ExtractValueOp::create(code.b, code.loc, made, static_cast<int64_t>(index));
}

} // namespace

size_t sumsOf(const RowFactor &a) { return static_cast<size_t>(tilesOf(a) * kNumbers); }

void accumulate(Code &code, const RowFactor &a, Value x, Value column, MutableArrayRef<Value> sums) {
  const SmallVector<Value> words = pairsOf(code, code.rounded(x));
  for (int64_t tile = 0; tile < tilesOf(a); ++tile) {
    const SmallVector<Value> low = rowOf(code, a, tile * kTile, column), high = rowOf(code, a, tile * kTile + kRows, column);
    for (size_t pair = 0; pair < words.size(); pair += 2)
      multiply(code, {low[pair], high[pair], low[pair + 1], high[pair + 1]}, ArrayRef(words).slice(pair, 2), sums.slice(tile * kNumbers, kNumbers));
  }
}

void finish(Code &code, const RowFactor &a, ArrayRef<Value> sums, const RowProductResult &y) {
  const int64_t warps = code.machine.warps;
  auto in = [&](Value tile, Value column, Value row) { return code.at(tile, code.add(code.mul(column, kRows), row)); };
  Value group = fourth(code), pair = code.mul(inFour(code), 2), thread = code.add(code.mul(code.warp(), Machine::kWarp), code.coordinate("laneid"));
  for (int64_t tile = 0; tile < tilesOf(a); ++tile) {
    code.meet(); // what lay there has been read
    for (int64_t number = 0; number < kNumbers; ++number) {
      Value column = code.add(group, code.integer(number / 2 * kRows)), row = code.add(pair, code.integer(number % 2));
      code.store(sums[tile * kNumbers + number], in(code.shared(kOfTile), column, row));
    }
    code.meet();
    code.loop(thread, code.integer(kOfTile), warps * Machine::kWarp, [&](Value place) {
      Value column = arith::RemUIOp::create(code.b, code.loc, place, code.integer(kTile)), row = arith::DivUIOp::create(code.b, code.loc, place, code.integer(kTile));
      Value sum;
      for (int64_t warp = 0; warp < warps; ++warp) {
        Value part = code.load(in(code.shared(kOfTile, code.integer(warp)), column, row), code.f32());
        sum = sum ? Value(arith::AddFOp::create(code.b, code.loc, sum, part)) : part;
      }
      if (y.scale != 1)
        sum = arith::MulFOp::create(code.b, code.loc, sum, code.number(y.scale));
      Value ofMatrix = code.add(code.integer(tile * kTile), column), ofTable = code.add(y.first, row);
      Value isThere = arith::AndIOp::create(code.b, code.loc, code.less(ofMatrix, code.integer(a.rows)), code.less(ofTable, y.end));
      code.when(isThere, [&] { code.storeHalf(sum, code.at(y.pointer, code.half(), code.add(code.mul(ofTable, y.pitch), ofMatrix))); });
    });
  }
}

} // namespace peftc::conversion
