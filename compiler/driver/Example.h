// Example: a small random checkpoint of an architecture, made of nothing but its `example` and its description.
#pragma once
#include "compiler/driver/Request.h"
#include "lang/diag/Engine.h"
#include "lang/source/Source.h"

namespace peftc {

/// Writes config.json and model.safetensors of the architecture that the request's program names into `folder`.
/// Errs  E0350 an architecture without an `example`, a value in it that is not a plain one; those of `check` and `import`
bool writeExample(const Request &request, const std::string &folder, uint64_t seed, SourceMap &sources, diag::Engine &diags);

} // namespace peftc
