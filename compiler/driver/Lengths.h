// Lengths: whether a network still fits together where what is attached makes texts longer or shorter.
//
// In     a module after its sites: every instance with what it rewires
// Out    how long a text may be, where the network has no place for more
// Errs   E0407, E0355 more tokens come in than the network has places
// How    whole functions show it and nothing less does: where a rewiring changes a length they are made, of a copy, and thrown away
#pragma once
#include "compiler/emit/EmitInfo.h"
#include "lang/diag/Engine.h"
#include "lang/spec/Spec.h"
#include "mlir/IR/BuiltinOps.h"

namespace peftc {

/// False after a report.
bool checkLengths(mlir::ModuleOp module, const Spec &spec, EmitInfo &info, diag::Engine &diags);

} // namespace peftc
