// Sites: selectors and kinds of sites, as far as the text of the arch decides: for a check without a checkpoint.
//
// In     a Spec without errors, with a `model`; its arch's and task's modules
// Out    nothing: with a checkpoint, compiler/import resolves the same selectors on the real tree and says more (how many sites)
// Errs   E0401 a path that leads nowhere, E0402 a method that has no clause for a site, E0403 a `train` of what is no weight
#pragma once
#include "lang/diag/Engine.h"
#include "lang/spec/Spec.h"

namespace peftc::sema {

void checkSites(const Spec &spec, diag::Engine &diags);

} // namespace peftc::sema
