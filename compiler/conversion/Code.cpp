// Code: see the header.
#include "compiler/conversion/Code.h"

using namespace mlir;

namespace peftc::conversion {
namespace {
constexpr unsigned kAlignment = 4, kHalfAlignment = 2;
}

Value Code::integer(int64_t value) { return arith::ConstantOp::create(b, loc, b.getI64IntegerAttr(value)); }
Value Code::number(double value) { return arith::ConstantOp::create(b, loc, b.getF32FloatAttr(static_cast<float>(value))); }
Value Code::add(Value x, Value y) { return arith::AddIOp::create(b, loc, x, y); }
Value Code::sub(Value x, Value y) { return arith::SubIOp::create(b, loc, x, y); }
Value Code::mul(Value x, Value y) { return arith::MulIOp::create(b, loc, x, y); }
Value Code::mul(Value x, int64_t y) { return y == 1 ? x : mul(x, integer(y)); }
Value Code::least(Value x, Value y) { return arith::MinSIOp::create(b, loc, x, y); }
Value Code::less(Value x, Value y) { return arith::CmpIOp::create(b, loc, arith::CmpIPredicate::slt, x, y); }

Value Code::roundUp(Value x, int64_t multiple) {
  Value blocks = arith::DivUIOp::create(b, loc, add(x, integer(multiple - 1)), integer(multiple));
  return mul(blocks, multiple);
}

Value Code::at(Value base, Type element, Value index) { return LLVM::GEPOp::create(b, loc, pointer(), element, base, llvm::ArrayRef<LLVM::GEPArg>{index}); }
Value Code::load(Value address, Type type) { return LLVM::LoadOp::create(b, loc, type, address, type.isInteger(64) || isa<LLVM::LLVMPointerType>(type) ? 8 : kAlignment); }
void Code::store(Value value, Value address) { LLVM::StoreOp::create(b, loc, value, address, kAlignment); }

Value Code::places(Value first) {
  SmallVector<int32_t> steps(llvm::to_vector(llvm::seq<int32_t>(0, static_cast<int32_t>(lanes))));
  Value step = arith::ConstantOp::create(b, loc, DenseIntElementsAttr::get(vectorOf(b.getI32Type()), ArrayRef<int32_t>(steps)));
  return arith::AddIOp::create(b, loc, splat(arith::TruncIOp::create(b, loc, b.getI32Type(), first)), step);
}
Value Code::loadWhole(Value address) { return arith::TruncIOp::create(b, loc, b.getI32Type(), load(address, i64())); }

Value Code::splat(Value scalar) { return vector::BroadcastOp::create(b, loc, vectorOf(scalar.getType()), scalar); }

Value Code::loadVector(Value address, Value mask) {
  VectorType type = vectorOf(f32());
  if (!mask)
    return LLVM::LoadOp::create(b, loc, type, address, kAlignment);
  Value zeros = splat(number(0));
  return LLVM::MaskedLoadOp::create(b, loc, type, address, mask, zeros, b.getI32IntegerAttr(kAlignment));
}

void Code::storeVector(Value vector, Value address, Value mask) {
  if (mask)
    LLVM::MaskedStoreOp::create(b, loc, vector, address, mask, b.getI32IntegerAttr(kAlignment));
  else
    LLVM::StoreOp::create(b, loc, vector, address, kAlignment);
}

Value Code::loadHalfWords(Value address, Value mask) {
  VectorType type = vectorOf(half());
  Value zeros = arith::ConstantOp::create(b, loc, type, DenseElementsAttr::get(type, b.getI16IntegerAttr(0)));
  Value halves = mask ? LLVM::MaskedLoadOp::create(b, loc, type, address, mask, zeros, b.getI32IntegerAttr(kHalfAlignment)).getResult()
                      : LLVM::LoadOp::create(b, loc, type, address, kHalfAlignment).getResult();
  return wordsOf(halves);
}

Value Code::loadHalves(Value address, Value mask) { return widened(loadHalfWords(address, mask)); }

/// To nearest, ties to even; a NaN stays one.
Value Code::rounded(Value vector) {
  if (pairs)
    return arith::BitcastOp::create(b, loc, vectorOf(half()), arith::TruncFOp::create(b, loc, vectorOf(b.getBF16Type()), vector));
  VectorType words = vectorOf(b.getI32Type());
  auto word = [&](int32_t value) -> Value { return arith::ConstantOp::create(b, loc, words, DenseElementsAttr::get(words, b.getI32IntegerAttr(value))); };
  Value bits = arith::BitcastOp::create(b, loc, words, vector), half16 = word(16);
  Value odd = arith::AndIOp::create(b, loc, arith::ShRUIOp::create(b, loc, bits, half16), word(1));
  Value near = arith::ShRUIOp::create(b, loc, add(add(bits, word(0x7fff)), odd), half16);
  Value isNan = arith::CmpFOp::create(b, loc, arith::CmpFPredicate::UNO, vector, vector);
  return arith::TruncIOp::create(b, loc, vectorOf(half()), arith::SelectOp::create(b, loc, isNan, word(0x7fc0), near));
}

void Code::storeHalves(Value vector, Value address, Value mask) {
  Value halves = rounded(vector);
  if (mask)
    LLVM::MaskedStoreOp::create(b, loc, halves, address, mask, b.getI32IntegerAttr(kHalfAlignment));
  else
    LLVM::StoreOp::create(b, loc, halves, address, kHalfAlignment);
}

Value Code::loadHalf(Value address) { return widened(wordsOf(LLVM::LoadOp::create(b, loc, half(), address, kHalfAlignment))); }

Value Code::wordsOf(Value halves) { return arith::ExtUIOp::create(b, loc, isa<VectorType>(halves.getType()) ? Type(vectorOf(b.getI32Type())) : b.getI32Type(), halves); }

Value Code::upperHalf(Value words) {
  auto vector = dyn_cast<VectorType>(words.getType());
  Value sixteen = vector ? Value(arith::ConstantOp::create(b, loc, vector, DenseElementsAttr::get(vector, b.getI32IntegerAttr(16))))
                         : Value(arith::ConstantOp::create(b, loc, b.getI32IntegerAttr(16)));
  return arith::ShLIOp::create(b, loc, words, sixteen);
}

/// bf16 is the upper half of f32.
Value Code::widened(Value words) { return arith::BitcastOp::create(b, loc, isa<VectorType>(words.getType()) ? Type(vectorOf(f32())) : f32(), upperHalf(words)); }

Value Code::loadBools(Value address, Value mask) {
  VectorType type = vectorOf(b.getI8Type());
  Value zeros = arith::ConstantOp::create(b, loc, type, DenseElementsAttr::get(type, b.getI8IntegerAttr(0)));
  Value bytes = mask ? LLVM::MaskedLoadOp::create(b, loc, type, address, mask, zeros, b.getI32IntegerAttr(1)).getResult()
                     : LLVM::LoadOp::create(b, loc, type, address, 1).getResult();
  return arith::CmpIOp::create(b, loc, arith::CmpIPredicate::ne, bytes, zeros);
}

void Code::storeBools(Value vector, Value address, Value mask) {
  Value bytes = arith::ExtUIOp::create(b, loc, vectorOf(b.getI8Type()), vector);
  if (mask)
    LLVM::MaskedStoreOp::create(b, loc, bytes, address, mask, b.getI32IntegerAttr(1));
  else
    LLVM::StoreOp::create(b, loc, bytes, address, 1);
}

Value Code::firstLanes(Value count) {
  VectorType type = vectorOf(b.getI32Type());
  SmallVector<int32_t> numbers;
  for (unsigned lane = 0; lane < lanes; ++lane)
    numbers.push_back(lane);
  Value lane = arith::ConstantOp::create(b, loc, type, DenseElementsAttr::get(type, ArrayRef<int32_t>(numbers)));
  Value bound = arith::TruncIOp::create(b, loc, b.getI32Type(), least(count, integer(lanes)));
  return arith::CmpIOp::create(b, loc, arith::CmpIPredicate::slt, lane, splat(bound));
}

Value Code::firstLanes(int64_t count) {
  VectorType type = vectorOf(b.getI1Type());
  SmallVector<bool> set;
  for (unsigned lane = 0; lane < lanes; ++lane)
    set.push_back(lane < count);
  return arith::ConstantOp::create(b, loc, type, DenseElementsAttr::get(type, ArrayRef<bool>(set)));
}

Value Code::reduce(Value vector, const std::function<Value(Value, Value)> &combine) {
  for (unsigned width = lanes; width > 1; width /= 2) {
    SmallVector<int64_t> low, high;
    for (unsigned lane = 0; lane < width / 2; ++lane) {
      low.push_back(lane);
      high.push_back(lane + width / 2);
    }
    Value first = vector::ShuffleOp::create(b, loc, vector, vector, low), second = vector::ShuffleOp::create(b, loc, vector, vector, high);
    vector = combine(first, second);
  }
  return vector::ExtractOp::create(b, loc, vector, llvm::ArrayRef<int64_t>{0});
}

SmallVector<Value> Code::loop(Value begin, Value end, int64_t step, ArrayRef<Value> carried, const std::function<SmallVector<Value>(Value, ValueRange)> &body) {
  auto made = scf::ForOp::create(b, loc, begin, end, integer(step), carried);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(made.getBody());
  SmallVector<Value> next = body(made.getInductionVar(), made.getRegionIterArgs());
  if (!carried.empty())
    scf::YieldOp::create(b, loc, next);
  return SmallVector<Value>(made.getResults());
}

void Code::loop(Value begin, Value end, int64_t step, const std::function<void(Value)> &body) {
  loop(begin, end, step, {}, [&](Value index, ValueRange) {
    body(index);
    return SmallVector<Value>{};
  });
}

void Code::when(Value condition, const std::function<void()> &body) {
  auto made = scf::IfOp::create(b, loc, condition, /*withElseRegion=*/false);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(made.thenBlock());
  body();
}

void Code::choose(Value condition, const std::function<void()> &body, const std::function<void()> &otherwise) {
  auto made = scf::IfOp::create(b, loc, condition, /*withElseRegion=*/true);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(made.thenBlock());
  body();
  b.setInsertionPointToStart(made.elseBlock());
  otherwise();
}

Value Code::isNull(Value pointer) { return LLVM::ICmpOp::create(b, loc, LLVM::ICmpPredicate::eq, pointer, LLVM::ZeroOp::create(b, loc, pointer.getType())); }

void Code::callFunction(Value function, ArrayRef<Value> arguments) {
  SmallVector<Type> types;
  SmallVector<Value> operands = {function};
  for (Value argument : arguments) {
    types.push_back(argument.getType());
    operands.push_back(argument);
  }
  LLVM::CallOp::create(b, loc, LLVM::LLVMFunctionType::get(LLVM::LLVMVoidType::get(b.getContext()), types), operands);
}

LLVM::LLVMStructType Code::callType() {
  Type p = pointer(), n = i64(), w = b.getI32Type();
  return LLVM::LLVMStructType::getLiteral(b.getContext(), {p, p, p, p, p, n, n, w, w, w, w, p, p});
}

Value Code::fieldAddress(Value call, CallField field) {
  return LLVM::GEPOp::create(b, loc, pointer(), callType(), call, ArrayRef<LLVM::GEPArg>{0, static_cast<int32_t>(field)});
}

Value Code::field(Value call, CallField field) { return load(fieldAddress(call, field), callType().getBody()[static_cast<int32_t>(field)]); }

Value Code::dataPointer(Value call, int64_t index) { return load(at(field(call, CallField::data), pointer(), integer(index)), pointer()); }

} // namespace peftc::conversion
