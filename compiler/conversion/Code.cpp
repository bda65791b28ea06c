// Code: see the header.
#include "compiler/conversion/Code.h"

using namespace mlir;

namespace peftc::conversion {
namespace {
constexpr unsigned kAlignment = 4, kHalfAlignment = 2, kWarp = Machine::kWarp;
constexpr unsigned kShared = 3; ///< address space

Value word(Code &code, uint32_t value) { return arith::ConstantOp::create(code.b, code.loc, code.b.getI32IntegerAttr(static_cast<int32_t>(value))); }
} // namespace

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

Value Code::at(Value base, Type element, Value index) { return LLVM::GEPOp::create(b, loc, base.getType(), element, base, llvm::ArrayRef<LLVM::GEPArg>{index}); }
Value Code::load(Value address, Type type) { return LLVM::LoadOp::create(b, loc, type, address, type.isInteger(64) || isa<LLVM::LLVMPointerType>(type) ? 8 : kAlignment); }
void Code::store(Value value, Value address) { LLVM::StoreOp::create(b, loc, value, address, kAlignment); }

Value Code::places(Value first) {
  SmallVector<int32_t> steps(llvm::to_vector(llvm::seq<int32_t>(0, static_cast<int32_t>(lanes))));
  Value step = arith::ConstantOp::create(b, loc, DenseIntElementsAttr::get(vectorOf(b.getI32Type()), ArrayRef<int32_t>(steps)));
  return arith::AddIOp::create(b, loc, splat(arith::TruncIOp::create(b, loc, b.getI32Type(), first)), step);
}
Value Code::loadWhole(Value address) { return arith::TruncIOp::create(b, loc, b.getI32Type(), load(address, i64())); }

Value Code::splat(Value scalar) { return vector::BroadcastOp::create(b, loc, vectorOf(scalar.getType()), scalar); }

Value Code::loadVector(Value address, Value mask, bool whole) {
  VectorType type = vectorOf(f32());
  if (!mask)
    return LLVM::LoadOp::create(b, loc, type, address, alignmentOf(kAlignment, whole));
  Value zeros = splat(number(0));
  return LLVM::MaskedLoadOp::create(b, loc, type, address, mask, zeros, b.getI32IntegerAttr(alignmentOf(kAlignment, whole)));
}

void Code::storeVector(Value vector, Value address, Value mask, bool whole) {
  if (mask)
    LLVM::MaskedStoreOp::create(b, loc, vector, address, mask, b.getI32IntegerAttr(alignmentOf(kAlignment, whole)));
  else
    LLVM::StoreOp::create(b, loc, vector, address, alignmentOf(kAlignment, whole));
}

Value Code::loadHalfWords(Value address, Value mask, bool whole) {
  VectorType type = vectorOf(half());
  Value zeros = arith::ConstantOp::create(b, loc, type, DenseElementsAttr::get(type, b.getI16IntegerAttr(0)));
  Value halves = mask ? LLVM::MaskedLoadOp::create(b, loc, type, address, mask, zeros, b.getI32IntegerAttr(alignmentOf(kHalfAlignment, whole))).getResult()
                      : LLVM::LoadOp::create(b, loc, type, address, alignmentOf(kHalfAlignment, whole)).getResult();
  return wordsOf(halves);
}

Value Code::loadHalves(Value address, Value mask, bool whole) { return widened(loadHalfWords(address, mask, whole)); }

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

void Code::storeHalves(Value vector, Value address, Value mask, bool whole) {
  Value halves = rounded(vector);
  if (mask)
    LLVM::MaskedStoreOp::create(b, loc, halves, address, mask, b.getI32IntegerAttr(alignmentOf(kHalfAlignment, whole)));
  else
    LLVM::StoreOp::create(b, loc, halves, address, alignmentOf(kHalfAlignment, whole));
}

Value Code::loadHalfBits(Value address, bool whole) { return LLVM::LoadOp::create(b, loc, vectorOf(half()), address, alignmentOf(kHalfAlignment, whole)); }

void Code::storeHalf(Value number, Value address) {
  Code one(b, loc, {1});
  one.storeHalves(one.splat(number), address);
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

Value Code::loadBools(Value address, Value mask, bool whole) {
  VectorType type = vectorOf(b.getI8Type());
  Value zeros = arith::ConstantOp::create(b, loc, type, DenseElementsAttr::get(type, b.getI8IntegerAttr(0)));
  Value bytes = mask ? LLVM::MaskedLoadOp::create(b, loc, type, address, mask, zeros, b.getI32IntegerAttr(alignmentOf(1, whole))).getResult()
                     : LLVM::LoadOp::create(b, loc, type, address, alignmentOf(1, whole)).getResult();
  return arith::CmpIOp::create(b, loc, arith::CmpIPredicate::ne, bytes, zeros);
}

void Code::storeBools(Value vector, Value address, Value mask, bool whole) {
  Value bytes = arith::ExtUIOp::create(b, loc, vectorOf(b.getI8Type()), vector);
  if (mask)
    LLVM::MaskedStoreOp::create(b, loc, bytes, address, mask, b.getI32IntegerAttr(alignmentOf(1, whole)));
  else
    LLVM::StoreOp::create(b, loc, bytes, address, alignmentOf(1, whole));
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

SmallVector<Value> Code::when(Value condition, ArrayRef<Value> carried, const std::function<SmallVector<Value>(ValueRange)> &body) {
  if (carried.empty()) {
    when(condition, [&] { body({}); });
    return {};
  }
  auto made = scf::IfOp::create(b, loc, ValueRange(carried).getTypes(), condition, /*withElseRegion=*/true);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(made.elseBlock());
  scf::YieldOp::create(b, loc, carried);
  b.setInsertionPointToStart(made.thenBlock());
  scf::YieldOp::create(b, loc, body(carried));
  return SmallVector<Value>(made.getResults());
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

Value Code::coordinate(StringRef name) {
  Value word = LLVM::CallIntrinsicOp::create(b, loc, b.getI32Type(), b.getStringAttr("llvm.nvvm.read.ptx.sreg." + name), ValueRange{}).getResult(0);
  return arith::ExtUIOp::create(b, loc, i64(), word);
}

Value Code::member() {
  if (!member_) {
    member_ = arith::AndIOp::create(b, loc, coordinate("laneid"), integer(machine.ofWarp() - 1));
    if (machine.warps > 1)
      member_ = add(mul(warp(), machine.ofWarp()), member_);
  }
  return member_;
}

Value Code::isMember(int64_t place) { return arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq, member(), integer(place)); }

Value Code::ownFirst(Value first, int64_t size) { return team == 1 ? first : add(first, mul(member(), size)); }

Value Code::teamOfRow() { return arith::RemUIOp::create(b, loc, arith::DivUIOp::create(b, loc, coordinate("tid.x"), integer(team)), integer(machine.dealt)); }

void Code::alone(const std::function<void()> &body) {
  if (team == 1)
    body();
  else
    when(isMember(0), [&] { whenActive(body); });
}

void Code::whenActive(const std::function<void()> &body) {
  if (active)
    when(active, body);
  else
    body();
}

Value Code::blockWarp() { return arith::DivUIOp::create(b, loc, coordinate("tid.x"), integer(kWarp)); }
Value Code::warp() { return arith::AndIOp::create(b, loc, blockWarp(), integer(machine.warps - 1)); }
Value Code::firstWarp() { return sub(blockWarp(), warp()); }

Value Code::shared(int64_t count, Value behind) {
  Operation *around = b.getInsertionBlock()->getParentOp();
  auto function = isa<LLVM::LLVMFuncOp>(around) ? cast<LLVM::LLVMFuncOp>(around) : around->getParentOfType<LLVM::LLVMFuncOp>();
  const std::string name = (function.getName() + "__shared").str();
  auto module = function->getParentOfType<ModuleOp>();
  auto type = LLVM::LLVMArrayType::get(f32(), count * kMostWarps);
  auto global = module.lookupSymbol<LLVM::GlobalOp>(name);
  if (!global) {
    OpBuilder before(function);
    global = LLVM::GlobalOp::create(before, loc, type, /*isConstant=*/false, LLVM::Linkage::Internal, name, Attribute(), kAccess, kShared);
  } else if (cast<LLVM::LLVMArrayType>(global.getGlobalType()).getNumElements() < type.getNumElements()) {
    global.setGlobalTypeAttr(TypeAttr::get(type));
  }
  Value place = behind ? add(firstWarp(), behind) : blockWarp();
  Value first = LLVM::AddressOfOp::create(b, loc, LLVM::LLVMPointerType::get(b.getContext(), kShared), name);
  return at(first, mul(place, count));
}

/// The team's lanes in its warp.
Value Code::teamMask() {
  const unsigned own = machine.ofWarp();
  if (own == kWarp)
    return word(*this, ~0u);
  Value first = arith::TruncIOp::create(b, loc, b.getI32Type(), sub(coordinate("laneid"), arith::AndIOp::create(b, loc, coordinate("laneid"), integer(own - 1))));
  return arith::ShLIOp::create(b, loc, word(*this, (1u << own) - 1), first);
}

void Code::meet() {
  if (team == 1)
    return;
  if (machine.warps == 1) {
    LLVM::CallIntrinsicOp::create(b, loc, b.getStringAttr("llvm.nvvm.bar.warp.sync"), ValueRange{teamMask()});
    return;
  }
  LLVM::CallIntrinsicOp::create(b, loc, b.getStringAttr("llvm.nvvm.barrier.cta.sync.aligned.all"), ValueRange{word(*this, 0)});
}

Value Code::across(Value number, const std::function<Value(Value, Value)> &combine) {
  const unsigned own = machine.ofWarp();
  const uint32_t segment = (kWarp - own) << 8 | (kWarp - 1); // shfl's bounds: within the team
  for (unsigned apart = own / 2; apart > 0; apart /= 2) {
    Value other = LLVM::CallIntrinsicOp::create(b, loc, f32(), b.getStringAttr("llvm.nvvm.shfl.sync.bfly.f32"), ValueRange{teamMask(), number, word(*this, apart), word(*this, segment)}).getResult(0);
    number = combine(number, other);
  }
  return machine.warps == 1 ? number : acrossWarps(number, combine);
}

/// Every thread adds up the same numbers in the same order.
Value Code::acrossWarps(Value number, const std::function<Value(Value, Value)> &combine) {
  const int64_t teams = machine.together();
  Value lane = coordinate("laneid"), place = arith::DivUIOp::create(b, loc, lane, integer(machine.ofWarp())), inWarp = arith::AndIOp::create(b, loc, lane, integer(machine.ofWarp() - 1));
  meet(); // the numbers before these have been read
  when(arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq, inWarp, integer(0)), [&] { store(number, at(shared(teams), place)); });
  meet();
  Value all;
  for (unsigned warp = 0; warp < machine.warps; ++warp) {
    Value one = load(at(shared(teams, integer(warp)), place), f32());
    all = all ? combine(all, one) : one;
  }
  return all;
}

LLVM::LLVMStructType Code::callType() {
  Type p = pointer(), n = i64(), w = b.getI32Type();
  return LLVM::LLVMStructType::getLiteral(b.getContext(), {p, p, p, p, p, n, n, w, w, w, w, p, p, n, n, n});
}

Value Code::fieldAddress(Value call, CallField field) {
  return LLVM::GEPOp::create(b, loc, pointer(), callType(), call, ArrayRef<LLVM::GEPArg>{0, static_cast<int32_t>(field)});
}

Value Code::field(Value call, CallField field) { return load(fieldAddress(call, field), callType().getBody()[static_cast<int32_t>(field)]); }

Value Code::dataPointer(Value call, int64_t index) { return load(at(field(call, CallField::data), pointer(), integer(index)), pointer()); }

} // namespace peftc::conversion
