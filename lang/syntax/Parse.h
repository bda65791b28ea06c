// Parse: text to syntax tree. Everything wrong with the text is reported (E01xx); what could be read is returned.
//
// No exception leaves these functions, and no ANTLR type does. A file that was reported on may lack statements.
#pragma once
#include "lang/ast/Ast.h"
#include "lang/diag/Engine.h"

namespace peftc {

/// The whole text `source` of `sources`.
ast::File parse(const SourceMap &sources, int32_t source, diag::Engine &diags);

/// A text that is one expression (`--set r=16`); null after an error, which is reported.
ast::ExprPtr parseExpression(const SourceMap &sources, int32_t source, diag::Engine &diags);

} // namespace peftc
