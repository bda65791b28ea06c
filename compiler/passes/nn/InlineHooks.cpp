// InlineHooks (nn-inline-hooks): inline the arch and every rewiring into whole functions.
//
// In     peft.module tree with forward regions; peft.instance in order of application
// Out    @train and @eval, which give losses, @inspect and @predict, which give logits in the mode of the one and the other, on the rows of a batch (one mode
//        each: no nn.by_mode is left); @predict_base, the network without any attach, for merged weights. Where the task says what follows a token (point
//        `next`), logits are the vocabulary's of every token: @predict gives the loss and what follows the last token instead; and there are @next, @next_base;
//        of a module with `nn.marks_layers`, @train gives what its layers take and make as `layer.<i>.in` and `layer.<i>.out`;
//        other passes through the model that a method asks for (peft.pass) are inlined in the same function;
//        @"site.<path>" for a rewired site with points x, W, y, and @"hook.<path>.<point>" for any other rewired point,
//        which nn-derive-merge reads
// Errs   a point read before it exists (sites has checked all that it can; what is left is reported here with its place)
//
// At one point, instances apply in textual order. A rewiring's operations are cloned when its point is reached, so
// `peft.read` finds what earlier attaches left. Types are inferred again: a longer text (a prompt) reaches everything behind it.
#include "compiler/passes/nn/InlineHooks.h"
#include "compiler/passes/nn/Origins.h"
#include "dialects/nn/Nn.h"
#include "dialects/peft/Peft.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/IRMapping.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/SaveAndRestore.h"
#include <map>

using namespace mlir;
using namespace mlir::nn;

namespace {
using PointKey = std::pair<std::string, std::string>; // site, point

class Inliner {
public:
  explicit Inliner(ModuleOp module) : module(module), builder(module.getContext()), marksLayers(module->hasAttr(kMarksLayers)) {
    for (auto op : module.getOps<peft::ModuleOp>()) {
      modules[op.getSymName()] = op;
      op.walk([&](ParamOp param) { owners[param.getName().str()].push_back(op.getSymName().str()); });
    }
    for (auto op : module.getOps<peft::InstanceOp>()) {
      op.walk([&](peft::RewireOp rewire) {
        rewires[{rewire.getSite().str(), rewire.getPoint().str()}].push_back({instances.size(), rewire, asksForPass(rewire.getValue())});
      });
      instances.push_back(op);
      given.emplace_back();
      for (auto asked : op.getOps<peft::PassOp>())
        for (StringRef point : asked.getChanged().getAsValueRange<StringAttr>())
          given.back().insert(point);
    }
  }
  LogicalResult run() {
    const bool writesOn = hasPoint("next");
    const SmallVector<StringRef> said = writesOn ? SmallVector<StringRef>{"loss", "next"} : SmallVector<StringRef>{"logits"};
    if (failed(program("train", true, {"loss"}, false)) || failed(program("inspect", true, {"logits"}, false)) || failed(program("eval", false, {"loss"}, true)) ||
        failed(program("predict", false, said, false)) || failed(program("predict_base", false, said, false, true)))
      return failure();
    if (writesOn && (failed(program("next", false, {"next"}, false)) || failed(program("next_base", false, {"next"}, false, true))))
      return failure();
    for (auto op : llvm::to_vector(module.getOps<peft::ModuleOp>()))
      if (failed(siteFunctions(op)))
        return failure();
    return success();
  }

private:
  struct Rewire {
    size_t instance;
    peft::RewireOp op;
    bool asksForPass;
  };

  static bool asksForPass(Value value) {
    llvm::SetVector<Operation *> made;
    if (Operation *op = value.getDefiningOp())
      made.insert(op);
    for (size_t i = 0; i < made.size(); ++i) {
      if (isa<peft::PassOp>(made[i]))
        return true;
      for (Value operand : made[i]->getOperands())
        if (Operation *op = operand.getDefiningOp())
          made.insert(op);
    }
    return false;
  }

  bool hasPoint(StringRef name) {
    peft::ModuleOp root = modules.lookup("model");
    return root && llvm::any_of(root.getForward().getOps<peft::PointOp>(), [&](peft::PointOp point) { return point.getName() == name; });
  }

  // ---- one function ----
  func::FuncOp begin(StringRef name, TypeRange inputs, Location loc) {
    points.clear();
    results.clear();
    layers.clear();
    memo.assign(instances.size(), IRMapping());
    extra.clear();
    outsideAllowed = false;
    builder.setInsertionPointToEnd(module.getBody());
    auto func = func::FuncOp::create(builder, loc, name, builder.getFunctionType(inputs, {}));
    func.addEntryBlock();
    builder.setInsertionPointToStart(&func.getBody().front());
    return func;
  }

  void finish(func::FuncOp func, ArrayRef<std::pair<std::string, Value>> named) {
    SmallVector<Value> values;
    for (auto &[name, value] : named)
      values.push_back(value);
    func::ReturnOp::create(builder, func.getLoc(), values);
    func.setFunctionType(builder.getFunctionType(func.getBody().front().getArgumentTypes(), TypeRange(ValueRange(values))));
    for (auto [i, entry] : llvm::enumerate(named))
      func.setResultAttr(i, "nn.name", builder.getStringAttr(entry.first));
    eraseDead(func);
  }

  static void eraseDead(func::FuncOp func) {
    for (Operation &op : llvm::make_early_inc_range(llvm::reverse(func.getBody().front())))
      if (isOpTriviallyDead(&op))
        op.erase();
  }

  LogicalResult program(StringRef name, bool train, ArrayRef<StringRef> wanted, bool metrics, bool plain = false) {
    peft::ModuleOp root = modules.lookup("model");
    if (!root)
      return module.emitError("there is no peft.module @model");
    training = train;
    auto func = begin(name, root.getForward().getArgumentTypes(), root.getLoc());
    func->setAttr("nn.mode", builder.getStringAttr(train ? "train" : "infer"));
    SmallVector<Value> args(func.getArguments().begin(), func.getArguments().end());
    inputs = args;
    for (auto [i, input] : llvm::enumerate(root.getInputs()))
      func.setArgAttr(i, "nn.name", input);
    FailureOr<Value> value = inlineModule("model", args, plain ? 0 : instances.size());
    if (failed(value))
      return failure();
    SmallVector<std::pair<std::string, Value>> named;
    const bool predicts = name.starts_with("predict");
    for (StringRef want : wanted) {
      auto it = points.find({"model", want.str()});
      if (it == points.end())
        return root.emitError("the model has no point `") << want << "`";
      const bool last = predicts && want == "next" && !cast<NNType>(it->second.getType()).isStatic();
      named.push_back({want.str(), last ? lastEntry(builder, it->second, 0) : it->second});
    }
    auto count = points.find({"model", "count"}); // how many targets a row has, where it is not one
    const bool hasLoss = llvm::is_contained(wanted, "loss");
    if (hasLoss && !predicts) // how well a row is predicted has nothing to do with what methods want of their parameters
      if (failed(addLossTerms(named.front().second, count == points.end() ? Value() : count->second)))
        return failure();
    if (hasLoss && count != points.end())
      named.push_back({"count", count->second});
    for (auto [index, layer] : llvm::enumerate(name == "train" ? ArrayRef(layers) : ArrayRef<std::pair<Value, Value>>())) {
      named.push_back({llvm::formatv("layer.{0}.in", index), layer.first});
      named.push_back({llvm::formatv("layer.{0}.out", index), layer.second});
    }
    if (auto token = points.find({"model", "token"}); token != points.end() && predicts)
      named.push_back({"token", token->second}); // which token each row of logits speaks of
    if (metrics)
      for (auto &[result, v] : results)
        named.push_back({result, v});
    finish(func, named);
    if (failed(resolveOrigins(func, builder))) // behind `finish`: an origin may be a result itself
      return failure();
    eraseDead(func);
    // Targets have no place where only logits are wanted.
    for (unsigned i = func.getNumArguments(); i-- > 0;)
      if (func.getArgument(i).use_empty() && !hasLoss)
        if (failed(func.eraseArgument(i)))
          return failure();
    return success();
  }

  /// The loss is divided by the batch's count of targets; what methods add to it is not to depend on that.
  LogicalResult addLossTerms(Value &loss, Value count) {
    for (auto [i, instance] : llvm::enumerate(instances))
      for (auto term : instance.getOps<peft::LossOp>()) {
        FailureOr<Value> value = materialize(term.getValue(), i);
        if (failed(value))
          return failure();
        Value weighed = count ? MulOp::create(builder, term.getLoc(), *value, count).getResult() : *value;
        loss = AddOp::create(builder, term.getLoc(), loss, weighed);
      }
    return success();
  }

  // ---- modules ----
  FailureOr<Value> inlineModule(StringRef path, ValueRange args, size_t limit) {
    peft::ModuleOp op = modules.lookup(path);
    if (!op)
      return module.emitError("there is no peft.module @") << path, failure();
    const bool isOuterLayer = training && marksLayers && !insideLayer && !args.empty() && llvm::is_contained(kindsOf(op), "layer");
    const llvm::SaveAndRestore inside(insideLayer, insideLayer || isOuterLayer);
    FailureOr<Value> value = inlineBody(op, args, limit);
    if (isOuterLayer && succeeded(value))
      layers.push_back({args.front(), *value});
    return value;
  }

  FailureOr<Value> inlineBody(peft::ModuleOp op, ValueRange args, size_t limit) {
    StringRef path = op.getSymName();
    IRMapping mapping;
    Block &body = op.getForward().front();
    mapping.map(body.getArguments(), args);
    for (Operation &inner : body) {
      if (auto point = dyn_cast<peft::PointOp>(inner)) {
        FailureOr<Value> value = rewire(path, point.getName(), mapping.lookup(point.getValue()), limit);
        if (failed(value))
          return failure();
        mapping.map(point.getResult(), *value);
        if (pass && path == "model" && point.getName() == pass.getPoint())
          return *value;
      } else if (auto call = dyn_cast<peft::CallOp>(inner)) {
        SmallVector<Value> values;
        for (Value arg : call.getArgs())
          values.push_back(mapping.lookup(arg));
        FailureOr<Value> value = inlineModule(call.getCallee(), values, limit);
        if (failed(value))
          return failure();
        mapping.map(call.getResult(), *value);
      } else if (auto result = dyn_cast<peft::ResultOp>(inner)) {
        results[result.getName().str()] = mapping.lookup(result.getValue());
      } else if (auto mode = dyn_cast<ByModeOp>(inner)) {
        mapping.map(mode.getResult(), mapping.lookup(training ? mode.getTrain() : mode.getInfer()));
      } else if (auto yield = dyn_cast<peft::YieldOp>(inner)) {
        return yield.getValues().empty() ? Value() : mapping.lookup(yield.getValues().front());
      } else if (failed(clone(inner, mapping))) {
        return failure();
      }
    }
    return op.emitError("has no peft.yield"), failure();
  }

  FailureOr<Value> rewire(StringRef path, StringRef point, Value value, size_t limit) {
    PointKey key{path.str(), point.str()};
    auto changed = changes.find(point);
    const bool isGiven = pass && path == "model" && changed != changes.end();
    points[key] = value = isGiven ? changed->second : value;
    auto it = rewires.find(key);
    if (it == rewires.end())
      return value;
    for (Rewire &entry : it->second) {
      if (entry.instance >= limit)
        break;
      if ((pass && entry.asksForPass) || (isGiven && entry.instance <= passOf)) // what is given is what the pass's method makes of it; attaches behind that one find it so
        continue;
      keepReads(entry, key);
      FailureOr<Value> next = materialize(entry.op.getValue(), entry.instance);
      if (failed(next))
        return failure();
      points[key] = *next;
    }
    return points[key];
  }

  // ---- instances ----
  /// What a method has read of a point before it changes it stays what it was, wherever the method uses it; so does what one in front has read of a point that it
  /// gives to a pass, where `entry` changes it anew.
  void keepReads(const Rewire &entry, const PointKey &key) {
    for (size_t index = 0; index <= entry.instance; ++index) {
      const bool isOwn = index == entry.instance;
      if (!isOwn && (key.first != "model" || !given[index].contains(key.second)))
        continue;
      for (auto read : instances[index].getOps<peft::ReadOp>())
        if (read.getSite() == key.first && read.getPoint() == key.second && (!isOwn || read->isBeforeInBlock(entry.op)) && !memo[index].contains(read.getResult()))
          memo[index].map(read.getResult(), points[key]);
    }
  }

  FailureOr<Value> materialize(Value value, size_t index) {
    IRMapping &mapping = memo[index];
    if (Value done = mapping.lookupOrNull(value))
      return done;
    Operation *op = value.getDefiningOp();
    if (auto read = dyn_cast<peft::ReadOp>(op)) {
      auto it = points.find({read.getSite().str(), read.getPoint().str()});
      if (it == points.end() && !outsideAllowed)
        return op->emitError("`") << read.getPoint() << "` of `" << read.getSite() << "` is read before it is computed", failure();
      Value found = it == points.end() ? outside(read) : it->second;
      mapping.map(value, found);
      return found;
    }
    if (auto mode = dyn_cast<ByModeOp>(op)) {
      FailureOr<Value> chosen = materialize(training ? mode.getTrain() : mode.getInfer(), index);
      if (succeeded(chosen))
        memo[index].map(value, *chosen);
      return chosen;
    }
    for (Value operand : op->getOperands())
      if (failed(materialize(operand, index)))
        return failure();
    if (auto base = dyn_cast<peft::BaseOp>(op)) {
      SmallVector<Value> args;
      for (Value arg : base.getArgs())
        args.push_back(memo[index].lookup(arg));
      // What earlier attaches do there is done anew, on this input.
      auto before = points;
      auto values = std::exchange(memo, std::vector<IRMapping>(memo.size()));
      FailureOr<Value> result = inlineModule(base.getSite(), args, index);
      points = std::move(before);
      memo = std::move(values);
      if (succeeded(result))
        memo[index].map(value, *result);
      return result;
    }
    if (auto other = dyn_cast<peft::PassOp>(op))
      return anotherPass(other, index);
    if (failed(clone(*op, memo[index])))
      return failure();
    return memo[index].lookup(value);
  }

  /// The whole model once more, as far as the point that is wanted.
  FailureOr<Value> anotherPass(peft::PassOp op, size_t index) {
    if (outsideAllowed) { // for merging: what the text makes of it
      Value &arg = extra[("model." + op.getPoint()).str()];
      if (!arg)
        arg = builder.getInsertionBlock()->addArgument(op.getType(), op.getLoc());
      memo[index].map(op.getResult(), arg);
      return arg;
    }
    llvm::StringMap<Value> changed;
    for (auto [name, value] : llvm::zip(op.getChanged().getAsValueRange<StringAttr>(), op.getValues()))
      changed[name] = memo[index].lookup(value);
    auto pointsBefore = points;
    auto resultsBefore = results;
    auto values = std::exchange(memo, std::vector<IRMapping>(memo.size()));
    std::swap(changes, changed);
    auto before = std::exchange(pass, op);
    const size_t instanceBefore = std::exchange(passOf, index);
    FailureOr<Value> result = inlineModule("model", inputs, instances.size());
    passOf = instanceBefore;
    pass = before;
    std::swap(changes, changed);
    memo = std::move(values);
    results = std::move(resultsBefore);
    points = std::move(pointsBefore);
    if (succeeded(result))
      memo[index].map(op.getResult(), *result);
    return result;
  }

  /// A value from outside of the function being built becomes an argument of it.
  Value outside(peft::ReadOp read) {
    std::string name = (read.getSite() + "." + read.getPoint()).str();
    Value &arg = extra[name];
    if (!arg)
      arg = builder.getInsertionBlock()->addArgument(read.getType(), read.getLoc());
    return arg;
  }

  /// Clones an op with mapped operands and infers its result type again.
  LogicalResult clone(Operation &op, IRMapping &mapping) {
    Operation *copy = op.clone(mapping);
    if (auto infer = dyn_cast<InferTypeOpInterface>(copy)) {
      SmallVector<Type> types;
      if (failed(infer.inferReturnTypes(op.getContext(), op.getLoc(), copy->getOperands(), copy->getAttrDictionary(),
                                        copy->getPropertiesStorage(), copy->getRegions(), types))) {
        copy->destroy();
        return failure();
      }
      copy->getResult(0).setType(types.front());
    } else if (auto random = dyn_cast<RandomOp>(copy); random && random.getLike()) {
      copy->getResult(0).setType(random.getLike().getType().withElement(random.getType().getElement()));
    }
    if (auto random = dyn_cast<RandomOp>(copy); random && pass && random.getRate() != "step") // another pass draws anew
      random.setSite((random.getSite() ^ (pass.getNumber() * 0x9e3779b1)) & 0x7fffffff);
    builder.insert(copy);
    return success();
  }

  // ---- functions for nn-derive-merge ----
  LogicalResult siteFunctions(peft::ModuleOp op) {
    StringRef path = op.getSymName();
    SmallVector<StringRef> rewired;
    op.walk([&](peft::PointOp point) {
      const bool ofTraining = path == "model" && point.getName() == "loss"; // no part of what is merged
      if (!ofTraining && rewires.count({path.str(), point.getName().str()}))
        rewired.push_back(point.getName());
    });
    if (rewired.empty())
      return success();
    training = false;
    std::map<std::string, std::string> weights; // point -> parameter
    bool hasY = false;
    op.walk([&](peft::PointOp point) {
      hasY |= point.getName() == "y";
      if (auto param = point.getValue().getDefiningOp<ParamOp>())
        weights[point.getName().str()] = param.getName().str();
    });
    bool affineSite = op.getInputs().size() == 1 && hasY && weights.count("W") && llvm::is_contained(kindsOf(op), "linear");
    if (affineSite)
      return affineFunction(op, weights);
    for (StringRef point : rewired)
      if (failed(hookFunction(op, point, weights)))
        return failure();
    return success();
  }

  static SmallVector<StringRef> kindsOf(peft::ModuleOp op) {
    SmallVector<StringRef> kinds;
    for (Attribute kind : op.getKinds())
      kinds.push_back(cast<StringAttr>(kind).getValue());
    return kinds;
  }

  LogicalResult affineFunction(peft::ModuleOp op, std::map<std::string, std::string> &weights) {
    StringRef path = op.getSymName();
    auto func = begin(("site." + path).str(), op.getForward().getArgumentTypes(), op.getLoc());
    outsideAllowed = true;
    FailureOr<Value> value = inlineModule(path, ValueRange(func.getArguments().take_front(1)), instances.size());
    if (failed(value))
      return failure();
    finish(func, {{"y", *value}});
    func->setAttr("nn.site", builder.getStringAttr(path));
    func->setAttr("nn.weight", builder.getStringAttr(weights["W"]));
    if (weights.count("b"))
      func->setAttr("nn.bias", builder.getStringAttr(weights["b"]));
    func.setArgAttr(0, "nn.name", builder.getStringAttr("x"));
    nameExtras(func);
    keepTied(func, path, weights["W"]);
    return success();
  }

  /// What one of two modules with the same weight makes of it would be the other one's too.
  void keepTied(func::FuncOp func, StringRef path, const std::string &weight) {
    for (const std::string &other : owners[weight])
      if (other != path)
        func->setAttr("nn.tied", builder.getStringAttr(other));
  }

  LogicalResult hookFunction(peft::ModuleOp op, StringRef point, const std::map<std::string, std::string> &weights) {
    StringRef path = op.getSymName();
    auto &list = rewires[{path.str(), point.str()}];
    Type type;
    op.walk([&](peft::PointOp p) {
      if (p.getName() == point)
        type = p.getType();
    });
    auto func = begin(("hook." + path + "." + point).str(), type, list.front().op.getLoc());
    outsideAllowed = true;
    FailureOr<Value> value = rewire(path, point, func.getArgument(0), instances.size());
    if (failed(value))
      return failure();
    finish(func, {{"y", *value}});
    func->setAttr("nn.site", builder.getStringAttr(path));
    func.setArgAttr(0, "nn.name", builder.getStringAttr(point));
    nameExtras(func);
    if (auto weight = weights.find(point.str()); weight != weights.end())
      func->setAttr("nn.replaces", builder.getStringAttr(weight->second)), keepTied(func, path, weight->second);
    else
      func->setAttr("nn.unmergeable", builder.getStringAttr(blame(func, list.front().op)));
    return success();
  }

  void nameExtras(func::FuncOp func) {
    for (auto &[name, value] : extra)
      func.setArgAttr(cast<BlockArgument>(value).getArgNumber(), "nn.name", builder.getStringAttr(name));
  }

  /// The first operation of a rewiring that keeps it from being an affine map of its point.
  std::string blame(func::FuncOp func, peft::RewireOp rewire) {
    llvm::DenseSet<Value> live(func.getArguments().begin(), func.getArguments().end());
    for (Operation &op : func.getBody().front().without_terminator()) {
      if (llvm::none_of(op.getOperands(), [&](Value v) { return live.contains(v); }))
        continue;
      live.insert(op.getResults().begin(), op.getResults().end());
      if (!isa<AffineIn>(op) && !(op.hasTrait<MovesElements>() && op.getNumOperands() == 1))
        return (op.getName().getStringRef() + " at " + toString(op.getLoc())).str();
    }
    return ("`" + rewire.getPoint() + "` has no weight of its own to fold into, at " + toString(rewire.getLoc())).str();
  }

  ModuleOp module;
  OpBuilder builder;
  const bool marksLayers;
  llvm::StringMap<peft::ModuleOp> modules;
  SmallVector<peft::InstanceOp> instances;
  std::vector<llvm::StringSet<>> given; ///< by instance: the points that it gives to other passes
  std::map<PointKey, SmallVector<Rewire>> rewires;
  std::map<std::string, std::vector<std::string>> owners; ///< of a parameter: the modules that read it
  // Of the function under construction.
  bool training = false;
  bool outsideAllowed = false;
  std::map<PointKey, Value> points;
  std::map<std::string, Value> results;
  SmallVector<std::pair<Value, Value>> layers; ///< what each took first, and made
  bool insideLayer = false;
  std::map<std::string, Value> extra;
  std::vector<IRMapping> memo;
  SmallVector<Value> inputs; ///< of the model
  peft::PassOp pass;         ///< the other pass that is being inlined, if any
  size_t passOf = 0;         ///< the instance that asks for it
  llvm::StringMap<Value> changes; ///< its points that have values of their own
};
} // namespace

LogicalResult mlir::nn::inlineHooks(ModuleOp module) { return Inliner(module).run(); }
