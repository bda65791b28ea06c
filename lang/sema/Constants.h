// Constants: numbers that a program computes when it is compiled, as far as no checkpoint is needed.
//
// Errs   E0350 a number that is not finite, functions that call each other without end; E0351, E0353 an argument that its parameter's type does not allow
// Never a false alarm: what depends on a checkpoint or a site is not known, and of an `if` whose condition is not known neither branch is followed.
#pragma once
#include "lang/diag/Engine.h"
#include "lang/spec/Spec.h"

namespace peftc::sema {

void checkConstants(const Spec &spec, diag::Engine &diags);

} // namespace peftc::sema
