// NarrowBands (plan-narrow-bands): what of a CPU's bands a device does some rows at a time.
//
// In     plan.programs of a device, whose steps have the bands of a CPU's; `plan.device`, and how many rows the program asks for (`plan.chunk_rows`)
// Out    bands of the steps between where wide rows are made and where they are read last (logits of a large vocabulary, what becomes of them, and their gradient),
//        where that leaves at least half of their memory free or the program asks for it; no others
// Errs   internal only: nothing says what the device is
// Why here  last before buffers: what stands between a band's steps now (a table, a rounded weight) ends it
//
// A device does a step on all rows faster than on some, so a band is for memory alone: few rows of the wide values lie somewhere (BandRows.h), and steps take them
// through the band one after another.
#include "compiler/passes/plan/BandRows.h"
#include "compiler/passes/plan/Passes.h"
#include "dialects/plan/Plan.h"

using namespace mlir;
using namespace mlir::plan;

namespace {
/// Of all rows of a value, if they are to be worth it.
constexpr int64_t kWideBytes = int64_t{256} << 20;

PackedType typeOf(Value value) { return cast<PackedType>(value.getType()); }
void setBand(Operation *op, int64_t band) { op->setAttr(kBand, IntegerAttr::get(IntegerType::get(op->getContext(), 64), band)); }

/// Whether the device's library does it on any rows, into memory that is there (runtime/plan/Stretches.h: isPlain).
bool isPlain(StepOp step) {
  const Type factors = typeOf(step.getInputs()[0]).getElement(), type = typeOf(step.getResult()).getElement();
  const bool isWidened = type.isF32() && factors.isBF16() && step.getInputs().size() == 2;
  return (isWidened || factors == type) && llvm::all_of(step.getInputs(), [&](Value input) { return typeOf(input).getElement() == factors; });
}

class Narrowing {
public:
  Narrowing(ProgramOp program, int64_t tokens, bool isAsked) : program(program), tokens(tokens), isAsked(isAsked) {}

  void run() {
    cutWhereOthersStand();
    const SmallVector<std::pair<size_t, size_t>> spans = wideSpans();
    for (Operation *op : ops)
      op->removeAttr(kBand);
    int64_t number = 0;
    for (auto [begin, end] : spans)
      number += keep(begin, end, number);
  }

private:
  /// Bands whose steps follow each other, by numbers of their own.
  void cutWhereOthersStand() {
    int64_t last = -1, number = -1;
    for (Operation &op : program.getBody().front().without_terminator()) {
      const int64_t band = bandOf(&op);
      number += band >= 0 && band != last;
      last = band;
      if (band >= 0)
        setBand(&op, number);
      places[&op] = ops.size();
      ops.push_back(&op);
    }
  }

  /// Of a batch, about.
  int64_t rowsIn(Value value) const { return rowsOf(typeOf(value))->scale * tokens; }

  /// From the step that makes a wide value to the last that reads it; what overlaps is one.
  SmallVector<std::pair<size_t, size_t>> wideSpans() const {
    const BandRows bands(program);
    SmallVector<Value> own;
    int64_t widest = 0;
    for (Operation *op : ops)
      for (Value made : op->getResults())
        if (bands.isThreads(made)) {
          own.push_back(made);
          widest = std::max(widest, rowBytesOf(typeOf(made)));
        }
    SmallVector<std::pair<size_t, size_t>> spans;
    for (Value value : own) {
      const int64_t bytes = rowBytesOf(typeOf(value));
      if (bytes * 2 < widest || (!isAsked && bytes * rowsIn(value) < kWideBytes))
        continue;
      const size_t begin = places.lookup(value.getDefiningOp()), end = lastReaderOf(value) + 1;
      if (!spans.empty() && begin < spans.back().second)
        spans.back().second = std::max(spans.back().second, end);
      else
        spans.push_back({begin, end});
    }
    return spans;
  }

  size_t lastReaderOf(Value value) const {
    size_t last = places.lookup(value.getDefiningOp());
    for (Operation *user : value.getUsers())
      last = std::max(last, isa<AliasOp>(user) ? lastReaderOf(user->getResult(0)) : places.lookup(user));
    return last;
  }

  bool keep(size_t begin, size_t end, int64_t number) {
    const ArrayRef<Operation *> span = ArrayRef(ops).slice(begin, end - begin);
    if (llvm::any_of(span, [](Operation *op) { auto step = dyn_cast<StepOp>(op); return step && !isPlain(step); }))
      return false;
    for (Operation *op : span)
      setBand(op, number);
    const int64_t rows = BandRows(program).ofBands()[number];
    if (isAsked || rowsIn(span.front()->getResult(0)) >= 2 * rows)
      return true;
    for (Operation *op : span)
      op->removeAttr(kBand);
    return false;
  }

  ProgramOp program;
  const int64_t tokens; ///< of a batch
  const bool isAsked;
  SmallVector<Operation *> ops;
  llvm::DenseMap<Operation *, size_t> places;
};
} // namespace

LogicalResult mlir::plan::narrowBands(ModuleOp module) {
  auto device = module->getAttrOfType<DictionaryAttr>(kDevice);
  if (!device)
    return module.emitError("nothing says what the device can do (`") << kDevice << "`)";
  const int64_t tokens = cast<IntegerAttr>(device.get("tokens")).getInt();
  for (ProgramOp program : module.getOps<ProgramOp>())
    Narrowing(program, tokens, module->hasAttr(kChunkRows)).run();
  return success();
}
