// Gradients: what `on grad` replaces are gradients of the method's parameters, each once, and it reads nothing that an example has of its own.
//
// Errs   E0108 `on grad` beside clauses, E0206 a gradient replaced twice, E0358 what has no gradient, E0359 data of an example
// What is certain by the text alone; the rest (which branch is taken, which weights are trained) the compiler sees.
#pragma once
#include "lang/diag/Engine.h"
#include "lang/sema/NameScope.h"

namespace peftc::sema {

void checkGradients(const Spec &spec, diag::Engine &diags);

} // namespace peftc::sema
