// Peft: the `peft` dialect and its verifiers.
#include "dialects/peft/Peft.h"

using namespace mlir;
using namespace mlir::peft;

#include "dialects/peft/PeftDialect.cpp.inc"
#define GET_OP_CLASSES
#include "dialects/peft/PeftOps.cpp.inc"

void PEFTDialect::initialize() {
  addOperations<
#define GET_OP_LIST
#include "dialects/peft/PeftOps.cpp.inc"
      >();
}

LogicalResult mlir::peft::ModuleOp::verify() {
  // module_c1
  if (getInputs().size() != getForward().getNumArguments())
    return emitOpError("names ") << getInputs().size() << " inputs, its region has " << getForward().getNumArguments();
  // module_c2
  if (getForward().front().empty() || !isa<YieldOp>(getForward().front().back()))
    return emitOpError("does not end in peft.yield");
  return success();
}

/// The module of that path, or an error at `op`.
static FailureOr<peft::ModuleOp> find(Operation *op, SymbolTableCollection &symbols, StringAttr path) {
  if (auto found = symbols.lookupNearestSymbolFrom<peft::ModuleOp>(op->getParentOfType<mlir::ModuleOp>(), path))
    return found;
  return op->emitOpError("there is no module `") << path.getValue() << "`", failure();
}

static LogicalResult verifyInputs(Operation *op, SymbolTableCollection &symbols, StringAttr path) {
  auto callee = find(op, symbols, path);
  if (failed(callee))
    return failure();
  if (callee->getInputs().size() != op->getNumOperands())
    return op->emitOpError("`") << path.getValue() << "` has " << callee->getInputs().size() << " inputs, given are " << op->getNumOperands();
  return success();
}

static LogicalResult verifyPoint(Operation *op, SymbolTableCollection &symbols, StringAttr path, StringRef point) {
  auto site = find(op, symbols, path);
  if (failed(site))
    return failure();
  auto points = site->getForward().front().getOps<PointOp>();
  if (llvm::none_of(points, [&](PointOp candidate) { return candidate.getName() == point; }))
    return op->emitOpError("`") << path.getValue() << "` has no point `" << point << "`";
  return success();
}

LogicalResult CallOp::verifySymbolUses(SymbolTableCollection &symbols) { return verifyInputs(*this, symbols, getCalleeAttr()); }
LogicalResult BaseOp::verifySymbolUses(SymbolTableCollection &symbols) { return verifyInputs(*this, symbols, getSiteAttr()); }
LogicalResult InstanceOp::verifySymbolUses(SymbolTableCollection &symbols) { return find(*this, symbols, getSiteAttr()); }
LogicalResult ReadOp::verifySymbolUses(SymbolTableCollection &symbols) { return verifyPoint(*this, symbols, getSiteAttr(), getPoint()); }
LogicalResult PassOp::verifySymbolUses(SymbolTableCollection &symbols) {
  // pass_c1
  const auto model = StringAttr::get(getContext(), "model");
  for (StringRef point : llvm::concat<const StringRef>(llvm::to_vector(getChanged().getAsValueRange<StringAttr>()), SmallVector<StringRef>{getPoint()}))
    if (failed(verifyPoint(*this, symbols, model, point)))
      return failure();
  // pass_c2
  if (getChanged().size() != getValues().size())
    return emitOpError("names ") << getChanged().size() << " points, given are " << getValues().size() << " values";
  return success();
}
LogicalResult RewireOp::verifySymbolUses(SymbolTableCollection &symbols) { return verifyPoint(*this, symbols, getSiteAttr(), getPoint()); }
