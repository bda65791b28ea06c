// Literals: a value that is written out against the type that it is given for.
//
// Errs   E0351 not a whole number, E0353 of another type or out of range, E0402 a method for other sites
#pragma once
#include "lang/diag/Engine.h"
#include "lang/spec/Spec.h"
#include <optional>

namespace peftc::sema {

/// `scope`: where a name in `value` is looked up; null when names have to be left alone.
void checkLiteral(const std::string &name, const ast::TypeExpr &type, const ast::Expr &value, const Scope *scope, diag::Engine &diags);
/// The same for a scalar type by its name; `count` is a whole number from 1. False where it has complained.
bool checkLiteral(const std::string &name, const std::string &type, const ast::Expr &value, diag::Engine &diags);

/// What a number for this type would have to be ("at least 0"), when it is not.
std::optional<std::string> outOfRange(const ast::TypeExpr &type, double number);

/// The names that a type may have.
const std::vector<std::string> &typeNames();

} // namespace peftc::sema
