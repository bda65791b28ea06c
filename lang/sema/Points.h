// Points: what a method changes at its site is a point of the kind, and comes from nothing behind it.
//
// Errs   E0199 a parameter is changed, E0206 two clauses for one kind, E0357 the kind has no such point,
//        E0404 a point that is computed from the one changed, E0405 one that is computed after it
// Whether one point is computed from another, or after it, is read off the archs and modules of that kind: all must agree.
#pragma once
#include "lang/diag/Engine.h"
#include "lang/sema/NameScope.h"

namespace peftc::sema {

void checkPoints(const Spec &spec, diag::Engine &diags);

} // namespace peftc::sema
