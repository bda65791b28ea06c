// Space: what a program leaves open, and its text with the choices made.
//
// In     a Spec whose declarations are collected (names of arguments come of them)
// Out    the space; a text in which nothing is open: the program's own, comments kept
// Errs   E0206 a value or `search` twice, E0209 E0211 E0353 E0357 what a search cannot be; of choices that are made:
//        E0504 one is missing, E0505 there is none of that name, E0506 it has no such value
#pragma once
#include "lang/diag/Engine.h"
#include "lang/spec/Space.h"
#include "lang/spec/Spec.h"

namespace peftc::sema {

Space spaceOf(const Spec &spec, diag::Engine &diags);

/// Whether each choice of the space that matters is made, and all that are made are choices of it; else it is said.
bool checkChoices(const Space &space, const std::vector<MadeChoice> &made, diag::Engine &diags);

/// Points that together hold every value, with every attach in place: what is to be checked of a space.
std::vector<std::vector<MadeChoice>> coveringPoints(const Space &space);

/// `text`, of which `space` is, with the choices made. An attach that is not chosen stays as a comment, `search` goes.
std::string withChoices(const Space &space, const std::string &text, const std::vector<MadeChoice> &made);

} // namespace peftc::sema
