// Shapes: what a method computes fits, by the names of dims; what these do not decide is silent here and shows with a checkpoint.
//
// Errs   E0350 shapes that certainly do not fit
#pragma once
#include "lang/diag/Engine.h"
#include "lang/spec/Spec.h"

namespace peftc::sema {

void checkShapes(const Spec &spec, diag::Engine &diags);

} // namespace peftc::sema
