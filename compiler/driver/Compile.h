// Compile: a program and a checkpoint become a bundle.
#pragma once
#include "compiler/driver/Request.h"

namespace peftc {

/// A user's errors are in `diags`; the outcome then has no bundle.
Outcome compile(const Request &request, SourceMap &sources, diag::Engine &diags);

/// The bytes of a file, for `check`; nothing when it cannot be read.
std::optional<std::string> readFile(const std::string &path);
/// How a request's files are read: the program with what is appended to it.
FileLoader loaderOf(const Request &request);

} // namespace peftc
