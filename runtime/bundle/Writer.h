// Writer: a bundle as a trainer file or as a folder of its sections. Standard library and nlohmann/json only: the compiler
// links it.
//
// Errs  R0110 the runner cannot be read
//       R0117 writing failed; what was there before is as it was
#pragma once
#include "runtime/bundle/Format.h"
#include <string>

namespace peftrt {

/// The sections as files that can be read and diffed; makes the folder.
void writeDirectory(const Bundle &bundle, const std::string &folder);
/// The runner's bytes, then the archive; executable. Appears whole or not at all.
void writeTrainer(const Bundle &bundle, const std::string &runnerPath, const std::string &outPath);

/// The archive alone, which `readBundle` reads too. Appears whole or not at all.
void writeArchive(const Bundle &bundle, const std::string &path);

} // namespace peftrt
