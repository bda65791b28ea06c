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
  return success();
}
