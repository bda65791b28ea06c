// BandRows: see the header.
#include "compiler/passes/plan/BandRows.h"
#include "compiler/passes/plan/Passes.h"
#include "compiler/passes/plan/Space.h"
#include <numeric>

using namespace mlir;
using namespace mlir::plan;

namespace {
/// Rows of a few layers' widths that lie in the second-level cache; fewer would read the weights too often.
constexpr int64_t kMostRows = 96;
/// Products do that many at a time.
constexpr int64_t kRowBlock = 6;
static_assert(kMostRows % kRowBlock == 0 && kMostRows % kStretch == 0 && kStretch % kRowBlock == 0);
/// Of a thread: wide rows (logits of a large vocabulary) are taken fewer at a time.
constexpr int64_t kMostBytes = 48 << 20;
/// Of a device: products of fewer rows than that gives, where rows are wide, would leave some of it idle.
constexpr int64_t kDeviceBytes = 512 << 20;
constexpr int64_t kDeviceBlock = 128; ///< rows of a product's tile
/// Slots begin on cache lines, and so does each thread's part.
constexpr int64_t kAlignment = 64;

PackedType typeOf(Value value) { return cast<PackedType>(value.getType()); }

bool sumsRows(Operation &op) {
  auto kernel = dyn_cast<KernelOp>(op);
  return kernel && llvm::any_of(kernel.getBody().front().getTerminator()->getOperands(), [](Value made) { return rowSum(made); });
}
} // namespace

BandRows::BandRows(ProgramOp program) {
  auto module = program->getParentOfType<ModuleOp>();
  isDevices = module->hasAttr(kDevice);
  if (auto said = module->getAttrOfType<IntegerAttr>(kChunkRows); isDevices && said)
    asked = said.getInt();
  Block &block = program.getBody().front();
  llvm::DenseMap<Value, SmallVector<Value>> aliases; // of a root
  for (auto alias : block.getOps<AliasOp>())
    aliases[rootOf(alias)].push_back(alias);
  for (Operation &op : block)
    if (int64_t band = bandOf(&op); band >= 0 && !isa<AliasOp>(op))
      for (Value result : op.getResults())
        if (isInBand(result, band, aliases))
          threads.insert(result);
  measure(block);
}

bool BandRows::isInBand(Value root, int64_t band, const llvm::DenseMap<Value, SmallVector<Value>> &aliases) const {
  auto isSeenInside = [&](Value value) {
    return rowsOf(typeOf(value)) == rowsOf(typeOf(root)) && llvm::all_of(value.getUsers(), [&](Operation *user) { return bandOf(user) == band; });
  };
  auto found = aliases.find(root);
  return rowsOf(typeOf(root)) && isSeenInside(root) && (found == aliases.end() || llvm::all_of(found->second, isSeenInside));
}

/// Rows by the bytes of a row that are needed at once.
void BandRows::measure(Block &block) {
  llvm::DenseMap<Value, Operation *> lastReader;
  for (Operation &op : block)
    for (Value operand : op.getOperands())
      lastReader[rootOf(operand)] = &op;
  SmallVector<int64_t> most, now, multiples; // of which each thread takes one
  for (Operation &op : block) {
    const int64_t band = bandOf(&op);
    if (band < 0)
      continue;
    most.resize(std::max<size_t>(most.size(), band + 1), 0);
    now.resize(most.size(), 0);
    multiples.resize(most.size(), kRowBlock);
    if (sumsRows(op))
      multiples[band] = kStretch;
    for (Value result : op.getResults())
      if (isThreads(result))
        now[band] += rowBytesOf(typeOf(result));
    most[band] = std::max(most[band], now[band]);
    llvm::DenseSet<Value> done;
    for (ValueRange values : {ValueRange(op.getOperands()), ValueRange(op.getResults())})
      for (Value value : values)
        if (Value root = rootOf(value); isThreads(root) && (!lastReader.count(root) || lastReader.lookup(root) == &op) && done.insert(root).second)
          now[band] -= rowBytesOf(typeOf(root));
  }
  for (auto [bytes, multiple] : llvm::zip_equal(most, multiples))
    rows.push_back(rowsFor(bytes, multiple));
}

int64_t BandRows::rowsFor(int64_t bytes, int64_t multiple) const {
  const auto fitting = [&](int64_t most, int64_t multiple) { return std::max(multiple, most / std::max<int64_t>(1, bytes) / multiple * multiple); };
  if (!isDevices)
    return std::min(fitting(kMostBytes, multiple), kMostRows);
  return asked ? llvm::alignTo(asked, multiple) : fitting(kDeviceBytes, std::lcm(multiple, kDeviceBlock));
}

FailureOr<SizeAttr> BandRows::sizeOf(Value root) const {
  const int64_t bytes = rows[bandOf(root.getDefiningOp())] * rowBytesOf(typeOf(root));
  return SizeAttr::get(root.getContext(), 0, 0, 0, 0, llvm::alignTo(bytes, kAlignment));
}
