// Arguments: what a call gives against what is asked for.
//
// Errs   E0206 given twice, E0209 an argument of no such name, E0210 one that is missing, E0211 too many; of literals: Literals.h
#pragma once
#include "lang/diag/Engine.h"
#include "lang/sema/NameScope.h"

namespace peftc::sema {

struct Signature {
  struct Formal {
    std::string name;
    bool required = false;
    bool byNameOnly = false;
    Range range; ///< where it is declared
    const ast::TypeExpr *type = nullptr;
  };
  std::string what;
  std::vector<Formal> formals;
  bool anyPositional = false, anyNamed = false;
  bool inOrder = false; ///< a later one only after an earlier one: numbers of a distribution
};

Signature signatureOf(const ast::Declaration &decl);
Signature signatureOf(const Builtin &builtin);

/// `place`: what is called, for what is missing. `scope`: what names in the arguments may mean.
void checkArguments(const Signature &signature, const std::vector<ast::Argument> &args, Range place, const Visible &scope,
                    diag::Engine &diags);
/// `group lr = 1e-3`, `run { … }`: fields with names out of a list. `what` has them.
void checkFields(const std::string &what, const std::vector<std::string> &known, const std::vector<ast::Field> &fields,
                 diag::Engine &diags);

} // namespace peftc::sema
