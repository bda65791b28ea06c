// TextHelperScript: the Python text that a TextHelper runs.
#pragma once

namespace peftrt {
extern const char *const kTextHelperScript;
} // namespace peftrt
