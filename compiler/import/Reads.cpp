// Reads: a rewiring reads only what the network has computed when it comes to the rewired point, and the network reads what it makes.
//
// In     the module tree, the instances at their sites
// Errs   E0405, E0406; E0408, E0409 of gradients, which are of training and of what lies behind them. What is wrong at every site of a kind the check of a text alone has said (E0404); here the arch's order decides
#include "compiler/import/Elaborator.h"
#include "dialects/nn/Nn.h"
#include "dialects/peft/Peft.h"

namespace peftc::import {
namespace {

using Point = std::pair<std::string, std::string>; // site, name

/// The points in the order in which a run of the network comes to them.
std::map<Point, size_t> orderOf(mlir::ModuleOp module) {
  llvm::StringMap<mlir::peft::ModuleOp> modules;
  for (auto op : module.getOps<mlir::peft::ModuleOp>())
    modules[op.getSymName()] = op;
  std::map<Point, size_t> order;
  std::function<void(llvm::StringRef)> run = [&](llvm::StringRef path) {
    for (mlir::Operation &op : modules.lookup(path).getForward().front())
      if (auto point = mlir::dyn_cast<mlir::peft::PointOp>(op))
        order.try_emplace({path.str(), point.getName().str()}, order.size());
      else if (auto call = mlir::dyn_cast<mlir::peft::CallOp>(op))
        run(call.getCallee());
  };
  run("model");
  return order;
}

mlir::ValueRange operandsOf(mlir::Operation *op) { return op->getOperands(); }
mlir::ValueRange operandsOutsideTraining(mlir::Operation *op) {
  auto mode = mlir::dyn_cast<mlir::nn::ByModeOp>(op);
  return mode ? mlir::ValueRange(mode.getODSOperands(1)) : operandsOf(op);
}
mlir::ValueRange differentiatedOperands(mlir::Operation *op) { return mlir::isa<mlir::nn::GradientOp>(op) ? mlir::ValueRange() : operandsOf(op); }

/// What a value is made of, itself last.
llvm::SetVector<mlir::Operation *> madeOf(mlir::Value value, llvm::function_ref<mlir::ValueRange(mlir::Operation *)> from = operandsOf) {
  llvm::SetVector<mlir::Operation *> operations;
  std::vector<mlir::Operation *> open = {value.getDefiningOp()};
  while (!open.empty()) {
    mlir::Operation *op = open.back();
    open.pop_back();
    if (op && operations.insert(op))
      for (mlir::Value operand : from(op))
        open.push_back(operand.getDefiningOp());
  }
  return operations;
}

/// The points that something is made of: the loss, the logits, a metric, or what a method makes of them.
class Needed {
public:
  explicit Needed(mlir::ModuleOp module) {
    for (auto op : module.getOps<mlir::peft::ModuleOp>())
      modules[op.getSymName()] = op;
    need("model", "loss");
    need("model", "logits");
    modules.lookup("model").walk([&](mlir::peft::ResultOp result) { need("model", result.getValue()); });
    module.walk([&](mlir::peft::LossOp term) { needReads(term.getValue()); });
    needChanges(module);
  }
  /// Those that one value of a method is made of, as far as reverse mode would see it.
  Needed(mlir::ModuleOp module, mlir::Value value) : operands(differentiatedOperands) {
    for (auto op : module.getOps<mlir::peft::ModuleOp>())
      modules[op.getSymName()] = op;
    needReads(value);
    needChanges(module);
  }
  bool has(llvm::StringRef site, llvm::StringRef point) const { return points.count({site.str(), point.str()}); }
  /// Whether a value of a method is among what is needed: by itself, or as the point that it reads.
  bool has(mlir::Value value) const {
    auto read = value.getDefiningOp<mlir::peft::ReadOp>();
    return seen.contains(value.getDefiningOp()) || (read && has(read.getSite(), read.getPoint()));
  }

private:
  /// What methods make of a point, until nothing is added.
  void needChanges(mlir::ModuleOp module) {
    for (size_t before = 0, now = 1; before != now; now = points.size()) {
      before = points.size();
      module.walk([&](mlir::peft::RewireOp rewire) {
        if (has(rewire.getSite(), rewire.getPoint()))
          needReads(rewire.getValue());
      });
    }
  }
  void need(llvm::StringRef site, llvm::StringRef name) {
    if (auto op = modules.lookup(site))
      for (auto point : op.getForward().getOps<mlir::peft::PointOp>())
        if (point.getName() == name)
          need(site, point.getResult());
  }
  void need(llvm::StringRef site, mlir::Value value) {
    std::vector<std::pair<llvm::StringRef, mlir::Value>> open = {{site, value}}; // as deep as the network, so no recursion
    auto ask = [&](llvm::StringRef place, mlir::ValueRange values) {
      for (mlir::Value one : values)
        open.push_back({place, one});
    };
    while (!open.empty()) {
      auto [place, next] = open.back();
      open.pop_back();
      mlir::Operation *op = next.getDefiningOp();
      if (!op || !seen.insert(op).second)
        continue;
      if (auto point = mlir::dyn_cast<mlir::peft::PointOp>(op))
        points.insert({place.str(), point.getName().str()});
      else if (auto call = mlir::dyn_cast<mlir::peft::CallOp>(op))
        ask(call.getCallee(), results(call.getCallee()));
      ask(place, op->getOperands());
    }
  }
  void needReads(mlir::Value value) {
    for (mlir::Operation *op : madeOf(value, operands)) {
      seen.insert(op);
      if (auto read = mlir::dyn_cast<mlir::peft::ReadOp>(op))
        need(read.getSite(), read.getPoint());
      else if (auto pass = mlir::dyn_cast<mlir::peft::PassOp>(op))
        need("model", pass.getPoint());
      else if (auto base = mlir::dyn_cast<mlir::peft::BaseOp>(op))
        for (mlir::Value result : results(base.getSite()))
          need(base.getSite(), result);
    }
  }
  mlir::ValueRange results(llvm::StringRef site) {
    auto op = modules.lookup(site);
    return op ? op.getForward().front().getTerminator()->getOperands() : mlir::ValueRange();
  }

  llvm::StringMap<mlir::peft::ModuleOp> modules;
  mlir::ValueRange (*operands)(mlir::Operation *) = operandsOf;
  llvm::DenseSet<mlir::Operation *> seen;
  std::set<Point> points;
};

/// Which changes the network makes something of.
class Uses {
public:
  Uses(mlir::ModuleOp module, const std::map<Point, size_t> &order) : needed(module), order(order) {
    module.walk([&](mlir::peft::LossOp term) { use(term, term.getValue()); });
    module.walk([&](mlir::peft::RewireOp rewire) {
      if (isUsed(rewire))
        use(rewire, rewire.getValue());
    });
  }
  /// A change is idle if with it a parameter is trained in name only, or if all that its instance changes is unused. Bookkeeping beside a change
  /// that counts is not: a prompt moves the token that a classifier reads, and a language model has none.
  bool isIdle(mlir::peft::RewireOp rewire) const {
    return !isUsed(rewire) && (!instances.contains(rewire->getParentOp()) || llvm::any_of(parametersOf(rewire.getValue()), [&](mlir::Attribute one) { return !parameters.contains(one); }));
  }

private:
  bool isUsed(mlir::peft::RewireOp rewire) const { return order.count({rewire.getSite().str(), rewire.getPoint().str()}) && needed.has(rewire.getSite(), rewire.getPoint()); }
  void use(mlir::Operation *op, mlir::Value value) {
    instances.insert(op->getParentOp());
    for (mlir::Attribute one : parametersOf(value))
      parameters.insert(one);
  }
  static llvm::SmallVector<mlir::Attribute> parametersOf(mlir::Value value) {
    llvm::SmallVector<mlir::Attribute> found;
    for (mlir::Operation *op : madeOf(value))
      if (auto param = mlir::dyn_cast<mlir::nn::ParamOp>(op))
        found.push_back(param.getNameAttr());
    return found;
  }

  const Needed needed;
  const std::map<Point, size_t> &order;
  llvm::DenseSet<mlir::Operation *> instances;
  llvm::DenseSet<mlir::Attribute> parameters;
};

/// What methods give to the network: points that they change, terms of the loss.
void forGiven(mlir::peft::InstanceOp instance, llvm::function_ref<void(mlir::Value)> visit) {
  instance.walk([&](mlir::peft::RewireOp rewire) { visit(rewire.getValue()); });
  instance.walk([&](mlir::peft::LossOp term) { visit(term.getValue()); });
}

std::string pathOf(llvm::StringRef site, llvm::StringRef point) { return (site + "." + point).str(); }

} // namespace

void Elaborator::checkReads() {
  const std::map<Point, size_t> order = orderOf(module_);
  const Uses uses(module_, order);
  for (auto instance : module_.getOps<mlir::peft::InstanceOp>())
    instance.walk([&](mlir::peft::RewireOp rewire) {
      diag::Blame blame(diags_, attaches_[instance.getAttach()].stmt->method->range);
      if (uses.isIdle(rewire))
        fail(diag::Kind::E0406, reads_.lookup(rewire), {pathOf(rewire.getSite(), rewire.getPoint())}, "", "`except " + rewire.getSite().str() + "` behind the selector leaves it out");
      auto at = order.find({rewire.getSite().str(), rewire.getPoint().str()});
      if (at == order.end()) // bookkeeping at a point that no run comes to
        return;
      for (mlir::Operation *op : madeOf(rewire.getValue())) {
        auto read = mlir::dyn_cast<mlir::peft::ReadOp>(op);
        auto from = read ? order.find({read.getSite().str(), read.getPoint().str()}) : order.end();
        if (!read || (from != order.end() && from->second <= at->second))
          continue;
        const bool near = read.getSite() == rewire.getSite();
        auto spell = [&](llvm::StringRef site, llvm::StringRef point) { return near ? point.str() : pathOf(site, point); };
        fail(diag::Kind::E0405, reads_.lookup(op), {spell(read.getSite(), read.getPoint()), spell(rewire.getSite(), rewire.getPoint())});
      }
    });
}

/// A gradient is of training, where something is trained by it, and of something that is made of what it is taken by.
void Elaborator::checkGradients() {
  for (auto instance : module_.getOps<mlir::peft::InstanceOp>()) {
    diag::Blame blame(diags_, attaches_[instance.getAttach()].stmt->method->range);
    forGiven(instance, [&](mlir::Value given) {
      for (mlir::Operation *op : madeOf(given, operandsOutsideTraining))
        if (mlir::isa<mlir::nn::GradientOp>(op))
          fail(diag::Kind::E0408, reads_.lookup(op), {}, "", "`if training then … else …`, where it is used");
    });
    instance.walk([&](mlir::nn::GradientOp gradient) {
      if (!Needed(module_, gradient.getValue()).has(gradient.getX()))
        fail(diag::Kind::E0409, reads_.lookup(gradient), {}, "", "name it by `let`, give the name to what the number is made of, and differentiate by the name");
    });
  }
}

} // namespace peftc::import
