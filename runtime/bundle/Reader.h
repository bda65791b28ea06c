// Reader: a bundle from a trainer file, from a folder that `--bundle DIR` wrote, or from the running executable.
//
// Errs  R0101 the bundle is of a newer format
//       R0103 a section is damaged
//       R0104 the file is cut short, or holds no bundle
//       R0110 it cannot be opened
#pragma once
#include "runtime/bundle/Format.h"
#include <string>

namespace peftrt {

Bundle readBundle(const std::string &path);

} // namespace peftrt
