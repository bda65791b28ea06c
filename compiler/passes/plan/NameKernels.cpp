// NameKernels (plan-name-kernels): kernels that do the same share one function.
//
// In     plan.kernels
// Out    each with a `symbol`: equal for equal bodies, whatever they read and whichever random sites they have; bodies in the order of what
//        they compute, from the results back, and what they read and draw in the order of its first use
// Errs   none
// Why here  last but for buffers: nothing changes a body any more
#include "compiler/passes/plan/Passes.h"
#include "dialects/nn/Nn.h"
#include "dialects/plan/Plan.h"
#include "mlir/IR/OperationSupport.h"
#include "llvm/ADT/DenseSet.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/Support/FormatVariadic.h"

using namespace mlir;
using namespace mlir::plan;

/// In the order in which a walk from the results back, operands first, meets them. Where a kernel's ops stood in the program, which differs between
/// the first layer and others (it makes the mask that all use), must not make another kernel of it.
static void orderOps(KernelOp op) {
  Operation *end = op.getBody().front().getTerminator();
  llvm::DenseSet<Operation *> done;
  SmallVector<std::pair<Operation *, unsigned>> path = {{end, 0}};
  while (!path.empty()) {
    auto &[made, next] = path.back();
    if (next < made->getNumOperands()) {
      Operation *before = made->getOperand(next++).getDefiningOp();
      if (before && !done.contains(before))
        path.push_back({before, 0});
      continue;
    }
    if (made != end && done.insert(made).second)
      made->moveBefore(end);
    path.pop_back();
  }
}

/// What is read comes in the order of its first use.
static void orderInputs(KernelOp op) {
  Block &body = op.getBody().front();
  llvm::SetVector<unsigned> order;
  for (Operation &made : body)
    for (Value operand : made.getOperands())
      if (auto argument = dyn_cast<BlockArgument>(operand))
        order.insert(argument.getArgNumber());
  const unsigned count = body.getNumArguments();
  for (unsigned index = 0; index < count; ++index)
    order.insert(index); // which nobody uses
  SmallVector<Value> inputs;
  for (unsigned index : order) {
    BlockArgument old = body.getArgument(index);
    old.replaceAllUsesWith(body.addArgument(old.getType(), old.getLoc()));
    inputs.push_back(op.getInputs()[index]);
  }
  body.eraseArguments(0, count);
  op.getInputsMutable().assign(inputs);
}

/// So do the sites of random numbers, by which a body calls them.
static void orderSites(KernelOp op) {
  llvm::SetVector<int64_t> order;
  for (auto random : op.getBody().getOps<nn::RandomOp>())
    order.insert(random.getSite());
  for (auto random : op.getBody().getOps<nn::RandomOp>())
    random.setSite(llvm::find(order, static_cast<int64_t>(random.getSite())) - order.begin());
  op.setSites(llvm::map_to_vector(order, [&](int64_t index) { return op.getSites()[index]; }));
}

/// How far apart the rows of what it reads and writes lie.
static SmallVector<int64_t> pitchesOf(KernelOp op) {
  SmallVector<int64_t> pitches;
  for (ValueRange values : {ValueRange(op.getInputs()), ValueRange(op.getResults())})
    llvm::append_range(pitches, llvm::map_range(values, pitchOf));
  return pitches;
}

/// Equal for kernels that do the same; nearly always another one for others.
static llvm::hash_code hashOf(KernelOp op) {
  const SmallVector<int64_t> pitches = pitchesOf(op);
  llvm::hash_code hash = llvm::hash_combine(op.getSpace(), llvm::hash_combine_range(pitches.begin(), pitches.end()));
  for (BlockArgument argument : op.getBody().getArguments())
    hash = llvm::hash_combine(hash, argument.getType());
  for (Operation &made : op.getBody().front())
    hash = llvm::hash_combine(hash, OperationEquivalence::computeHash(&made, OperationEquivalence::ignoreHashValue, OperationEquivalence::ignoreHashValue, OperationEquivalence::IgnoreLocations));
  return hash;
}

/// Whether they do the same, wherever it was written.
static bool doTheSame(KernelOp one, KernelOp other) {
  return one.getSpace() == other.getSpace() && pitchesOf(one) == pitchesOf(other) && OperationEquivalence::isRegionEquivalentTo(&one.getBody(), &other.getBody(), OperationEquivalence::IgnoreLocations);
}

LogicalResult mlir::plan::nameKernels(ModuleOp module) {
  llvm::DenseMap<size_t, SmallVector<KernelOp, 1>> firsts; // by hash, the first kernel of each name
  size_t names = 0;
  module.walk<WalkOrder::PreOrder>([&](KernelOp op) {
    orderOps(op);
    orderInputs(op);
    orderSites(op);
    SmallVector<KernelOp, 1> &alike = firsts[hashOf(op)];
    auto *first = llvm::find_if(alike, [&](KernelOp other) { return doTheSame(op, other); });
    if (first != alike.end()) {
      op.setSymbol(*first->getSymbol());
    } else {
      op.setSymbol(llvm::formatv("{0}_{1}", op.getSpace(), names++).str());
      alike.push_back(op);
    }
    return WalkResult::skip(); // no kernel is in another
  });
  return success();
}
