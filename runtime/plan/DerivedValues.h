// DerivedValues: gives a program the values that the compiler took out of it because they do not change between its runs.
//
// `p.constant` is run once in an executor's life, `p.step` again when a parameter that it reads has other bytes.
#pragma once
#include "runtime/plan/Executor.h"

namespace peftrt {

/// `bytesAreHere`: whether this process can look at a parameter's bytes; else `p.step` is run each time.
/// `inner` with the `derived.<i>` inputs of its programs filled in. Borrows `bundle` only for the call.
std::unique_ptr<Executor> withDerivedValues(const Bundle &bundle, const ParameterStore &parameters, std::unique_ptr<Executor> inner, bool bytesAreHere);

} // namespace peftrt
