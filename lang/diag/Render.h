// Render: diagnostics as text, for a person (rustc's layout), for a terminal list (short), for a program (JSON).
//
// Sorted by place, the same one only once, at most `limit` of them; a last line says how many there are in all.
#pragma once
#include "lang/diag/Engine.h"

namespace peftc::diag {

enum class Format { Rich, Short, Json };

/// "rich" | "short" | "json"; false where the name is none of them.
bool formatNamed(std::string_view name, Format &format);

std::string render(const Engine &diags, Format format = Format::Rich, size_t limit = 20);

/// What `render` shows, in its order: sorted, without repetitions.
std::vector<const Diagnostic *> inOrder(const Engine &diags);

/// The text of source `file` with the fix-its of all diagnostics applied; of overlapping ones the first.
std::string applyFixIts(const Engine &diags, int32_t file);

/// The page of `peftc explain E0101`, or null. (Generated from lang/diag/explain.)
const char *explainPage(std::string_view code);

} // namespace peftc::diag
