// Names: every name in every file means something that is visible there.
//
// In     a Spec whose declarations are collected; no earlier errors
// Errs   E0356 nothing is called so, E0357 `run` has no such option, E0199 a function that is not built yet; of calls: Arguments.h
// What only a checkpoint decides is left to the compiler: a name that some module of some arch has is taken as given.
#pragma once
#include "lang/diag/Engine.h"
#include "lang/spec/Spec.h"

namespace peftc::sema {

void checkNames(const Spec &spec, diag::Engine &diags);

} // namespace peftc::sema
