// DeriveDecode (nn-derive-decode): how a text is written on, one token at a time, without computing what came before anew.
//
// In     @next, @next_base: what follows each token of a text, [seq, …] (absent where the task says no `next`)
// Out    @prefill: what follows the text's last token, [1, …], and as `cache.0` … what later tokens need of it;
//        @decode: the same for a text of which all but the last token were seen: takes the caches with room for the last entry and gives them with it;
//        what comes of the example's other sequences alone (an encoder's states, say) is a cache that stays as it is;
//        both give as `stage.0` … what is so of a text because of its length alone: where that changes, what was kept is of another text (positions that
//        are turned otherwise in long texts, say), and the runtime begins anew;
//        both once more as …_base. @next and @next_base are gone. Where there is no such form they stay, give what follows the last token, and the module's
//        `nn.uncached` says why
// Errs   none
// Why here  before structure is exposed, because a product with one row is restructured as one with many
//
// Every value is asked for in a form: whole, or with only the newest entry along marked axes (Growth.h). In @decode a value that is asked for whole and is
// made of tokens is a cache: what was kept of it, and its newest entry. That an old entry does not change when a token follows is not checked here: the
// law `decode` and the first text of a run do.
#include "compiler/passes/nn/Passes.h"
#include "dialects/nn/Nn.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/Support/ProgramStack.h"
#include <map>

using namespace mlir;
using namespace mlir::nn;

namespace {
constexpr unsigned kStack = 256 << 20; ///< bytes that may be touched: asking goes as deep as the network

using Marks = SmallVector<bool>;

NNType typeOf(Value value) { return cast<NNType>(value.getType()); }
bool anyMarked(ArrayRef<bool> marked) { return llvm::is_contained(marked, true); }

/// Whether a length is of the text that is written on, which is this one of the example's sequences.
bool isGrowing(Dim dim, int64_t sequence) { return !dim.isStatic() && dim.sequence == sequence; }

/// The one axis along which a value grows with the text, a token an entry.
std::optional<int64_t> growingAxis(NNType type, int64_t sequence) {
  std::optional<int64_t> axis;
  for (auto [place, dim] : llvm::enumerate(type.getDims()))
    if (isGrowing(dim, sequence)) {
      if (axis || dim.scale != 1)
        return std::nullopt;
      axis = place;
    }
  return axis;
}

/// One operand's elements, all of them: nothing is gained by keeping the result instead.
bool onlyMoves(Operation *op) {
  if (!op->hasTrait<MovesElements>() || op->getNumOperands() != 1)
    return false;
  auto entries = [](Value value) {
    int64_t count = 1;
    for (Dim dim : typeOf(value).getDims())
      count *= dim.isStatic() ? dim.constant : 1;
    return count;
  };
  return entries(op->getOperand(0)) <= entries(op->getResult(0));
}

/// What a function on whole texts becomes: @prefill or @decode.
class Derived {
public:
  Derived(func::FuncOp whole, StringRef name, bool decode, int64_t sequence) : whole(whole), builder(whole.getContext()), decode(decode), sequence(sequence) {
    builder.setInsertionPoint(whole);
    func = func::FuncOp::create(builder, whole.getLoc(), name, builder.getFunctionType(whole.getArgumentTypes(), {}));
    func->setAttr("nn.mode", builder.getStringAttr("infer"));
    Block *body = func.addEntryBlock();
    for (auto [own, argument] : llvm::zip_equal(body->getArguments(), whole.getArguments())) {
      made[{argument, {}}] = own;
      if (Attribute row = whole.getArgAttr(argument.getArgNumber(), "nn.name"))
        func.setArgAttr(argument.getArgNumber(), "nn.name", row);
    }
    builder.setInsertionPointToStart(body);
  }

  /// Values of the original that are kept: of @decode in the order in which it asks for them.
  SmallVector<Value> caches;
  std::string reason;

  LogicalResult run() {
    SmallVector<std::pair<std::string, Value>> results;
    makeWhole();
    for (auto [index, cache] : llvm::enumerate(caches)) // of @prefill
      if (!add(results, kKept.str() + std::to_string(index), ask(cache, {})))
        return failure();
    Value next = whole.getBody().front().getTerminator()->getOperand(0);
    Marks last(typeOf(next).rank());
    last[0] = true;
    if (!add(results, "next", ask(next, last)))
      return failure();
    if (decode)
      for (auto [index, cache] : llvm::enumerate(caches))
        if (!isAside(cache))
          add(results, kKept.str() + std::to_string(index), made.at({cache, {}}));
    addStages(results);
    SmallVector<Value> values = llvm::map_to_vector(results, [](auto &result) { return result.second; });
    func::ReturnOp::create(builder, func.getLoc(), values);
    func.setFunctionType(builder.getFunctionType(func.getBody().front().getArgumentTypes(), TypeRange(ValueRange(values))));
    for (auto [index, result] : llvm::enumerate(results))
      func.setResultAttr(index, "nn.name", builder.getStringAttr(result.first));
    return success();
  }
  void erase() { func.erase(); }

private:
  using Form = std::pair<Value, Marks>; ///< marks without any: the whole value
  struct Before {
    bool operator()(const Form &a, const Form &b) const {
      return std::make_pair(a.first.getAsOpaquePointer(), ArrayRef(a.second)) < std::make_pair(b.first.getAsOpaquePointer(), ArrayRef(b.second));
    }
  };

  static bool add(SmallVectorImpl<std::pair<std::string, Value>> &results, const std::string &name, Value value) {
    if (value)
      results.push_back({name, value});
    return static_cast<bool>(value);
  }

  /// Conditions on how long the text is, as numbers: 0 or 1.
  void addStages(SmallVectorImpl<std::pair<std::string, Value>> &results) {
    int64_t stages = 0;
    for (Operation &op : whole.getBody().front().without_terminator()) {
      Value value = op.getResult(0);
      if (!typeOf(value).isBool() || typeOf(value).rank() != 0 || !typeOf(value).getExample() || !isCounted(value))
        continue;
      Value number = CastOp::create(builder, value.getLoc(), ask(value, {}), TypeAttr::get(builder.getF32Type()));
      add(results, "stage." + std::to_string(stages++), number);
    }
  }

  /// What is kept, and what that is made of: in order, since it is as deep as the network.
  void makeWhole() {
    llvm::DenseSet<Value> needed(caches.begin(), caches.end());
    for (Operation &op : llvm::reverse(whole.getBody().front()))
      if (llvm::any_of(op.getResults(), [&](Value result) { return needed.contains(result); }))
        needed.insert(op.operand_begin(), op.operand_end());
    for (Operation &op : whole.getBody().front().without_terminator())
      if (needed.contains(op.getResult(0)))
        ask(op.getResult(0), {});
  }

  Value ask(Value value, ArrayRef<bool> marked) {
    Marks marks(marked);
    for (auto [mark, dim] : llvm::zip_first(marks, typeOf(value).getDims()))
      mark = mark && isGrowing(dim, sequence);
    if (!anyMarked(marks))
      marks.clear();
    if (auto found = made.find({value, marks}); found != made.end())
      return found->second;
    Value form = marks.empty() ? wholeOf(value) : newestOf(value, marks);
    if (form)
      made[{value, marks}] = form;
    return form;
  }

  Value newestOf(Value value, ArrayRef<bool> marks) {
    Operation *op = value.getDefiningOp();
    auto found = made.find({value, {}});
    if (!op || (!decode && found != made.end())) // it is there
      return sliced(ask(value, {}), marks);
    if (auto growing = dyn_cast<Growing>(op)) {
      GrowthContext context = contextOf();
      Value newest = growing.newest(context, marks);
      if (!newest && reason.empty())
        blame(op, context.reason);
      return newest;
    }
    return blame(op, "a longer text may change all of it");
  }

  Value sliced(Value value, ArrayRef<bool> marks) {
    for (auto [axis, mark] : llvm::enumerate(marks))
      if (mark)
        value = lastEntry(builder, value, axis);
    return value;
  }

  Value wholeOf(Value value) {
    Operation *op = value.getDefiningOp(); // arguments are there from the beginning
    NNType type = typeOf(value);
    if (!decode || !type.getExample() || !type.isFloat() || isCounted(value) || onlyMoves(op))
      return recomputed(op);
    if (isAside(value))
      return kept(value);
    if (llvm::none_of(type.getDims(), [&](Dim dim) { return isGrowing(dim, sequence); }))
      return recomputed(op);
    if (growingAxis(type, sequence) != 0)
      return blame(op, "it is needed whole, and a longer text adds no row behind the others");
    Marks marks(type.rank());
    marks[0] = true;
    Value newest = ask(value, marks);
    if (!newest && op->hasTrait<MovesElements>()) { // joined behind the text, say: joined again
      reason.clear();
      return recomputed(op);
    }
    if (!newest)
      return nullptr;
    Value before = kept(value);
    return before ? PutLastOp::create(builder, value.getLoc(), before, newest, builder.getI64IntegerAttr(0)).getResult() : nullptr;
  }

  /// An argument of @decode: what @prefill, or the token before, left of the value.
  Value kept(Value value) {
    NamedAttribute name = builder.getNamedAttr("nn.name", builder.getStringAttr(kKept.str() + std::to_string(caches.size())));
    if (failed(func.insertArgument(func.getNumArguments(), value.getType(), builder.getDictionaryAttr(name), value.getLoc())))
      return nullptr;
    caches.push_back(value);
    return func.getArguments().back();
  }

  Value recomputed(Operation *op) {
    if (auto dim = dyn_cast<DimOp>(op)) {
      GrowthContext context = contextOf();
      return dim.newest(context, {});
    }
    SmallVector<Value> operands;
    for (Value operand : op->getOperands()) {
      Value like = isa<IotaOp>(op) ? rowLike(operand, cast<IotaOp>(op).getAxis()) : Value();
      operands.push_back(like ? like : ask(operand, {}));
      if (!operands.back())
        return nullptr;
    }
    return cloneOn(builder, op, operands);
  }

  /// An argument whose length is that of the axis: nothing but it is asked for.
  Value rowLike(Value like, int64_t axis) {
    NNType type = typeOf(like);
    for (BlockArgument argument : func.getArguments().take_front(whole.getNumArguments()))
      if (axis == 0 && typeOf(argument).rank() == 1 && typeOf(argument).getDims()[0] == type.getDims()[0])
        return argument;
    return {};
  }

  /// Whether a value depends on how long the text is, and on nothing that is in it.
  bool isCounted(Value value) {
    auto [known, isNew] = counted.try_emplace(value, false);
    if (!isNew)
      return known->second;
    Operation *op = value.getDefiningOp();
    const bool is = op && (!typeOf(value).getExample() || isa<IotaOp, DimOp>(op) || (op->getNumOperands() != 0 && llvm::all_of(op->getOperands(), [&](Value operand) { return isCounted(operand); })));
    return counted[value] = is;
  }

  /// Whether a value differs between examples, and is the same whatever is written.
  bool isAside(Value value) {
    auto [known, isNew] = aside.try_emplace(value, false);
    if (!isNew)
      return known->second;
    Operation *op = value.getDefiningOp();
    const bool is = op ? llvm::all_of(op->getOperands(), [&](Value operand) { return !typeOf(operand).getExample() || isAside(operand); })
                       : llvm::none_of(typeOf(value).getDims(), [&](Dim dim) { return isGrowing(dim, sequence); });
    return aside[value] = is && typeOf(value).getExample();
  }

  /// An i64 scalar: how long an axis of the whole text is.
  Value lengthOf(Dim dim) {
    Value &length = lengths[{dim.constant, dim.scale, dim.sequence}];
    if (length)
      return length;
    Location loc = func.getLoc();
    auto integer = NNType::get(builder.getContext(), false, {}, builder.getI64Type());
    auto row = llvm::find_if(func.getArguments(), [&](BlockArgument argument) { return typeOf(argument).getDims() == ArrayRef<Dim>{Dim::seq(dim.sequence)}; });
    if (row == func.getArguments().end() || dim.scale > 1)
      return nullptr;
    length = ConstantOp::create(builder, loc, integer, builder.getI64IntegerAttr(dim.constant));
    if (dim.scale == 1) {
      Value own = DimOp::create(builder, loc, *row, builder.getI64IntegerAttr(0));
      length = dim.constant == 0 ? own : AddOp::create(builder, loc, own, length).getResult();
    }
    return length;
  }

  Value lastPlace(Dim dim) {
    Value &place = places[{dim.constant, dim.scale, dim.sequence}];
    Value length = place ? Value() : lengthOf(dim);
    if (!length)
      return place;
    auto integer = NNType::get(builder.getContext(), false, {}, builder.getI64Type());
    Value one = ConstantOp::create(builder, func.getLoc(), integer, builder.getI64IntegerAttr(1));
    place = ExpandDimsOp::create(builder, func.getLoc(), SubOp::create(builder, func.getLoc(), length, one), builder.getI64IntegerAttr(0));
    return place;
  }

  GrowthContext contextOf() { return {builder, askOf, lengthIn, placeIn, ""}; }

  std::nullptr_t blame(Operation *op, const Twine &why) {
    reason = (why + " (" + op->getName().getStringRef() + " at " + toString(op->getLoc()) + ")").str();
    return nullptr;
  }

  func::FuncOp whole, func;
  OpBuilder builder;
  bool decode;
  int64_t sequence; ///< that is written on
  std::map<Form, Value, Before> made;
  llvm::DenseMap<Value, bool> counted, aside;
  std::map<std::tuple<int64_t, int64_t, int64_t>, Value> lengths, places;
  std::function<Value(Value, ArrayRef<bool>)> askOf = [this](Value value, ArrayRef<bool> marked) { return ask(value, marked); };
  std::function<Value(Dim)> lengthIn = [this](Dim dim) { return lengthOf(dim); };
  std::function<Value(Dim)> placeIn = [this](Dim dim) { return lastPlace(dim); };
};

/// Null, or why there is no such form.
std::string derive(func::FuncOp whole, StringRef suffix) {
  NNType next = typeOf(whole.getBody().front().getTerminator()->getOperand(0));
  const int64_t sequence = next.rank() > 0 ? next.getDims()[0].sequence : 0;
  if (!next.getExample() || growingAxis(next, sequence) != 0)
    return "`next` is " + toString(next) + ", not an entry a token";
  Derived decode(whole, ("decode" + suffix).str(), true, sequence);
  const bool done = succeeded(decode.run());
  if (!done) {
    decode.erase();
    return decode.reason;
  }
  Derived prefill(whole, ("prefill" + suffix).str(), false, sequence);
  prefill.caches = decode.caches;
  if (succeeded(prefill.run()))
    return "";
  decode.erase();
  prefill.erase();
  return prefill.reason;
}
/// What follows the last token is all that is asked of it.
void keepLast(func::FuncOp whole) {
  Operation *end = whole.getBody().front().getTerminator();
  NNType next = typeOf(end->getOperand(0));
  if (!next.getExample() || next.rank() == 0 || growingAxis(next, next.getDims()[0].sequence) != 0)
    return;
  OpBuilder builder(end);
  Value last = lastEntry(builder, end->getOperand(0), 0);
  end->setOperand(0, last);
  whole.setFunctionType(builder.getFunctionType(whole.getArgumentTypes(), last.getType()));
}
} // namespace

LogicalResult mlir::nn::deriveDecode(ModuleOp module) {
  for (StringRef suffix : {"", "_base"})
    if (auto whole = module.lookupSymbol<func::FuncOp>(("next" + suffix).str())) {
      std::string reason;
      llvm::runOnNewStack(kStack, [&] { reason = derive(whole, suffix); });
      if (reason.empty())
        whole.erase();
      else {
        keepLast(whole);
        module->setAttr("nn.uncached", StringAttr::get(module.getContext(), reason));
      }
    }
  return success();
}
