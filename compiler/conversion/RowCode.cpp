// RowCode: see the header.
#include "compiler/conversion/RowCode.h"
#include "compiler/conversion/Elementwise.h"
#include "compiler/passes/plan/Space.h"

using namespace mlir;

namespace peftc::conversion {
namespace {
constexpr int kCheapOps = 4;

bool isCostly(Operation *op) { return isa<nn::ExpOp, nn::LogOp, nn::TanhOp, nn::ErfOp, nn::SinOp, nn::CosOp, nn::SqrtOp, nn::RsqrtOp>(op); }
/// Ops whose value is their operand's, seen by rows and columns (a reduction only where its operand is a number).
bool passesThrough(Operation *op) { return plan::isView(op) || plan::isStorageCast(op) || isa<nn::BroadcastOp, nn::ReduceOp>(op); }
} // namespace

bool isHalf(Value value) { return cast<nn::NNType>(value.getType()).getElement().isBF16(); }

Type memoryType(Code &code, Value value) {
  return cast<nn::NNType>(value.getType()).isBool() ? Type(code.b.getI8Type()) : isHalf(value) ? code.half() : code.f32();
}

int64_t RowCode::levelOf(Value value) {
  if (memory.count(value) || numbers.count(value) || !value.getDefiningOp())
    return 0;
  if (auto found = levels.find(value); found != levels.end())
    return found->second;
  int64_t level = 0;
  for (Value operand : value.getDefiningOp()->getOperands())
    level = std::max(level, levelOf(operand));
  return levels[value] = level + (isReduce(value) || value.getDefiningOp<nn::RollOp>() ? 1 : 0);
}

/// Whether making the value again takes at most `left` cheap ops.
bool RowCode::isCheap(Value value, int &left) {
  Operation *op = value.getDefiningOp();
  if (memory.count(value) || numbers.count(value) || !op || form(value) != Form::full || isa<nn::ConstantOp>(op))
    return true;
  if (isa<nn::RollOp>(op)) // a load
    return true;
  if (isCostly(op) || (!passesThrough(op) && --left < 0))
    return false;
  return llvm::all_of(op->getOperands(), [&](Value operand) { return isCheap(operand, left); });
}

void RowCode::require(Value value, int64_t stage) {
  Operation *op = value.getDefiningOp();
  if (memory.count(value) || !op || isa<nn::ConstantOp, nn::IotaOp>(op) || !required.insert({value, stage}))
    return;
  if (form(value) != Form::full) { // a number: its reductions belong to earlier stages
    if (numbers.count(value))
      return;
    if (isReduce(value)) {
      int64_t made = levelOf(value) - 1;
      if (static_cast<int64_t>(reductions.size()) <= made)
        reductions.resize(made + 1);
      if (!llvm::is_contained(reductions[made], value))
        reductions[made].push_back(value);
      require(op->getOperand(0), made);
      return;
    }
    for (Value operand : op->getOperands())
      require(operand, stage);
    return;
  }
  int left = kCheapOps;
  const bool isTruth = cast<nn::NNType>(value.getType()).isBool(); // a buffer is of floats: what it is made of may lie in one
  if (levelOf(value) < stage && !isTruth && !isCheap(value, left)) {
    buffered.insert({value, static_cast<int64_t>(buffered.size())});
    require(value, levelOf(value));
    return;
  }
  if (auto roll = dyn_cast<nn::RollOp>(op)) {
    doubled.insert({roll.getX(), Value()});
    require(roll.getX(), levelOf(roll.getX()));
    return;
  }
  for (Value operand : op->getOperands())
    require(operand, stage);
}

void RowCode::plan() {
  if (planned)
    return;
  planned = true;
  for (const Output &output : outputs)
    require(output.value, levelOf(output.value));
  for (const Product &product : products)
    require(product.x, levelOf(product.x));
}

int64_t RowCode::bufferCount() {
  plan();
  return buffered.size() + doubled.size();
}

void RowCode::emit(const std::function<Value(int64_t)> &buffer) {
  plan();
  for (auto &[value, index] : buffered)
    buffers[value] = buffer(index);
  for (auto [index, entry] : llvm::enumerate(doubled))
    entry.second = buffer(buffered.size() + index);
  int64_t last = reductions.size();
  for (const Output &output : outputs)
    last = std::max(last, levelOf(output.value));
  for (const Product &product : products)
    last = std::max(last, levelOf(product.x));
  for (int64_t stage = 0; stage <= last; ++stage)
    emitStage(stage);
  for (const Output &output : outputs)
    if (form(output.value) != Form::full) {
      Value number = numberOf(output.value);
      code.alone([&] { code.store(output.adds ? combine(code, "sum", code.load(output.pointer, code.f32()), number) : number, output.pointer); });
    }
  if (!doubled.empty())
    code.meet(); // before the next row's copies take their places
}

/// A number of the row: made where it is first asked for, which is outside all loops over columns.
Value RowCode::numberOf(Value value) {
  if (Value known = numbers.lookup(value))
    return known;
  Operation *op = value.getDefiningOp();
  Value made;
  if (auto constant = dyn_cast<nn::ConstantOp>(op)) {
    auto attribute = constant.getValue();
    if (cast<nn::NNType>(value.getType()).isInteger())
      made = arith::ConstantOp::create(code.b, code.loc, code.b.getI32IntegerAttr(cast<IntegerAttr>(attribute).getInt()));
    else if (auto whole = dyn_cast<BoolAttr>(attribute))
      made = arith::ConstantOp::create(code.b, code.loc, whole);
    else
      made = code.number(isa<FloatAttr>(attribute) ? cast<FloatAttr>(attribute).getValueAsDouble() : static_cast<double>(cast<IntegerAttr>(attribute).getInt()));
  } else if (passesThrough(op)) {
    made = numberOf(op->getOperand(0));
  } else {
    SmallVector<Value> operands = llvm::map_to_vector(op->getOperands(), [&](Value operand) { return numberOf(operand); });
    made = elementwise(code, op, operands);
  }
  return numbers[value] = made;
}

/// Before the stage's loop: the numbers that it reads.
void RowCode::requireNumbers(int64_t stage) {
  for (auto &[value, at] : required) {
    if (at != stage || form(value) != Form::full || !value.getDefiningOp() || memory.count(value) || value.getDefiningOp<nn::IotaOp>())
      continue;
    if (levelOf(value) < stage && buffers.count(value))
      continue;
    for (Value operand : value.getDefiningOp()->getOperands())
      if ((form(operand) == Form::row || form(operand) == Form::scalar) && !memory.count(operand) && levelOf(operand) <= stage) {
        Value number = numberOf(operand);
        if (isa<nn::DivOp>(value.getDefiningOp()) && operand == value.getDefiningOp()->getOperand(1) && !reciprocals.count(operand))
          reciprocals[operand] = arith::DivFOp::create(code.b, code.loc, code.number(1), number);
      }
  }
}

void RowCode::emitStage(int64_t stage) {
  bool anything = stage < static_cast<int64_t>(reductions.size()) && !reductions[stage].empty();
  for (const Output &output : outputs)
    anything |= form(output.value) == Form::full && levelOf(output.value) == stage;
  for (auto &[value, index] : buffered)
    anything |= levelOf(value) == stage;
  for (const Product &product : products)
    anything |= levelOf(product.x) == stage;
  for (auto &[value, copies] : doubled)
    anything |= levelOf(value) == stage;
  if (!anything)
    return;
  requireNumbers(stage);
  SmallVector<Value> sums = startOf(stage);
  auto body = [&](Value column, ValueRange carried, Value mask) {
    SmallVector<Value> next(carried);
    emitColumns(stage, next, column, mask, mask);
    return next;
  };
  const int64_t lanes = code.lanes, stride = lanes * code.team;
  Value first = code.ownFirst(columns.begin, lanes);
  Value whole = columns.count ? code.integer(*columns.count / lanes * lanes)
                              : code.add(columns.begin, code.mul(arith::DivUIOp::create(code.b, code.loc, code.sub(columns.end, columns.begin), code.integer(lanes)), lanes));
  if (!columns.count || *columns.count >= lanes)
    sums = code.loop(first, whole, stride, sums, [&](Value column, ValueRange carried) { return body(column, carried, {}); });
  if (columns.count && *columns.count % lanes) {
    auto rest = [&](ValueRange carried) { return body(whole, carried, code.firstLanes(*columns.count % lanes)); };
    sums = code.team == 1 ? rest(sums) : code.when(code.isMember(*columns.count / lanes % code.team), sums, rest);
  } else if (!columns.count) {
    auto rest = [&](ValueRange before) {
      return code.loop(whole, columns.end, lanes, llvm::to_vector(before), [&](Value column, ValueRange carried) { return body(column, carried, code.firstLanes(code.sub(columns.end, column))); });
    };
    sums = code.team == 1 ? rest(sums) : code.when(code.isMember(0), sums, rest);
  }
  endStage(stage, sums);
}

ArrayRef<Value> RowCode::reducedAt(int64_t stage) const { return stage < static_cast<int64_t>(reductions.size()) ? ArrayRef<Value>(reductions[stage]) : ArrayRef<Value>(); }

SmallVector<Value> RowCode::startOf(int64_t stage) {
  SmallVector<Value> sums;
  for (Value value : reducedAt(stage))
    sums.push_back(code.splat(code.number(neutralOf(value.getDefiningOp<nn::ReduceOp>().getKind()))));
  for (const Product &product : products)
    if (levelOf(product.x) == stage)
      sums.append(emptySums(code, product.factor));
  return sums;
}

void RowCode::endStage(int64_t stage, ArrayRef<Value> sums) {
  for (auto &[value, index] : buffered)
    if (levelOf(value) == stage)
      stored.insert(value);
  if (llvm::any_of(doubled, [&](auto &copies) { return levelOf(copies.first) == stage; })) // read by others than wrote them
    code.meet();
  const ArrayRef<Value> reduced = reducedAt(stage);
  ArrayRef<Value> ofProducts = sums.drop_front(reduced.size());
  for (Product &product : products)
    if (levelOf(product.x) == stage) {
      product.sums.assign(ofProducts.begin(), ofProducts.begin() + static_cast<ptrdiff_t>(conversion::sumsOf(product.factor)));
      ofProducts = ofProducts.drop_front(product.sums.size());
    }
  for (auto [value, sum] : llvm::zip_equal(reduced, sums.take_front(reduced.size()))) {
    StringRef kind = value.getDefiningOp<nn::ReduceOp>().getKind();
    auto both = [&](Value x, Value y) { return combine(code, kind, x, y); };
    numbers[value] = code.across(code.reduce(sum, both), both);
  }
}

void RowCode::emitColumns(int64_t stage, SmallVectorImpl<Value> &sums, Value column, Value mask, Value inside) {
  llvm::DenseMap<Value, Value> made;
  for (auto &[value, index] : buffered)
    if (levelOf(value) == stage)
      code.storeVector(vectorOf(value, column, mask, made), code.at(buffers[value], column), {}, code.whole);
  for (auto &[value, copies] : doubled)
    if (levelOf(value) == stage) {
      Value vector = vectorOf(value, column, mask, made), second = code.at(copies, code.add(column, code.integer(*columns.count)));
      code.storeVector(vector, code.at(copies, column), inside); // not over the second copy's beginning
      code.storeVector(vector, second);
    }
  size_t next = 0;
  for (Value value : reducedAt(stage)) {
    StringRef kind = value.getDefiningOp<nn::ReduceOp>().getKind();
    Value part = vectorOf(value.getDefiningOp()->getOperand(0), column, mask, made);
    if (inside)
      part = arith::SelectOp::create(code.b, code.loc, inside, part, code.splat(code.number(neutralOf(kind))));
    sums[next] = combine(code, kind, sums[next], part);
    ++next;
  }
  for (const Product &product : products)
    if (levelOf(product.x) == stage) {
      const size_t count = conversion::sumsOf(product.factor);
      accumulate(code, product.factor, vectorOf(product.x, column, mask, made), column, MutableArrayRef<Value>(sums).slice(next, count));
      next += count;
    }
  for (const Output &output : outputs) {
    if (form(output.value) != Form::full || levelOf(output.value) != stage)
      continue;
    Value vector = vectorOf(output.value, column, mask, made), where = output.padded ? Value() : mask;
    if (output.adds) {
      Value place = code.at(output.pointer, column);
      code.storeVector(combine(code, "sum", code.loadVector(place, where, code.whole), vector), place, where, code.whole);
      continue;
    }
    Value place = code.at(output.pointer, output.half ? code.half() : memoryType(code, output.value), column);
    code.whenActive([&] {
      if (getElementTypeOrSelf(vector.getType()).isInteger(1))
        code.storeBools(vector, place, where, code.whole);
      else
        output.half ? code.storeHalves(vector, place, where, code.whole) : code.storeVector(vector, place, where, code.whole);
    });
  }
}

Value RowCode::loadFrom(const Memory &from, Value value, Value column, Value mask) {
  Value where = from.padded ? Value() : mask;
  Value place = code.at(from.pointer, memoryType(code, value), column);
  if (cast<nn::NNType>(value.getType()).isBool())
    return code.loadBools(place, where, from.whole);
  return isHalf(value) ? code.loadHalves(place, where, from.whole) : code.loadVector(place, where, from.whole);
}

Value RowCode::vectorOf(Value value, Value column, Value mask, llvm::DenseMap<Value, Value> &made) {
  if (Value known = made.lookup(value))
    return known;
  Value vector;
  if (auto found = memory.find(value); found != memory.end())
    vector = loadFrom(found->second, value, column, mask);
  else if (form(value) != Form::full)
    vector = code.splat(numberOf(value));
  else if (auto buffer = buffers.find(value); buffer != buffers.end() && stored.contains(value))
    vector = code.loadVector(code.at(buffer->second, column), {}, code.whole);
  else
    vector = vectorOp(value.getDefiningOp(), column, mask, made);
  return made[value] = vector;
}

Value RowCode::vectorOp(Operation *op, Value column, Value mask, llvm::DenseMap<Value, Value> &made) {
  if (isa<nn::IotaOp>(op)) // places along the columns
    return code.places(column);
  if (auto roll = dyn_cast<nn::RollOp>(op)) {
    const int64_t length = *columns.count, by = ((static_cast<int64_t>(roll.getBy()) % length) + length) % length;
    return code.loadVector(code.at(doubled.lookup(roll.getX()), code.add(column, code.integer(by))));
  }
  if (passesThrough(op))
    return vectorOf(op->getOperand(0), column, mask, made);
  if (isa<nn::DivOp>(op))
    if (Value reciprocal = reciprocals.lookup(op->getOperand(1)))
      return arith::MulFOp::create(code.b, code.loc, vectorOf(op->getOperand(0), column, mask, made), code.splat(reciprocal));
  SmallVector<Value> operands = llvm::map_to_vector(op->getOperands(), [&](Value operand) { return vectorOf(operand, column, mask, made); });
  return elementwise(code, op, operands);
}

} // namespace peftc::conversion
