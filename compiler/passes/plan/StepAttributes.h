// StepAttributes: an `nn` op's attributes as the bundle spells them.
#pragma once
#include "dialects/nn/Nn.h"
#include "dialects/plan/Plan.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/Operation.h"

namespace mlir::plan {
/// Axes counted from the front, lengths as `plan.dim`; nothing that the result's type says already, no `nn.*` annotation.
/// Failure for an op that no program may hold.
FailureOr<DictionaryAttr> stepAttributes(Operation *op);
/// The type of a step's value.
PackedType packed(nn::NNType type);
} // namespace mlir::plan
