// Verify: the labelled constraints of PlanOps.td. program_c4 is checked by following the steps in order, independently of how
// slots were chosen.
#include "dialects/plan/Plan.h"
#include "llvm/ADT/DenseMap.h"

using namespace mlir;
using namespace mlir::plan;

LogicalResult StepOp::verify() {
  // step_c1
  if (!isKind(getKind()))
    return emitOpError("no kind of step is called `") << getKind() << "`";
  if (!isOp(getOp()))
    return emitOpError("no op is called `") << getOp() << "`";
  // step_c2
  if (getKind() == "gemm" && getOp() != "contract")
    return emitOpError("a gemm is a contract, not `") << getOp() << "`";
  const size_t factors = hasBranch(*this) ? 4 : 2;
  if (getKind() == "gemm" && getInputs().size() != factors && getInputs().size() != factors + 1)
    return emitOpError("a gemm has ") << factors << " factors and maybe a sum, not " << getInputs().size() << " operands";
  if ((getKind() == "random") != (getOp() == "random"))
    return emitOpError("`") << getOp() << "` is not done by a step of kind `" << getKind() << "`";
  // step_c3
  if (getKind() == "update" && (getInputs().empty() || !isa<BlockArgument>(getInputs()[0]) || !getInputs()[0].hasOneUse() || getInputs()[0].getType() != getResult().getType()))
    return emitOpError("writes over something else than an input of the program that nothing else reads");
  return success();
}

LogicalResult ProductOp::verify() {
  // product_c1
  const bool isWhole = getBranch().empty() ? !getBranchEquation() : getBranch().size() == 2 && getBranchEquation() && !getOverExamples();
  return isWhole ? success() : emitOpError("a branch is two factors and their equation, of a product by examples");
}

LogicalResult AliasOp::verify() {
  // alias_c1
  PackedType from = getSource().getType(), to = getResult().getType();
  auto before = sizeOf(from), after = sizeOf(to);
  const bool isOneTable = from.getPitch() == to.getPitch() && from.getColumn() == to.getColumn() && (from.getPitch() == 0 || (from.getDims()[0] == to.getDims()[0] && from.columns() == to.columns()));
  if (!isOneTable || from.getElement() != to.getElement() || from.getExample() != to.getExample() || failed(before) || failed(after) ||
      *before != *after)
    return emitOpError("cannot see ") << from << " as " << to;
  return success();
}

LogicalResult BesideOp::verify() {
  // beside_c1
  auto host = cast<PackedType>(getHost().getType()), all = cast<PackedType>(getResult().getType());
  int64_t next = 0;
  for (Value value : getOperands()) {
    auto type = cast<PackedType>(value.getType());
    if (type.getElement() != host.getElement() || type.getExample() != host.getExample() || type.getDims().size() != 2 || type.getDims()[0] != host.getDims()[0] ||
        type.getPitch() != host.getPitch() || type.getColumn() < next)
      return emitOpError("cannot see ") << type << " in the table of " << host;
    next = type.getColumn() + type.columns();
  }
  if (host.getColumn() != 0 || host.getPitch() < next || all != PackedType::get(getContext(), host.getExample(), {host.getDims()[0], {next, 0}}, host.getElement(), host.getPitch(), 0))
    return emitOpError("is not ") << all;
  return success();
}

LogicalResult BorderOp::verify() {
  // border_c1
  const auto isMatrix = [](Value value) {
    auto type = cast<PackedType>(value.getType());
    return !type.getExample() && type.getDims().size() == 2 && type.getPitch() == 0;
  };
  auto weight = getWeight().getDefiningOp<StepOp>();
  if (!isParameter(weight) || !isMatrix(getWeight()) || !isMatrix(getResult()) || !llvm::all_of(getParts(), isMatrix))
    return emitOpError("is not of a parameter and matrices of the run");
  if (getPlaces().size() != 2 * getParts().size() || getTurned().size() != getParts().size())
    return emitOpError("does not say where each part lies");
  if (getStacked() < 0 || getStacked() > static_cast<int64_t>(getParts().size()) || llvm::any_of(getParts().take_front(getStacked()), [](Value part) {
        auto step = part.getDefiningOp<StepOp>();
        return !isParameter(step) || !step.getHow().get("frozen");
      }))
    return emitOpError("stacks what is no frozen parameter");
  auto sizes = [](Value value) { return std::pair(cast<PackedType>(value.getType()).getDims()[0].constant, cast<PackedType>(value.getType()).getDims()[1].constant); };
  if (getWeightTurned() && (!getParts().empty() || weight.getHow().get("frozen") || cast<PackedType>(getWeight().getType()).getDims()[0] != cast<PackedType>(getResult().getType()).getDims()[1]))
    return emitOpError("turns a weight that is frozen or has a border");
  auto [rows, columns] = sizes(getWeight());
  auto [allRows, allColumns] = sizes(getResult());
  for (auto [index, part] : llvm::enumerate(getParts())) {
    auto [height, width] = sizes(part);
    if (getTurned()[index])
      std::swap(height, width);
    const int64_t row = getPlaces()[2 * index], column = getPlaces()[2 * index + 1];
    if (row < 0 || column < 0 || (row < rows && column < columns) || row + height > allRows || column + width > allColumns)
      return emitOpError("part ") << index << " is not in the border";
  }
  return success();
}

LogicalResult WindowOp::verify() {
  // window_c1
  auto source = cast<PackedType>(getSource().getType()), part = cast<PackedType>(getResult().getType());
  const bool isOfTable = source.getExample() && source.getDims().size() == 2 && part == PackedType::get(getContext(), true, {source.getDims()[0], {part.columns(), 0}}, source.getElement(), source.getPitch(), part.getColumn());
  if (isOfTable && source.getPitch() != 0 && part.getColumn() >= source.getColumn() && part.getColumn() + part.columns() <= source.getColumn() + source.columns())
    return success();
  if (source.getExample() || source.getPitch() != 0 || source.getDims().size() != 2 || part.getDims().size() != 2 || part.getExample() || part.getElement() != source.getElement() ||
      getRow() < 0 || getRow() + part.getDims()[0].constant > source.getDims()[0].constant || part.getDims()[1].constant > source.getDims()[1].constant || part.getPitch() != source.getDims()[1].constant || part.getColumn() != 0)
    return emitOpError("cannot see ") << source << " as " << part;
  return success();
}

LogicalResult AttentionOp::verify() {
  // attention_c1
  const bool back = getBackward(), drops = getDropout().has_value();
  if (drops != getSite().has_value() || (drops && !(getDropout()->convertToDouble() > 0 && getDropout()->convertToDouble() < 1)))
    return emitOpError("drops with no probability, or for no site");
  if (getInputs().size() != (back ? 6u + drops : 3u) || getResults().size() != (back ? 3u : 2u + drops) || (drops && (back ? getInputs()[6] : getResults()[2]).getType() != drawnType(getContext())))
    return emitOpError("has ") << getInputs().size() << " operands and " << getResults().size() << " results";
  const auto like = [](Value value, Value other) {
    auto type = cast<PackedType>(value.getType()), as = cast<PackedType>(other.getType());
    return rowsOf(type) && type.getElement().isBF16() && type.getDims().size() == 3 && type.getDims() == as.getDims() && type.getExample() == as.getExample();
  };
  auto q3 = cast<PackedType>(q().getType()), k3 = cast<PackedType>(k().getType());
  const SmallVector<Value> ofQ = back ? SmallVector<Value>{q(), contextGradient(), context(), getResults()[0]} : SmallVector<Value>{q(), context()};
  const SmallVector<Value> ofK = back ? SmallVector<Value>{k(), v(), getResults()[1], getResults()[2]} : SmallVector<Value>{k(), v()};
  if (!llvm::all_of(ofQ, [&](Value value) { return like(value, q()); }) || !llvm::all_of(ofK, [&](Value value) { return like(value, k()); }) || q3.getDims()[2] != k3.getDims()[2] ||
      k3.getDims()[1].constant == 0 || q3.getDims()[1].constant % k3.getDims()[1].constant != 0)
    return emitOpError("is not of rows of heads in bf16");
  // attention_c2
  if (lse().getType() != PackedType::get(getContext(), true, q3.getDims().take_front(2), Float32Type::get(getContext())) ||
      (!back && !llvm::all_of(lse().getUsers(), [](Operation *user) { return isa<AttentionOp>(user); })))
    return emitOpError("has row sums that something else reads, or of another type");
  // attention_c3
  if (getSlots() && getSlots()->size() != getResults().size())
    return emitOpError("has ") << getSlots()->size() << " slots for " << getResults().size() << " results";
  return success();
}

LogicalResult ProgramOp::verify() {
  // program_c1
  if (getInputNames().size() != getBody().getNumArguments())
    return emitOpError("names ") << getInputNames().size() << " inputs of " << getBody().getNumArguments();
  // program_c2
  auto end = dyn_cast<ReturnOp>(getBody().front().back());
  if (!end)
    return emitOpError("does not end in plan.return");
  if (getResultNames().size() != end.getValues().size())
    return emitOpError("names ") << getResultNames().size() << " results of " << end.getValues().size();
  return success();
}

LogicalResult KernelOp::verify() {
  // kernel_c1
  Block &body = getBody().front();
  auto yield = dyn_cast<YieldOp>(body.back());
  if (!yield || yield.getValues().size() != getResults().size() || body.getNumArguments() != getInputs().size())
    return emitOpError("its body takes or yields another number of values");
  // kernel_c2
  if (getSlots() && getSlots()->size() != getResults().size())
    return emitOpError("has ") << getSlots()->size() << " slots for " << getResults().size() << " results";
  return success();
}

// program_c7
static LogicalResult verifyThreadsSlot(Operation &op, Value result, SizeAttr slot) {
  if (slot.getC() != 0 || slot.getE() != 0 || slot.getT() != 0 || slot.getQ() != 0 || !slot.getTs().empty() || !slot.getQs().empty())
    return op.emitOpError("its slot is of threads and of the batch");
  const int64_t band = bandOf(&op);
  auto bands = op.getParentOfType<ProgramOp>().getBands().value_or(ArrayRef<int64_t>());
  if (band < 0 || band >= static_cast<int64_t>(bands.size()))
    return op.emitOpError("has a slot of threads, and no band says how many rows a thread takes");
  auto type = cast<PackedType>(result.getType());
  auto rows = rowsOf(type);
  if (!rows)
    return op.emitOpError("has a slot of threads for a value that is no table of rows");
  if (bands[band] * rowBytesOf(type) > slot.getP())
    return op.emitOpError("a thread's ") << bands[band] << " rows of its result do not fit its slot";
  SmallVector<Value> open = {result}; // and what sees its bytes
  while (!open.empty()) {
    Value value = open.pop_back_val();
    if (rowsOf(cast<PackedType>(value.getType())) != rows)
      return op.emitOpError("a thread's rows of its result are seen as other ones");
    for (Operation *user : value.getUsers()) {
      if (bandOf(user) != band)
        return op.emitOpError("has a slot of threads and is read outside of its band");
      if (auto alias = dyn_cast<AliasOp>(user))
        open.push_back(alias);
    }
  }
  return success();
}

// program_c3
static LogicalResult verifySlot(Operation &op, Value result, ArrayAttr slots) {
  auto step = dyn_cast<StepOp>(op);
  auto place = slotOf(result);
  if (isParameter(&op) || (step && step.getKind() == "update"))
    return place ? op.emitOpError(isParameter(&op) ? "a parameter needs no slot" : "what updates an input needs no slot") : success();
  if (!place)
    return op.emitOpError("has no slot");
  if (*place >= static_cast<int64_t>(slots.size()))
    return op.emitOpError("there is no slot ") << *place;
  auto size = sizeOf(cast<PackedType>(result.getType()));
  auto slot = dyn_cast<SizeAttr>(slots[*place]);
  if (slot && slot.getP() != 0)
    return verifyThreadsSlot(op, result, slot);
  if (failed(size) || !slot || !slot.holds(*size))
    return op.emitOpError("its result does not fit slot ") << *place;
  return success();
}

/// Whether a row of either begins where the table that both lie in has that row.
static bool areOfOneTable(PackedType a, PackedType b) { return a.getPitch() != 0 && a.getPitch() == b.getPitch() && a.getElement() == b.getElement() && a.getDims()[0] == b.getDims()[0]; }

/// Whether both lie in columns of one table that the other does not have.
static bool areBeside(Value one, Value other) {
  auto a = cast<PackedType>(one.getType()), b = cast<PackedType>(other.getType());
  return areOfOneTable(a, b) && (a.getColumn() + a.columns() <= b.getColumn() || b.getColumn() + b.columns() <= a.getColumn());
}

// program_c5
static LogicalResult verifyOverwriting(Operation &op) {
  for (Value result : op.getResults())
    for (auto [index, operand] : llvm::enumerate(op.getOperands())) {
      auto made = slotOf(rootOf(operand));
      auto step = dyn_cast<StepOp>(op);
      if (made && made == slotOf(result) && !areBeside(rootOf(operand), result) && !(step && mayOverwrite(step, index)))
        return op.emitOpError("writes over its operand in slot ") << *made;
    }
  return success();
}

// program_c6
static LogicalResult verifyBands(Block &block, ArrayAttr slots) {
  auto isThreads = [&](int64_t slot) {
    auto size = slot < static_cast<int64_t>(slots.size()) ? dyn_cast<SizeAttr>(slots[slot]) : SizeAttr();
    return size && size.getP() != 0; // in which a thread's steps follow each other
  };
  int64_t band = -1;
  llvm::DenseMap<int64_t, PackedType> types; // of what the band has in a slot
  for (Operation &op : block) {
    if (bandOf(&op) != band || band < 0) {
      band = bandOf(&op);
      types.clear();
    }
    if (band < 0)
      continue;
    for (ValueRange values : {ValueRange(op.getOperands()), ValueRange(op.getResults())})
      for (Value value : values) {
        Value root = rootOf(value);
        auto slot = slotOf(root);
        auto type = cast<PackedType>(root.getType());
        if (!slot || isThreads(*slot))
          continue;
        const PackedType first = types.try_emplace(*slot, type).first->second;
        if (first != type && !areOfOneTable(first, type))
          return op.emitOpError("shares slot ") << *slot << " with other rows of its band";
      }
  }
  return success();
}

LogicalResult ProgramOp::verifyRegions() {
  if (!getSlots())
    return success();
  if (failed(verifyBands(getBody().front(), *getSlots())))
    return failure();
  llvm::DenseMap<int64_t, SmallVector<Value>> owners; // what lies in a slot now: more than one where they lie beside each other
  for (Operation &op : getBody().front()) {
    if (getStreamed() && isa<ReturnOp>(op))
      break;
    for (Value operand : op.getOperands()) { // program_c4
      Value root = rootOf(operand);
      if (auto slot = slotOf(root); slot && !llvm::is_contained(owners.lookup(*slot), root))
        return op.emitOpError("reads a value whose slot was written since");
    }
    if (!isa<StepOp>(op) && !hasSlots(&op))
      continue;
    for (Value result : op.getResults())
      if (failed(verifySlot(op, result, *getSlots())))
        return failure();
    if (failed(verifyOverwriting(op)))
      return failure();
    for (Value result : op.getResults())
      if (auto slot = slotOf(result)) {
        SmallVector<Value> &owner = owners[*slot];
        if (llvm::any_of(owner, [&](Value other) { return other.getDefiningOp() == &op && !areBeside(other, result); }))
          return op.emitOpError("has two results in slot ") << *slot;
        if (!llvm::all_of(owner, [&](Value other) { return areBeside(other, result); }))
          owner.clear();
        owner.push_back(result);
      }
  }
  return success();
}

#define GET_OP_CLASSES
#include "dialects/plan/PlanOps.cpp.inc"
