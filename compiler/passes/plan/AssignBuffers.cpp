// AssignBuffers (plan-assign-buffers): where each step's result lies.
//
// In     plan.program without slots
// Out    the same with slots, and rows for each band; no value is overwritten while it is still read (the program's verifier follows the steps)
// Errs   internal only: a value that grows faster than the product of two lengths
// Why here  last: whatever removes or fuses steps frees slots
//
// Greedy, in order: a step takes over the slot of an operand that dies there if it may write over it (mayOverwrite); else
// the free slot that fits best, growing it if its size is comparable; else a new one. "Best" is judged at a nominal batch. What a band no longer
// needs is free behind it, and so is what a streamed program has given; but what only a band makes and reads has a slot of threads, of which each does its steps in order (BandRows.h).
#include "compiler/passes/plan/BandRows.h"
#include "compiler/passes/plan/Passes.h"
#include "dialects/plan/Plan.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/SmallPtrSet.h"

using namespace mlir;
using namespace mlir::plan;

namespace {
constexpr int64_t kNominalExamples = 32, kNominalLength = 64;
/// What is kept for more steps than that takes no slot of more than so many times its size.
constexpr int64_t kLongLife = 64, kMostWaste = 2;

int64_t nominal(SizeAttr size) { return size.at(kNominalExamples, kNominalLength) + size.getP(); }

class Assigner {
public:
  explicit Assigner(ProgramOp program) : program(program), rows(program) {}
  LogicalResult run() {
    Block &block = program.getBody().front();
    // Of a streamed program the return keeps nothing: each result is taken where it is made.
    const auto ops = llvm::make_range(block.begin(), program.getStreamed() ? std::prev(block.end()) : block.end());
    for (auto [at, op] : llvm::enumerate(ops))
      for (Value operand : op.getOperands())
        lastUse[rootOf(operand)] = at;
    findTables();
    for (auto [at, op] : llvm::enumerate(ops)) {
      now = at;
      if (bandOf(&op) != band || band < 0) {
        band = bandOf(&op);
        free.append(afterBand);
        afterBand.clear();
      }
      if (auto step = dyn_cast<StepOp>(op); step && !isParameter(step) && step.getKind() != "update" && failed(place(step, at)))
        return failure();
      if (hasSlots(&op) && failed(place(&op)))
        return failure();
      release(op, at);
      for (Value result : op.getResults())
        if (auto slot = slotOf(result); slot && !lastUse.count(result) && !hostOf.count(result))
          giveBack(*slot); // nobody reads it
    }
    if (!rows.ofBands().empty())
      program.setBands(rows.ofBands());
    program.setSlotsAttr(ArrayAttr::get(program.getContext(), SmallVector<Attribute>(slots.begin(), slots.end())));
    return success();
  }

private:
  /// What lies beside another value has its slot, which both keep for as long as either is read.
  void findTables() {
    for (auto beside : program.getBody().front().getOps<BesideOp>())
      for (Value inside : beside.getGuests()) {
        Value guest = rootOf(inside), host = rootOf(beside.getHost());
        hostOf[guest] = host;
        lastUse[host] = std::max(lastUse[host], lastUse[guest]);
      }
  }
  /// Who keeps the slot that the value lies in.
  Value keeperOf(Value value) const {
    Value root = rootOf(value), host = hostOf.lookup(root);
    return host ? host : root;
  }

  /// A slot that is free or new, or the one of the value beside which it lies.
  FailureOr<int64_t> slotFor(Value result) {
    if (Value host = hostOf.lookup(result))
      return *slotOf(host);
    auto size = rows.isThreads(result) ? rows.sizeOf(result) : sizeOf(cast<PackedType>(result.getType()));
    if (failed(size))
      return result.getDefiningOp()->emitError("a value of type ") << result.getType() << " has no size that a plan can say", failure();
    int64_t slot = bestFree(*size, isLong(result));
    if (slot < 0) {
      slot = slots.size();
      slots.push_back(*size);
    }
    return slot;
  }

  LogicalResult place(StepOp step, size_t at) {
    FailureOr<int64_t> slot = hostOf.count(step.getResult()) ? -1 : overwritten(step, at);
    if (*slot < 0)
      slot = slotFor(step.getResult());
    if (failed(slot))
      return failure();
    step.setSlot(*slot);
    return success();
  }

  LogicalResult place(Operation *op) {
    SmallVector<int64_t> places;
    for (Value result : op->getResults()) {
      Value host = hostOf.lookup(result);
      const bool isOwn = host && host.getDefiningOp() == op; // beside an earlier result
      FailureOr<int64_t> slot = isOwn ? FailureOr<int64_t>(places[cast<OpResult>(host).getResultNumber()]) : slotFor(result);
      if (failed(slot))
        return failure();
      places.push_back(*slot);
    }
    op->setAttr(kSlots, DenseI64ArrayAttr::get(op->getContext(), places));
    return success();
  }

  /// The slot of an operand that this step may write over, or -1.
  int64_t overwritten(StepOp step, size_t at) {
    for (auto [index, operand] : llvm::enumerate(step.getInputs())) {
      Value root = rootOf(operand);
      auto slot = slotOf(root);
      if (!slot || hostOf.count(root) || lastUse.at(root) != at || !mayOverwrite(step, index) || rows.isThreads(root) != rows.isThreads(step.getResult()))
        continue;
      taken.insert(root.getAsOpaquePointer());
      return *slot;
    }
    return -1;
  }

  /// Whether so many steps follow until the value is read last that they might have used what it wastes of a larger slot.
  bool isLong(Value result) const {
    auto last = lastUse.find(result);
    return last != lastUse.end() && last->second > now + kLongLife;
  }

  int64_t bestFree(SizeAttr size, bool isLong) {
    auto best = free.end();
    int64_t bestCost = 0;
    for (auto it = free.begin(); it != free.end(); ++it) {
      SizeAttr slot = slots[*it];
      if (!slot.holds(size) && !size.holds(slot))
        continue;
      if (isLong && nominal(slot) > kMostWaste * nominal(size))
        continue;
      int64_t cost = std::abs(nominal(slot) - nominal(size));
      if (best == free.end() || cost < bestCost) {
        best = it;
        bestCost = cost;
      }
    }
    if (best == free.end())
      return -1;
    int64_t slot = *best;
    free.erase(best);
    if (size.holds(slots[slot]))
      slots[slot] = size;
    return slot;
  }

  void release(Operation &op, size_t at) {
    llvm::SmallPtrSet<void *, 4> seen;
    for (Value operand : op.getOperands()) {
      Value root = keeperOf(operand);
      auto slot = slotOf(root);
      if (!slot || lastUse.at(root) != at || !seen.insert(root.getAsOpaquePointer()).second)
        continue;
      if (!taken.contains(root.getAsOpaquePointer()))
        giveBack(*slot);
    }
  }

  /// Within a band other threads may still read other rows, but not this thread's.
  void giveBack(int64_t slot) { (band >= 0 && slots[slot].getP() == 0 ? afterBand : free).push_back(slot); }

  ProgramOp program;
  BandRows rows;
  llvm::DenseMap<Value, size_t> lastUse; ///< of a root, through all its aliases
  llvm::DenseMap<Value, Value> hostOf;   ///< of what lies beside another value
  SmallVector<SizeAttr> slots;
  SmallVector<int64_t> free, afterBand;
  int64_t band = -1; ///< of the op that is placed
  size_t now = 0;    ///< its place
  llvm::SmallPtrSet<void *, 16> taken; ///< roots whose slot went to the step that read them last
};
} // namespace

LogicalResult mlir::plan::assignBuffers(ModuleOp module) {
  for (ProgramOp program : module.getOps<ProgramOp>())
    if (failed(Assigner(program).run()))
      return failure();
  return success();
}
