// TokenizerHelper: the Python text that `tokenize` runs.
#pragma once

namespace peftrt {
extern const char *const kTokenizerHelper;
} // namespace peftrt
