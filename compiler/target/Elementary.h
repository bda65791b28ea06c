// Elementary: math ops of f32 become arithmetic; README.md has the errors.
#pragma once
#include "mlir/Pass/Pass.h"

namespace peftc::target {

/// exp, expm1, tanh, erf, log, log1p, log2, sin, cos and powf, on scalars and on vectors of one axis.
std::unique_ptr<mlir::Pass> createApproximateElementary();

} // namespace peftc::target
