// Embedded: the files of the standard library as they were when peftc was built.
#pragma once
#include "lang/sema/Library.h"

namespace peftc::stdlib {
/// Sorted by name.
const std::vector<StdlibFile> &embedded();
} // namespace peftc::stdlib
