// Dump: a syntax tree as text, one node a line, without ranges: `--emit=ast`, and what tests compare.
#pragma once
#include "lang/ast/Ast.h"

namespace peftc::ast {

std::string dump(const File &file);
std::string dump(const Expr &expr);

} // namespace peftc::ast
