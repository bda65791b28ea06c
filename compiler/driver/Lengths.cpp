// Lengths: see the header.
#include "compiler/driver/Lengths.h"
#include "compiler/passes/nn/InlineHooks.h"
#include "dialects/nn/Nn.h"
#include "dialects/peft/Peft.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/OwningOpRef.h"
#include "mlir/IR/SymbolTable.h"

using namespace mlir;

namespace peftc {
namespace {

/// The first rewiring that gives a point another number of tokens; null where there is none.
mlir::peft::RewireOp changedLength(mlir::peft::InstanceOp instance, const llvm::StringMap<mlir::peft::ModuleOp> &modules) {
  for (auto rewire : instance.getOps<mlir::peft::RewireOp>()) {
    mlir::peft::ModuleOp site = modules.lookup(rewire.getSite());
    if (!site)
      continue;
    for (auto point : site.getForward().getOps<mlir::peft::PointOp>()) {
      const auto before = dyn_cast<nn::NNType>(point.getResult().getType()), after = dyn_cast<nn::NNType>(rewire.getValue().getType());
      if (point.getName() == rewire.getPoint() && before && after && before.getDims() != after.getDims())
        return rewire;
    }
  }
  return nullptr;
}

/// A table that is read at the places of a text's tokens, and how many of those are not the text's own.
struct Places {
  int64_t rows, added;
};

/// The table with the least room.
std::optional<Places> placesIn(ModuleOp functions) {
  std::optional<Places> least;
  functions.walk([&](nn::GatherOp gather) {
    const nn::Dim rows = cast<nn::NNType>(gather.getTable().getType()).getDims()[0];
    if (!gather.getIndices().getDefiningOp<nn::IotaOp>() || !rows.isStatic())
      return;
    const nn::Dim tokens = cast<nn::NNType>(gather.getIndices().getType()).getDims()[0];
    if (tokens.scale == 1 && (!least || rows.constant - tokens.constant < least->rows - least->added))
      least = {rows.constant, tokens.constant};
  });
  return least;
}

const ast::AttachStmt *attachOf(const Spec &spec, int64_t index) {
  for (const ast::Stmt *stmt : spec.attachments)
    if (auto *attach = stmt->as<ast::AttachStmt>(); attach && index-- == 0)
      return attach;
  return nullptr;
}

} // namespace

bool checkLengths(ModuleOp module, const Spec &spec, EmitInfo &info, diag::Engine &diags) {
  llvm::StringMap<mlir::peft::ModuleOp> modules;
  for (auto op : module.getOps<mlir::peft::ModuleOp>())
    modules[op.getSymName()] = op;
  mlir::peft::RewireOp last;
  int64_t attach = 0;
  for (auto instance : module.getOps<mlir::peft::InstanceOp>())
    if (auto rewire = changedLength(instance, modules)) {
      last = rewire;
      attach = instance.getAttach();
    }
  if (!last)
    return true;
  std::string said;
  ScopedDiagnosticHandler handler(module.getContext(), [&](Diagnostic &diagnostic) {
    said = diagnostic.str();
    return success();
  });
  OwningOpRef<ModuleOp> copy(module.clone());
  const Range where = attachOf(spec, attach)->method->range;
  if (failed(nn::inlineHooks(*copy))) {
    const StringRef site = last.getSite();
    const std::string point = (site == "model" ? "" : site.str() + ".") + last.getPoint().str();
    diags.report(diag::Kind::E0407, where, {std::string(diags.sources().text(where)), point}).note(said).help("tokens that come in at the model's `embeds` are counted everywhere behind it");
    return false;
  }
  const std::optional<Places> places = placesIn(*copy);
  if (!places)
    return true;
  const int64_t room = places->rows - places->added;
  if (room < 1) {
    diags.report(diag::Kind::E0355, where, {std::to_string(places->added) + " tokens come before those of a text, the model has " + std::to_string(places->rows) + " positions"});
    return false;
  }
  if (info.maxPositions) // else its rows are no texts
    info.maxPositions = std::min(*info.maxPositions, room);
  return true;
}

} // namespace peftc
