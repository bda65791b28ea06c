// Trainer: where the sections of a bundle go: a directory that can be read and compared, or a trainer file.
#pragma once
#include "compiler/emit/Emit.h"
#include <string>

namespace peftc::emit {

/// Writes each section as a file of `directory`, which is made if absent. The reason on failure, else "".
std::string writeDirectory(const Sections &sections, const std::string &directory);

/// Copies `runner`, appends the sections as an archive and moves the result to `path` in one step, executable. Nothing is at
/// `path` that was not there before if it fails; then the reason, else "".
std::string writeTrainer(const Sections &sections, const std::string &runner, const std::string &path);

} // namespace peftc::emit
