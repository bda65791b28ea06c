// Reads: a rewiring reads only what the network has computed when it comes to the rewired point.
//
// In     the module tree, the instances at their sites
// Errs   E0405. What is wrong at every site of a kind the check of a text alone has said (E0404); here the arch's order decides
#include "compiler/import/Elaborator.h"
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

/// What a value is made of, itself last.
llvm::SetVector<mlir::Operation *> madeOf(mlir::Value value) {
  llvm::SetVector<mlir::Operation *> operations;
  std::vector<mlir::Operation *> open = {value.getDefiningOp()};
  while (!open.empty()) {
    mlir::Operation *op = open.back();
    open.pop_back();
    if (op && operations.insert(op))
      for (mlir::Value operand : op->getOperands())
        open.push_back(operand.getDefiningOp());
  }
  return operations;
}

} // namespace

void Elaborator::checkReads() {
  const std::map<Point, size_t> order = orderOf(module_);
  for (auto instance : module_.getOps<mlir::peft::InstanceOp>())
    instance.walk([&](mlir::peft::RewireOp rewire) {
      auto at = order.find({rewire.getSite().str(), rewire.getPoint().str()});
      if (at == order.end())
        return; // the network never comes there
      for (mlir::Operation *op : madeOf(rewire.getValue())) {
        auto read = mlir::dyn_cast<mlir::peft::ReadOp>(op);
        auto from = read ? order.find({read.getSite().str(), read.getPoint().str()}) : order.end();
        if (!read || (from != order.end() && from->second <= at->second))
          continue;
        diag::Blame blame(diags_, attaches_[instance.getAttach()].stmt->method->range);
        const bool near = read.getSite() == rewire.getSite();
        auto spell = [&](llvm::StringRef site, llvm::StringRef point) { return near ? point.str() : (site + "." + point).str(); };
        fail(diag::Kind::E0405, reads_.lookup(op), {spell(read.getSite(), read.getPoint()), spell(rewire.getSite(), rewire.getPoint())});
      }
    });
}

} // namespace peftc::import
