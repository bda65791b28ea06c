// FormKernels (plan-form-kernels): what stands between products becomes kernels.
//
// In     plan.program of nn ops and plan.products
// Out    elementwise ops, row reductions, lookups and the products of attention inside plan.kernels; a value has a place in memory only if a product, a
//        result, another kernel or an op that no kernel can hold reads it
// Errs   none
// Why here  after products are known (they are what cannot be inside), before steps are made of what is left
//
// Demand-driven, in the program's order: a kernel begins where something that cannot be fused first reads a value, and grows backwards to
// what is in memory. A value that several kernels need is recomputed or kept:
//   numbers of a row      kept (a reduction costs a pass, its result a thousandth of one)
//   matrices [rows, keys] recomputed (they are never stored: memory grows with the square of a text)
//   sums over rows        kept, and made where they stand: what they sum need not wait; nothing reads one inside a kernel, where it is not there yet
//   all else              recomputed if that reads at most kCheapReads arrays, else kept by the kernel that made it first
// A later value of a space joins a kernel that shares an operand with it if all that it reads is there before that kernel.
#include "compiler/passes/plan/KernelPlan.h"
#include "compiler/passes/plan/Passes.h"
#include "mlir/IR/IRMapping.h"
#include "llvm/Support/FormatVariadic.h"

using namespace mlir;
using namespace mlir::plan;

namespace {
constexpr int64_t kCheapReads = 2;
constexpr int64_t kCheapOps = 40;
constexpr size_t kJoinable = 6; ///< how far back a kernel is looked for that a value may join

/// Programs that run often enough for kernels to pay: not those that make what others read.
bool isHot(StringRef name) { return name.starts_with("optimizer.") || (name != "init" && name != "merge" && name != "export" && name != "import" && !name.contains('.')); }
} // namespace

KernelPlanner::KernelPlanner(ProgramOp program) : program(program), flat(program.getName().starts_with("optimizer.")) {
  for (BlockArgument argument : program.getBody().getArguments())
    ready[argument] = 0;
}

Fusable KernelPlanner::fusable(Value value) const {
  Operation *op = value.getDefiningOp();
  return op ? fusableIn(op, flat) : Fusable{};
}

void KernelPlanner::run() {
  for (Operation &op : program.getBody().front()) {
    if (op.getNumResults() == 1 && rowSum(op.getResult(0)) && fusable(op.getResult(0)).space) {
      materialize(op.getResult(0));
      continue;
    }
    if (isMadeWhereRead(&op) || (op.getNumResults() == 1 && fusable(op.getResult(0)).space))
      continue; // made when something reads it
    for (Value operand : op.getOperands())
      materialize(operand);
    emit(&op);
  }
}

void KernelPlanner::emit(Operation *op) {
  items.push_back({op, nullptr});
  for (Value result : op->getResults())
    ready[result] = items.size();
}

void KernelPlanner::materialize(Value value) {
  if (ready.count(value))
    return;
  Operation *op = value.getDefiningOp();
  Fusable where = fusable(value);
  if (!where.space) { // a view, a constant, places along an axis, keys for more heads
    for (Value operand : op->getOperands())
      materialize(operand);
    emit(op);
    return;
  }
  if (Kernel *home = homes.lookup(value)) {
    keep(value, *home);
    return;
  }
  Kernel *kernel = kernelToJoin(value, *where.space);
  for (Value leaf : leavesOf(value, *where.space, kernel).outside)
    materialize(leaf);
  if (ready.count(value))
    return; // a leaf's kernel has made it on the way
  if (!kernel) {
    kernels.push_back(std::make_unique<Kernel>());
    kernel = kernels.back().get();
    kernel->space = *where.space;
    items.push_back({nullptr, kernel});
    kernel->place = items.size();
  }
  compute(value, *kernel);
  keep(value, *kernel);
}

void KernelPlanner::keep(Value value, Kernel &kernel) {
  kernel.results.insert(value);
  ready[value] = kernel.place;
}

/// Counted out by each kernel anew, even where something else has it in memory, with what it is counted from; and a constant, of which more is known than of a number that is read.
static bool isCounted(Value value) { return isIndex(value) || isKeyTruth(value) || value.getDefiningOp<nn::ConstantOp>(); }

/// A view that makes one vector of the numbers of a row's parts: no part has the others' numbers.
static bool gathersParts(Operation *view) {
  Value source = view->getOperand(0);
  while (source.getDefiningOp() && isView(source.getDefiningOp()))
    source = source.getDefiningOp()->getOperand(0);
  auto reduce = source.getDefiningOp<nn::ReduceOp>();
  return reduce && reducesParts(reduce) && isSharedByParts(cast<nn::NNType>(view->getResult(0).getType()));
}

/// Whether a kernel of `space` takes the op that makes `value` into its body.
bool KernelPlanner::isInside(Value value, const Space &space) const {
  Operation *op = value.getDefiningOp();
  if (!op || rowSum(value))
    return false;
  if (isa<nn::ConstantOp>(op) || isIndex(value) || (space.kind == Space::tiles && (isHeadsRepeat(op) || isKeyTruth(value))))
    return true;
  if (isView(op) && space.kind == Space::tiles && value.hasOneUse() && groupSummed(*value.getUsers().begin()))
    return isInside(op->getOperand(0), space);
  if (isView(op)) { // the same rows and columns seen otherwise
    auto from = rowShapeOf(cast<nn::NNType>(op->getOperand(0).getType())), to = rowShapeOf(cast<nn::NNType>(value.getType()));
    bool same = isa<nn::StopGradOp>(op) || (space.kind == Space::rows && from && to && from->example == to->example && from->rowCount == to->rowCount && from->columns == to->columns);
    return same && !gathersParts(op) && isInside(op->getOperand(0), space);
  }
  Fusable where = fusable(value);
  return where.space && unite(*where.space, space);
}

/// Whether a value that some kernel has computed already should rather be read from memory than be computed again.
bool KernelPlanner::isWorthKeeping(Value value, const Space &space) const {
  Operation *op = value.getDefiningOp();
  if (isMadeWhereRead(op) || isa<nn::RandomOp>(op))
    return false;
  if (isa<nn::ReduceOp>(op))
    return true;
  if (isQuadratic(cast<nn::NNType>(value.getType())))
    return false;
  int64_t reads = 0, ops = 0;
  llvm::DenseSet<Value> seen;
  countReads(value, space, seen, reads, ops);
  return reads > kCheapReads || ops > kCheapOps;
}

void KernelPlanner::countReads(Value value, const Space &space, llvm::DenseSet<Value> &seen, int64_t &reads, int64_t &ops) const {
  if (!seen.insert(value).second || ops > kCheapOps)
    return;
  auto type = cast<nn::NNType>(value.getType());
  auto shape = rowShapeOf(type);
  bool whole = type.getExample() && shape && shape->columns > 1;
  bool read = (ready.count(value) && !isCounted(value)) || !isInside(value, space) || (isa<nn::ReduceOp>(value.getDefiningOp()) && homes.count(value));
  if (read) {
    reads += whole || flat;
    return;
  }
  ++ops;
  for (Value operand : operandsInside(value.getDefiningOp()))
    countReads(operand, space, seen, reads, ops);
}

/// What is computed for the op's result: the operand of a random op only lends its shape, and a lookup reads memory.
SmallVector<Value> KernelPlanner::operandsInside(Operation *op) {
  return isa<nn::RandomOp, nn::GatherOp>(op) ? SmallVector<Value>{} : SmallVector<Value>(op->getOperands());
}
/// What an op reads from memory whatever a kernel could make of it.
static SmallVector<Value> readOperands(Operation *op) { return isa<nn::GatherOp>(op) ? SmallVector<Value>(op->getOperands()) : SmallVector<Value>{}; }

/// What a kernel of `space` that computes `value` reads from memory (some of it not there yet); `home`, if any, has its members already.
KernelPlanner::Leaves KernelPlanner::leavesOf(Value value, const Space &space, const Kernel *home) const {
  Leaves leaves;
  llvm::DenseSet<Value> seen;
  Space united = home ? *unite(home->space, space) : space; // as `compute` has it
  SmallVector<Value> open = {value};
  while (!open.empty()) {
    Value next = open.pop_back_val();
    if (!seen.insert(next).second)
      continue;
    if (home && home->members.contains(next) && !rowSum(next)) {
      leaves.shares |= !isa<nn::ConstantOp, nn::RandomOp>(next.getDefiningOp());
      continue;
    }
    bool kept = next != value && homes.count(next) && isWorthKeeping(next, united);
    const bool read = ready.count(next) && !isCounted(next);
    if (read || kept || (next != value && !isInside(next, united))) {
      leaves.outside.insert(next);
      leaves.shares |= home && home->leaves.contains(next) && cast<nn::NNType>(next.getType()).rank() > 0;
      continue;
    }
    if (Fusable where = fusable(next); where.space)
      united = *unite(*where.space, united);
    for (Value operand : llvm::reverse(readOperands(next.getDefiningOp()))) {
      leaves.outside.insert(operand);
      leaves.shares |= home && home->leaves.contains(operand);
    }
    open.append(operandsInside(next.getDefiningOp()));
  }
  return leaves;
}

KernelPlanner::Kernel *KernelPlanner::kernelToJoin(Value value, const Space &space) const {
  size_t tried = 0;
  for (auto &kernel : llvm::reverse(kernels)) {
    if (++tried > kJoinable)
      return nullptr;
    if (!unite(kernel->space, space))
      continue;
    Leaves leaves = leavesOf(value, space, kernel.get());
    auto placeOf = [&](Value leaf) { return ready.count(leaf) ? ready.lookup(leaf) : homes.count(leaf) ? homes.lookup(leaf)->place : items.size() + 1; };
    if (leaves.shares && llvm::all_of(leaves.outside, [&](Value leaf) { return placeOf(leaf) < kernel->place; }))
      return kernel.get();
  }
  return nullptr;
}

/// Takes the ops behind `value` into the kernel.
void KernelPlanner::compute(Value value, Kernel &kernel) {
  SmallVector<Value> open = {value};
  while (!open.empty()) {
    Value next = open.pop_back_val();
    if (kernel.members.contains(next))
      continue;
    bool inMemory = next != value && ready.count(next) && ready.lookup(next) < kernel.place && !isCounted(next);
    if (inMemory || (next != value && !isInside(next, kernel.space))) {
      kernel.leaves.insert(next);
      continue;
    }
    kernel.members.insert(next);
    if (Fusable where = fusable(next); where.space)
      kernel.space = *unite(*where.space, kernel.space);
    if (!isMadeWhereRead(next.getDefiningOp()))
      homes.try_emplace(next, &kernel);
    for (Value operand : llvm::reverse(readOperands(next.getDefiningOp())))
      kernel.leaves.insert(operand);
    open.append(operandsInside(next.getDefiningOp()));
  }
}

// ---- the program anew ----------------------------------------------------------------------------------------------

/// The kernel as an op in front of the builder's place.
void KernelPlanner::build(Kernel &kernel, OpBuilder &builder, IRMapping &mapping) {
  SmallVector<Value> inputs;
  for (Value leaf : kernel.leaves)
    inputs.push_back(mapping.lookup(leaf));
  SmallVector<Type> types = llvm::map_to_vector(kernel.results, [](Value value) { return value.getType(); });
  Location loc = kernel.results.front().getLoc();
  auto op = KernelOp::create(builder, loc, types, inputs, builder.getStringAttr(nameOf(kernel.space.kind)), builder.getDenseI64ArrayAttr({}), StringAttr(), DenseI64ArrayAttr());
  Block &body = op.getBody().emplaceBlock();
  IRMapping inside;
  for (Value leaf : kernel.leaves)
    inside.map(leaf, body.addArgument(leaf.getType(), leaf.getLoc()));
  OpBuilder within = OpBuilder::atBlockEnd(&body);
  SmallVector<int64_t> sites;
  SmallVector<Operation *> members = llvm::map_to_vector(kernel.members, [](Value value) { return value.getDefiningOp(); });
  llvm::sort(members, [](Operation *a, Operation *b) { return a->isBeforeInBlock(b); }); // the program's order
  for (Operation *made : members) {
    if (auto random = dyn_cast<nn::RandomOp>(made)) {
      auto site = llvm::find(sites, random.getSite());
      int64_t index = site - sites.begin();
      if (site == sites.end())
        sites.push_back(random.getSite());
      auto copy = nn::RandomOp::create(within, random.getLoc(), random.getType(), Value(), random.getDistAttr(), within.getI64IntegerAttr(index), random.getRateAttr());
      inside.map(random.getResult(), copy.getResult());
      continue;
    }
    within.clone(*made, inside);
  }
  op.setSites(sites);
  YieldOp::create(within, loc, llvm::map_to_vector(kernel.results, [&](Value value) { return inside.lookup(value); }));
  for (auto [value, result] : llvm::zip_equal(kernel.results, op.getResults()))
    mapping.map(value, result);
}

/// For people: an op of the tokens' path should be in a kernel.
void KernelPlanner::sayWhyAlone(Operation *op) const {
  bool expected = op->getNumResults() != 1 || isa<ProductOp, nn::ParamOp>(op) || isMadeWhereRead(op);
  if (StringRef reason = expected ? "" : fusableIn(op, flat).reason; !reason.empty())
    op->setAttr(kWhyAlone, StringAttr::get(op->getContext(), reason));
}

void KernelPlanner::rebuild() {
  Block &old = program.getBody().front();
  auto *made = new Block();
  IRMapping mapping;
  for (BlockArgument argument : old.getArguments())
    mapping.map(argument, made->addArgument(argument.getType(), argument.getLoc()));
  program.getBody().push_back(made);
  OpBuilder builder = OpBuilder::atBlockEnd(made);
  for (auto &[op, kernel] : items) {
    if (kernel)
      build(*kernel, builder, mapping);
    else
      sayWhyAlone(builder.clone(*op, mapping));
  }
  old.dropAllReferences();
  for (Operation &op : llvm::make_early_inc_range(llvm::reverse(old)))
    op.erase();
  old.erase();
}

LogicalResult mlir::plan::formKernels(ModuleOp module) {
  for (ProgramOp program : module.getOps<ProgramOp>()) {
    if (!isHot(program.getName()))
      continue;
    KernelPlanner planner(program);
    planner.run();
    planner.rebuild();
  }
  return success();
}
