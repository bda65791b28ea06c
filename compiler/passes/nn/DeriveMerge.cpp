// DeriveMerge (nn-derive-merge): how a site's rewiring folds into its weights, or why it does not.
//
// In     @"site.<path>": y of a rewired affine site as a function of x; @"hook.<path>.<point>": any other rewired point, with
//        `nn.replaces` where the point is a weight; `nn.tied`: the other module that has the weight, too
// Out    @merge: the merged weights by their parameters' names, a site's together, each to be taken as soon as it is made (`nn.streamed`); module attribute `nn.merge`: a report for each site;
//        the functions above are gone
//
// A value of the function is either the same for the whole run, or an affine map `M x + c` of x with such M and c. What keeps a
// value such a map the ops say (AffineIn); the op that ends it is named with its place.
#include "compiler/passes/nn/Passes.h"
#include "dialects/nn/Nn.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/IRMapping.h"
#include "llvm/ADT/MapVector.h"

using namespace mlir;
using namespace mlir::nn;

namespace {
NNType typeOf(Value value) { return cast<NNType>(value.getType()); }

/// Reads one site function, writing run-level mathematics into @merge.
class Site {
public:
  Site(func::FuncOp func, OpBuilder &b) : func(func), context{b, typeOf(func.getArgument(0)).getDims().back().constant, ""} {
    maps[func.getArgument(0)] = {true, {}, {}};
  }

  FailureOr<Affine> run() {
    for (Operation &op : func.getBody().front().without_terminator())
      if (failed(visit(op)))
        return failure();
    Operation *end = func.getBody().front().getTerminator();
    if (auto it = maps.find(end->getOperand(0)); it != maps.end())
      return it->second;
    return reject("the result does not depend on x", *end);
  }
  std::string reason;

private:
  LogicalResult reject(const Twine &why, Operation &op) {
    reason = (why + " (" + op.getName().getStringRef() + " at " + toString(op.getLoc()) + ")").str();
    return failure();
  }

  LogicalResult visit(Operation &op) {
    SmallVector<AffineOperand> operands;
    for (Value operand : op.getOperands()) {
      if (auto arg = dyn_cast<BlockArgument>(operand); arg && arg.getArgNumber() > 0) {
        auto name = func.getArgAttrOfType<StringAttr>(arg.getArgNumber(), "nn.name");
        return reject("`" + (name ? name.getValue() : "a value") + "` differs from one example to the next", op);
      }
      auto map = maps.find(operand);
      operands.push_back(map == maps.end() ? AffineOperand{false, {}, runLevel.lookup(operand)} : AffineOperand{true, map->second, {}});
    }
    if (llvm::none_of(operands, [](const AffineOperand &operand) { return operand.dependsOnX; })) {
      if (typeOf(op.getResult(0)).getExample())
        return reject("it differs from one example to the next", op);
      context.builder.clone(op, runLevel);
      return success();
    }
    auto affine = dyn_cast<AffineIn>(op);
    if (!affine)
      return reject("not an affine map of x", op);
    std::optional<Affine> map = affine.affineIn(context, operands);
    if (!map)
      return reject(context.reason, op);
    maps[op.getResult(0)] = *map;
    return success();
  }

  func::FuncOp func;
  AffineContext context;
  IRMapping runLevel;
  llvm::DenseMap<Value, Affine> maps;
};

/// The report's row of a site.
DictionaryAttr report(OpBuilder &b, StringRef site, bool possible, StringRef reason) {
  return b.getDictionaryAttr({b.getNamedAttr("site", b.getStringAttr(site)), b.getNamedAttr("possible", b.getBoolAttr(possible)),
                              b.getNamedAttr("reason", b.getStringAttr(reason))});
}
} // namespace

using Merged = llvm::MapVector<StringAttr, Value>;

/// A rewired affine site: its weight and bias. Returns why not, or "".
static std::string mergeSite(func::FuncOp func, OpBuilder &b, Merged &merged) {
  Site reader(func, b);
  FailureOr<Affine> map = reader.run();
  if (failed(map))
    return reader.reason;
  auto bias = func->getAttrOfType<StringAttr>("nn.bias");
  if (map->c && !bias)
    return "it adds a constant, and the site has no bias to take it";
  if (!map->M)
    return "nothing of x is left";
  merged[func->getAttrOfType<StringAttr>("nn.weight")] = map->M;
  if (Value c = map->c) {
    NNType type = typeOf(func.getBody().front().getTerminator()->getOperand(0));
    NNType vector = NNType::get(b.getContext(), false, {type.getDims().back()}, b.getF32Type());
    merged[bias] = typeOf(c) == vector ? c : BroadcastOp::create(b, func.getLoc(), vector, c).getResult();
  }
  return "";
}

/// A rewired weight of any other site is its own merged value, if it is the same for the whole run.
static std::string mergeWeight(func::FuncOp func, StringAttr weight, OpBuilder &b, Merged &merged) {
  auto parameter = func->getParentOfType<ModuleOp>().lookupSymbol<ParameterOp>(weight);
  IRMapping mapping;
  mapping.map(func.getArgument(0), ParamOp::create(b, func.getLoc(), parameter.getType(), weight));
  for (Operation &op : func.getBody().front().without_terminator()) {
    bool outside = llvm::any_of(op.getOperands(), [&](Value operand) { return !mapping.contains(operand); });
    if (outside || typeOf(op.getResult(0)).getExample())
      return ("it differs from one example to the next (" + op.getName().getStringRef() + " at " + toString(op.getLoc()) + ")").str();
    b.clone(op, mapping);
  }
  merged[weight] = mapping.lookup(func.getBody().front().getTerminator()->getOperand(0));
  return "";
}

/// So that whoever has a merged weight need not keep the weight that it was made of.
static void readOnce(func::FuncOp merge) {
  llvm::DenseMap<StringRef, ParamOp> first;
  for (auto op : llvm::make_early_inc_range(merge.getBody().front().getOps<ParamOp>())) {
    auto [known, isNew] = first.try_emplace(op.getName(), op);
    if (isNew)
      continue;
    op.replaceAllUsesWith(known->second.getResult());
    op.erase();
  }
}

namespace {
/// What came of a site.
struct Outcome {
  std::string site, reason;
  StringAttr weight, tied; ///< `tied`: the other module with that weight, if there is one
  Value value;             ///< what becomes of the weight
};

/// Whether two values of @merge are computed alike. `known`: those that are.
bool areAlike(Value x, Value y, llvm::DenseSet<std::pair<Value, Value>> &known) {
  Operation *a = x.getDefiningOp(), *b = y.getDefiningOp();
  if (x == y || !a || !b || known.contains({x, y}))
    return x == y || (a && b);
  if (a->getName() != b->getName() || a->getAttrDictionary() != b->getAttrDictionary() || x.getType() != y.getType() || a->getNumOperands() != b->getNumOperands() ||
      !llvm::all_of(llvm::zip(a->getOperands(), b->getOperands()), [&](auto pair) { return areAlike(std::get<0>(pair), std::get<1>(pair), known); }))
    return false;
  known.insert({x, y});
  return true;
}

/// Of two modules with one weight both must make the same of it.
void settleTied(MutableArrayRef<Outcome> outcomes, Merged &merged) {
  for (Outcome &one : outcomes) {
    if (!one.tied || !one.reason.empty())
      continue;
    const Outcome *other = llvm::find_if(outcomes, [&](const Outcome &each) { return each.site == one.tied.getValue() && each.weight == one.weight; });
    llvm::DenseSet<std::pair<Value, Value>> alike;
    if (other == outcomes.end() || !other->value || !areAlike(one.value, other->value, alike)) {
      one.reason = ("its weight `" + one.weight.getValue() + "` is also that of `" + one.tied.getValue() + "`").str();
      merged.erase(one.weight);
    }
  }
}
} // namespace

static Outcome outcomeOf(func::FuncOp func, OpBuilder &b, Merged &merged) {
  Outcome outcome{func->getAttrOfType<StringAttr>("nn.site").str(), "", func->getAttrOfType<StringAttr>("nn.replaces"), func->getAttrOfType<StringAttr>("nn.tied"), {}};
  if (auto unmergeable = func->getAttrOfType<StringAttr>("nn.unmergeable")) {
    outcome.reason = unmergeable.getValue().str();
    return outcome;
  }
  const bool replaces = static_cast<bool>(outcome.weight);
  if (!replaces)
    outcome.weight = func->getAttrOfType<StringAttr>("nn.weight");
  outcome.reason = replaces ? mergeWeight(func, outcome.weight, b, merged) : mergeSite(func, b, merged);
  if (outcome.reason.empty())
    outcome.value = merged[outcome.weight];
  return outcome;
}

LogicalResult mlir::nn::deriveMerge(ModuleOp module) {
  OpBuilder b(module.getContext());
  b.setInsertionPointToEnd(module.getBody());
  auto merge = func::FuncOp::create(b, module.getLoc(), "merge", b.getFunctionType({}, {}));
  b.setInsertionPointToStart(merge.addEntryBlock());
  Merged merged;
  SmallVector<Outcome> outcomes;
  for (auto func : llvm::to_vector(module.getOps<func::FuncOp>()))
    if (func->hasAttr("nn.site")) {
      outcomes.push_back(outcomeOf(func, b, merged));
      func.erase();
    }
  settleTied(outcomes, merged);
  SmallVector<Attribute> rows;
  for (const Outcome &outcome : outcomes)
    rows.push_back(report(b, outcome.site, outcome.reason.empty(), outcome.reason));
  // A base weight that was trained is its own merged value.
  for (auto parameter : module.getOps<ParameterOp>())
    if (parameter.getTrainable() && parameter.getRole() == "base" && !merged.count(parameter.getSymNameAttr()))
      merged[parameter.getSymNameAttr()] = ParamOp::create(b, parameter.getLoc(), parameter.getType(), parameter.getSymName());
  SmallVector<Value> values;
  for (auto &entry : merged)
    values.push_back(entry.second);
  func::ReturnOp::create(b, module.getLoc(), values);
  merge.setFunctionType(b.getFunctionType({}, TypeRange(ValueRange(values))));
  merge->setAttr("nn.streamed", b.getUnitAttr()); // all of them are as large as the network
  for (auto [i, entry] : llvm::enumerate(merged))
    merge.setResultAttr(i, "nn.name", entry.first);
  for (Operation &op : llvm::make_early_inc_range(llvm::reverse(merge.getBody().front())))
    if (isOpTriviallyDead(&op))
      op.erase();
  readOnce(merge);
  module->setAttr("nn.merge", b.getArrayAttr(rows));
  return success();
}
