// Format: one layout for a text; `peftc fmt`.
//
// In     a text; one with errors comes back as it is (they are reported)
// Out    the same tokens and comments in the same lines: two spaces a level, one space between words, at most one blank
//        line, comments at the ends of neighbouring lines in one column
// Keeps  the meaning (the tree's dump is equal) and itself: format(format(x)) == format(x)
#pragma once
#include "lang/diag/Engine.h"

namespace peftc {

std::string format(const SourceMap &sources, int32_t source, diag::Engine &diags);

} // namespace peftc
