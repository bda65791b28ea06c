// RecomputeLayers (plan-recompute-layers): what backward reads of a layer's forward is computed again there.
//
// In     programs of nn ops; where layers are to be computed again, @train_step gives `layer.<i>.in` and `layer.<i>.out` (nn-inline-hooks), and the
//        module's `plan.recompute` says how many of them, from the first
// Out    the same without these results; in the program, an op of backward that read a value of such a layer reads a clone of it, made right before the
//        first that does, of what lies in front of the layer
// Errs   none
// Why here  on programs, because functions stay what the reference runs; before kernels, which keep what they find read twice; behind
//        nn-prune-to-trainable, which would share the clones again
// Numerics  exact: the same ops on the same numbers, with the same random bits
//
// What is of the whole run (weights and what is made of them) is kept: it does not grow with the batch. So is what another layer reads in forward.
#include "compiler/passes/plan/Forward.h"
#include "compiler/passes/plan/Passes.h"
#include "dialects/nn/Nn.h"
#include "dialects/plan/Plan.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/IRMapping.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/DenseSet.h"

using namespace mlir;
using namespace mlir::plan;

namespace {
struct Layer {
  Value in, out;
};

class Recomputation {
public:
  Recomputation(ProgramOp program, ArrayRef<Layer> layers) : block(program.getBody().front()), forward(forwardOf(program, outsOf(layers))), copies(layers.size()) {
    for (auto [at, op] : llvm::enumerate(block))
      places[&op] = at;
    for (auto [index, layer] : llvm::enumerate(layers))
      findLayer(index, layer);
  }

  void run() {
    for (Operation &op : llvm::make_early_inc_range(block.without_terminator()))
      if (!forward.contains(&op))
        for (OpOperand &operand : op.getOpOperands())
          operand.set(again(operand.get(), &op));
  }

private:
  /// Of a pass that only a gradient is taken of, nothing else is a result.
  static SmallVector<Value> outsOf(ArrayRef<Layer> layers) {
    return llvm::map_to_vector(layers, [](const Layer &layer) { return layer.out; });
  }

  void findLayer(size_t index, const Layer &layer) {
    const size_t begin = layer.in.getDefiningOp() ? places.lookup(layer.in.getDefiningOp()) + 1 : 0;
    for (Operation &op : block)
      if (places.lookup(&op) >= begin && places.lookup(&op) <= places.lookup(layer.out.getDefiningOp()) && forward.contains(&op) && growsWithBatch(&op))
        owners[&op] = index;
    for (Operation &op : block)
      if (isOwnedBy(&op, index) && (op.getResult(0) == layer.out || llvm::any_of(op.getUsers(), [&](Operation *user) { return forward.contains(user) && !isOwnedBy(user, index); })))
        kept.insert(op.getResult(0));
  }

  static bool growsWithBatch(Operation *op) { return op->getNumResults() == 1 && cast<nn::NNType>(op->getResult(0).getType()).getExample() && op->getNumOperands() > 0; }
  bool isOwnedBy(Operation *op, size_t layer) const {
    auto owner = owners.find(op);
    return owner != owners.end() && owner->second == layer;
  }

  /// The value, or the clone of it, made before `user` if it is not there yet.
  Value again(Value value, Operation *user) {
    Operation *op = value.getDefiningOp();
    auto owner = op ? owners.find(op) : owners.end();
    if (owner == owners.end() || kept.contains(value))
      return value;
    IRMapping &copied = copies[owner->second];
    if (Value copy = copied.lookupOrNull(value))
      return copy;
    for (Value operand : op->getOperands())
      if (Value copy = again(operand, user); copy != operand)
        copied.map(operand, copy);
    return OpBuilder(user).clone(*op, copied)->getResult(0);
  }

  Block &block;
  const llvm::DenseSet<Operation *> forward;
  llvm::DenseMap<Operation *, size_t> places, owners; ///< where in the program; the layer that is computed again
  llvm::DenseSet<Value> kept;
  SmallVector<IRMapping> copies; ///< of each layer
};

std::optional<std::pair<size_t, bool>> layerOf(StringRef name) {
  size_t index;
  if (!name.consume_front("layer.") || name.consumeInteger(10, index))
    return std::nullopt;
  return std::make_pair(index, name == ".in");
}

/// Takes them out of the program's results.
SmallVector<Layer> takeLayers(ProgramOp program) {
  auto end = cast<plan::ReturnOp>(program.getBody().front().getTerminator());
  SmallVector<Layer> layers;
  SmallVector<Attribute> names;
  SmallVector<Value> values;
  for (auto [name, value] : llvm::zip(program.getResultNames(), end.getOperands())) {
    auto layer = layerOf(cast<StringAttr>(name).getValue());
    if (!layer) {
      names.push_back(name), values.push_back(value);
      continue;
    }
    layers.resize(std::max<size_t>(layers.size(), layer->first + 1));
    (layer->second ? layers[layer->first].in : layers[layer->first].out) = value;
  }
  program.setResultNamesAttr(ArrayAttr::get(program.getContext(), names));
  end->setOperands(values);
  return layers;
}

void dropLayers(func::FuncOp function) {
  llvm::BitVector gone(function.getNumResults());
  for (unsigned i = 0; i < function.getNumResults(); ++i)
    if (auto name = function.getResultAttrOfType<StringAttr>(i, "nn.name"))
      gone[i] = layerOf(name.getValue()).has_value();
  if (gone.none())
    return;
  function.front().getTerminator()->eraseOperands(gone);
  (void)function.eraseResults(gone);
}
} // namespace

LogicalResult mlir::plan::recomputeLayers(ModuleOp module) {
  auto wanted = module->getAttrOfType<IntegerAttr>(kRecompute);
  for (auto program : module.getOps<ProgramOp>()) {
    SmallVector<Layer> layers = takeLayers(program);
    layers.truncate(std::min<size_t>(layers.size(), wanted ? wanted.getInt() : 0));
    if (!layers.empty())
      Recomputation(program, layers).run();
  }
  for (auto function : module.getOps<func::FuncOp>())
    dropLayers(function);
  return success();
}
