// Kernels: see the header.
#include "compiler/conversion/Kernels.h"
#include "compiler/conversion/Entry.h"
#include "compiler/conversion/Kernel.h"
#include "compiler/conversion/RowSums.h"
#include "runtime/bundle/Format.h"
#include "llvm/ADT/StringSet.h"

using namespace mlir;

namespace peftc::conversion {
namespace {

constexpr unsigned kWidestLanes = 64; ///< no target takes more at a time; scratch is planned for it
constexpr int64_t kOfMember = 4;      ///< floats of a row that are enough for one thread: what it reads at a time
constexpr int64_t kFewRows = 256;     ///< of the run: fewer warps than a GPU has room for
constexpr int64_t kOfFewRows = 256;   ///< threads for one of those at most: in blocks of more a thread has too few registers for what some kernels hold
constexpr int64_t kBlock = 128;       ///< threads of a block whose teams are parts of a warp
constexpr int64_t kProductLanes = 8, kOfFragment = 4; ///< of a thread of a row that is multiplied: halves that it reads at a time; threads of a row in a warp

/// Calls `emit` with one kernel a symbol.
OwningOpRef<ModuleOp> moduleOf(ModuleOp plan, const std::function<void(plan::KernelOp, OpBuilder &)> &emit) {
  OwningOpRef<ModuleOp> made(ModuleOp::create(plan.getLoc()));
  OpBuilder builder = OpBuilder::atBlockEnd(made->getBody());
  llvm::StringSet<> emitted;
  plan.walk([&](plan::KernelOp op) {
    if (emitted.insert(*op.getSymbol()).second)
      emit(op, builder);
  });
  return made;
}

LLVM::LLVMFuncOp emitKernel(plan::KernelOp op, OpBuilder &builder, Machine machine) {
  auto function = declareFunction(builder, op.getLoc(), op.getSymbol()->str() + (machine.whole ? "__whole" : ""));
  Block *entry = function.addEntryBlock(builder);
  OpBuilder inside = OpBuilder::atBlockEnd(entry);
  Code code(inside, op.getLoc(), machine);
  if (machine.team > 1)
    code.member(); // before all loops
  Kernel kernel{op, code, entry->getArgument(0), entry->getArgument(1), entry->getArgument(2), plan::spaceOf(op)};
  switch (kernel.space.kind) {
  case plan::Space::rows:
    emitRows(kernel);
    break;
  case plan::Space::flat:
    emitFlat(kernel);
    break;
  case plan::Space::tiles:
    emitTiles(kernel);
    break;
  }
  LLVM::ReturnOp::create(inside, op.getLoc(), ValueRange{});
  return function;
}

/// Rows of whole vectors are read a vector at a time where the operands' places allow it, which shows when the kernel starts: a parameter may lie anywhere. So are the keys of
/// a head's only row (DeepRow.cpp).
Bodies bodiesOf(plan::KernelOp op, OpBuilder &builder, Machine machine) {
  Bodies bodies{emitKernel(op, builder, machine)};
  const plan::Space space = plan::spaceOf(op);
  const bool mayBeWhole = space.kind == plan::Space::rows ? machine.team > 1 && space.columns % machine.lanes == 0 : space.kind == plan::Space::tiles && space.rowCount.is(1) && haveWholeRows(op);
  if (!mayBeWhole)
    return bodies;
  machine.whole = true;
  bodies.whole = emitKernel(op, builder, machine);
  Block &body = op.getBody().front();
  bodies.pointers = static_cast<int64_t>(body.getNumArguments() + body.getTerminator()->getNumOperands() + rowSumsOf(op).size());
  return bodies;
}

} // namespace

LLVM::LLVMFuncOp declareFunction(OpBuilder &builder, Location loc, const std::string &name) {
  MLIRContext *context = builder.getContext();
  Type pointer = LLVM::LLVMPointerType::get(context), number = builder.getI64Type();
  return LLVM::LLVMFuncOp::create(builder, loc, name, LLVM::LLVMFunctionType::get(LLVM::LLVMVoidType::get(context), {pointer, number, number}));
}

/// Whether a batch has so few rows that a warp for each would leave a GPU without work: one an example, where tokens are not counted.
static bool hasFewRows(const plan::Space &space) {
  return space.example ? space.rowCount.scale == 0 : space.rowCount.scale == 0 && space.rowCount.constant <= kFewRows;
}

/// Whether a row is done in parts, and all that is made of it is of a part.
static bool haveParts(plan::KernelOp op, const plan::Space &space) {
  return space.kind == plan::Space::rows && space.parts > 1 && rowSumsOf(op).empty() && llvm::all_of(op.getBody().front().getTerminator()->getOperands(), [&](Value made) {
           auto type = cast<nn::NNType>(made.getType());
           return isWholeRow(space, type) || isOfPart(space, type);
         });
}

/// Threads that do a row, or a head of attention: a power of two, so many that neighbouring threads read neighbouring numbers and none is without work in a row. Where rows
/// are many a warp at most; few ones are a block's each, or their parts are several teams'.
static Machine teamFor(plan::KernelOp op, unsigned lanes) {
  const plan::Space space = plan::spaceOf(op);
  Machine machine{lanes};
  if (space.kind == plan::Space::flat)
    return machine;
  if (!plan::rowProductsOf(op).empty()) {
    const int64_t warps = plan::warpsOfRowProduct(space.columns);
    return {static_cast<unsigned>(kProductLanes), /*pairs=*/false, static_cast<unsigned>(warps * kOfFragment), /*whole=*/false, static_cast<unsigned>(warps)};
  }
  const int64_t warp = Machine::kWarp, most = hasFewRows(space) ? kOfFewRows : warp;
  const int64_t team = space.kind == plan::Space::tiles ? most : std::min<int64_t>(most, llvm::PowerOf2Ceil((space.columns + kOfMember - 1) / kOfMember));
  machine.team = static_cast<unsigned>(team), machine.warps = static_cast<unsigned>(std::max<int64_t>(1, team / warp));
  if (machine.warps == 1 && hasFewRows(space) && haveParts(op, space))
    machine.dealt = static_cast<unsigned>(llvm::bit_floor(static_cast<uint64_t>(std::min(space.parts, kOfFewRows / team))));
  return machine;
}

/// Threads of a block.
static int64_t blockOf(const Machine &machine) { return machine.warps == 1 ? std::max<int64_t>(kBlock, machine.ofRow()) : machine.together() == 1 ? machine.team : plan::kProductBlock; }

ArrayRef<StringRef> functionsOf(plan::KernelOp op) {
  static constexpr StringRef names[] = {"", "__sums"};
  return ArrayRef(names).take_front(rowSumsOf(op).empty() ? 1 : 2);
}

LLVM::LLVMFuncOp emitFunction(plan::KernelOp op, StringRef which, OpBuilder &builder, Machine machine) {
  return which.empty() ? emitKernel(op, builder, machine) : emitRowSums(op, builder, machine);
}

nlohmann::json callOf(plan::KernelOp op) {
  plan::Space space = plan::spaceOf(op);
  ScratchSize scratch = scratchOf(op, kWidestLanes);
  const Machine team = teamFor(op, kWidestLanes);
  nn::Dim rows = space.kind == plan::Space::tiles ? nn::Dim{space.heads / headsPerTask(op), 0} : space.rowCount; // tasks of an example, or of the run
  nlohmann::json call = {{"symbol", op.getSymbol()->str()},
                         {"space", op.getSpace().str()},
                         {"example", space.example},
                         {"tasks", {{"c", rows.constant}, {"k", rows.scale}, {"s", peftrt::nameOfSequence(rows.sequence)}}},
                         {"columns", space.columns * space.parts},
                         {"team", team.ofRow()},
                         {"block", blockOf(team)},
                         {"sites", op.getSites().vec()},
                         {"scratch", {{"c", scratch.c * team.dealt}, {"k", scratch.k * team.dealt}}}};
  if (scratch.sequence != 0)
    call["scratch"]["s"] = peftrt::nameOfSequence(scratch.sequence);
  for (const RowSum &sum : rowSumsOf(op)) {
    call["stretch"] = plan::kStretch;
    call["sums"].push_back({{"result", sum.result}, {"columns", sum.columns}, {"pitch", sum.pitch}});
  }
  if (space.kind == plan::Space::tiles && (space.rowCount.sequence != 0 || space.keyCount.sequence != 0))
    call["over"] = {peftrt::nameOfSequence(space.rowCount.sequence), peftrt::nameOfSequence(space.keyCount.sequence)};
  return call;
}

OwningOpRef<ModuleOp> kernelModule(ModuleOp plan, Machine machine) {
  return moduleOf(plan, [&](plan::KernelOp op, OpBuilder &builder) {
    for (StringRef which : functionsOf(op))
      emitFunction(op, which, builder, machine);
  });
}

void emitGpuFunctions(plan::KernelOp op, OpBuilder &builder, unsigned lanes) {
  const int64_t vector = lanes;
  const Machine alone{lanes}, team = teamFor(op, lanes);
  const int64_t block = blockOf(team);
  if (rowSumsOf(op).empty())
    return emitEntry(bodiesOf(op, builder, team), builder, team, op.getSpace() == "flat" ? vector : 1, block); // elements go by the vector; a row or a head is work enough
  emitEntry(bodiesOf(op, builder, team), builder, team, plan::kStretch, block);
  emitEntry({emitRowSums(op, builder, alone)}, builder, alone, vector, kBlock);
}

OwningOpRef<ModuleOp> gpuKernelModule(ModuleOp plan, unsigned lanes) {
  return moduleOf(plan, [&](plan::KernelOp op, OpBuilder &builder) { emitGpuFunctions(op, builder, lanes); });
}

} // namespace peftc::conversion
