// Random: see the header. A counter is (block's low 32 bits, site, step, pass | rate << 24 | block's high bits << 27); a block is four elements, or eight of 16 bits.
//
// The low 32 bits of a vector of blocks do not carry into the high ones: that would need an array of 2^34 elements.
#include "compiler/conversion/Random.h"
#include <array>

using namespace mlir;

namespace peftc::conversion {
namespace {

constexpr uint32_t kLeft = 0xD2511F53u, kRight = 0xCD9E8D57u, kWeyl0 = 0x9E3779B9u, kWeyl1 = 0xBB67AE85u;
constexpr int kRounds = 7;

/// 32-bit arithmetic on half a vector of lanes (so that four words make two vectors of f32).
class Words {
public:
  Words(Code &code) : code(code), b(code.b), loc(code.loc), lanes(code.lanes / 2) {}

  unsigned count() const { return lanes; }
  VectorType type(Type element, int64_t width) const { return VectorType::get({width}, element); }
  Value splat(Value scalar) { return vector::BroadcastOp::create(b, loc, type(scalar.getType(), lanes), scalar); }
  Value constant(uint32_t value) {
    VectorType words = type(b.getI32Type(), lanes);
    return arith::ConstantOp::create(b, loc, words, DenseElementsAttr::get(words, b.getI32IntegerAttr(static_cast<int32_t>(value))));
  }
  Value wide(uint64_t value) {
    VectorType words = type(b.getI64Type(), lanes / 2);
    return arith::ConstantOp::create(b, loc, words, DenseElementsAttr::get(words, b.getI64IntegerAttr(static_cast<int64_t>(value))));
  }
  Value add(Value x, Value y) { return arith::AddIOp::create(b, loc, x, y); }
  Value exclusiveOr(Value x, Value y) { return arith::XOrIOp::create(b, loc, x, y); }
  Value counting() {
    SmallVector<int32_t> numbers;
    for (unsigned lane = 0; lane < lanes; ++lane)
      numbers.push_back(lane);
    VectorType words = type(b.getI32Type(), lanes);
    return arith::ConstantOp::create(b, loc, words, DenseElementsAttr::get(words, ArrayRef<int32_t>(numbers)));
  }

  /// Low and high words of x * factor: even and odd lanes as 64-bit products, which is what x86 multiplies.
  std::pair<Value, Value> multiply(Value x, uint32_t factor) {
    VectorType words = type(b.getI32Type(), lanes), pairs = type(b.getI64Type(), lanes / 2);
    Value both = vector::BitCastOp::create(b, loc, pairs, x), low = wide(0xFFFFFFFFull), high = wide(0xFFFFFFFF00000000ull), half = wide(32), by = wide(factor);
    Value even = arith::MulIOp::create(b, loc, arith::AndIOp::create(b, loc, both, low), by);
    Value odd = arith::MulIOp::create(b, loc, arith::ShRUIOp::create(b, loc, both, half), by);
    Value lows = arith::OrIOp::create(b, loc, arith::AndIOp::create(b, loc, even, low), arith::ShLIOp::create(b, loc, odd, half));
    Value highs = arith::OrIOp::create(b, loc, arith::ShRUIOp::create(b, loc, even, half), arith::AndIOp::create(b, loc, odd, high));
    return {vector::BitCastOp::create(b, loc, words, lows), vector::BitCastOp::create(b, loc, words, highs)};
  }

  std::array<Value, 4> philox(std::array<Value, 4> counter, Value key0, Value key1) {
    for (int round = 0; round < kRounds; ++round) {
      auto [leftLow, leftHigh] = multiply(counter[0], kLeft);
      auto [rightLow, rightHigh] = multiply(counter[2], kRight);
      counter = {exclusiveOr(exclusiveOr(rightHigh, counter[1]), key0), rightLow, exclusiveOr(exclusiveOr(leftHigh, counter[3]), key1), leftLow};
      key0 = add(key0, constant(kWeyl0));
      key1 = add(key1, constant(kWeyl1));
    }
    return counter;
  }

  /// Two vectors of words, one after the other's lanes: x0 y0 x1 y1 …
  Value interleave(Value x, Value y) { return vector::InterleaveOp::create(b, loc, x, y); }

private:
  Code &code;
  OpBuilder &b;
  Location loc;
  unsigned lanes;
};

uint32_t codeOf(StringRef rate) { return rate == "token" ? 0 : rate == "example" ? 1 : rate == "pass" ? 2 : rate == "step" ? 3 : 4; }

} // namespace

RandomKey randomKeyOf(Code &code, Value call, nn::RandomOp op) {
  OpBuilder &b = code.b;
  Type word = b.getI32Type();
  auto constant = [&](uint32_t value) -> Value { return arith::ConstantOp::create(b, code.loc, b.getI32IntegerAttr(static_cast<int32_t>(value))); };
  uint32_t rate = codeOf(op.getRate());
  Value site = code.load(code.at(code.field(call, CallField::sites), word, code.integer(op.getSite())), word);
  Value step = rate == 4 ? constant(0) : code.field(call, CallField::step);
  Value pass = rate >= 3 ? constant(0) : arith::AndIOp::create(b, code.loc, code.field(call, CallField::pass), constant(0xFFFFFF)).getResult();
  Value passAndRate = arith::OrIOp::create(b, code.loc, pass, constant(rate << 24));
  return {code.field(call, CallField::key0), code.field(call, CallField::key1), site, step, passAndRate, op.getDist() == "uniform16"};
}

/// As many numbers as the words hold, in [0, 1): 24 bits of each word, or 16 of each half.
static Value uniforms(Code &code, Value words, bool halves) {
  OpBuilder &b = code.b;
  Location loc = code.loc;
  int64_t count = cast<VectorType>(words.getType()).getNumElements() * (halves ? 2 : 1);
  VectorType wide = VectorType::get({count}, b.getI32Type()), floats = VectorType::get({count}, b.getF32Type());
  Value whole;
  if (halves) {
    whole = arith::ExtUIOp::create(b, loc, wide, vector::BitCastOp::create(b, loc, VectorType::get({count}, b.getI16Type()), words));
  } else {
    whole = arith::ShRUIOp::create(b, loc, words, arith::ConstantOp::create(b, loc, wide, DenseElementsAttr::get(wide, b.getI32IntegerAttr(8))));
  }
  Value scale = arith::ConstantOp::create(b, loc, floats, DenseElementsAttr::get(floats, b.getF32FloatAttr(halves ? 0x1p-16f : 0x1p-24f)));
  return arith::MulFOp::create(b, loc, arith::SIToFPOp::create(b, loc, floats, whole), scale);
}

Value fillRandom(Code &code, const RandomKey &key, Value first, Value count, Value buffer) {
  Words words(code);
  OpBuilder &b = code.b;
  Location loc = code.loc;
  const int64_t ofBlock = key.halves ? 8 : 4, made = ofBlock * words.count();
  Value size = code.integer(ofBlock), firstBlock = arith::DivUIOp::create(b, loc, first, size), behind = arith::RemUIOp::create(b, loc, first, size);
  Value end = code.add(count, behind);
  Value site = words.splat(key.site), step = words.splat(key.step), key0 = words.splat(key.key0), key1 = words.splat(key.key1);
  code.meet(); // the numbers before these have been read
  code.loop(code.ownFirst(code.integer(0), made), end, made * code.team, [&](Value place) {
    Value block = code.add(firstBlock, arith::DivUIOp::create(b, loc, place, size));
    Value low = arith::TruncIOp::create(b, loc, b.getI32Type(), block);
    Value high = arith::TruncIOp::create(b, loc, b.getI32Type(), arith::ShRUIOp::create(b, loc, block, code.integer(5))); // bits 32.. at 27..
    Value top = arith::OrIOp::create(b, loc, key.passAndRate,
                                     arith::AndIOp::create(b, loc, high, arith::ConstantOp::create(b, loc, b.getI32IntegerAttr(static_cast<int32_t>(0xF8000000u)))));
    std::array<Value, 4> bits = words.philox({words.add(words.splat(low), words.counting()), site, step, words.splat(top)}, key0, key1);
    // Word 4 b + l is lane l of block b.
    Value all = words.interleave(words.interleave(bits[0], bits[2]), words.interleave(bits[1], bits[3]));
    LLVM::StoreOp::create(b, loc, uniforms(code, all, key.halves), code.at(buffer, place), 4);
  });
  code.meet();
  return code.at(buffer, behind);
}

} // namespace peftc::conversion
