// Check: texts -> a checked Spec.
//
// In     the user's file, the standard library, values for its inputs, choices among what it leaves open
// Out    Spec: every `use` resolved, declarations in tables by class, statements in order
// Errs   E02xx names, E03xx types and shapes, E05xx choices (see diag/Kinds.def)
#pragma once
#include "lang/diag/Engine.h"
#include "lang/sema/Library.h"
#include "lang/spec/Spec.h"
#include <functional>
#include <optional>

namespace peftc {

/// Reads a file that a program names with `use "path"`; nothing when it cannot be read.
using FileLoader = std::function<std::optional<std::string>(const std::string &path)>;

/// Parses and checks `mainPath` with everything that it uses. Where the program leaves values open, its text with `choices` made takes its place. Errors are in `diags`; the Spec is complete only without them.
/// `sources` holds nothing yet. Of the library a program with a `model` reads what it may mean; the whole of it is read for texts without one, which are for
/// any network, and where something is wrong, which may be a name misspelt.
std::unique_ptr<Spec> check(SourceMap &sources, const std::string &mainPath, Library &stdlib,
                            const std::vector<InputOverride> &overrides, diag::Engine &diags, const FileLoader &load,
                            const std::vector<MadeChoice> &choices = {});

/// The same as far as it takes to know what the program leaves open: declarations and statements, and `Spec::space`.
std::unique_ptr<Spec> readSpace(SourceMap &sources, const std::string &mainPath, Library &stdlib,
                                const std::vector<InputOverride> &overrides, diag::Engine &diags, const FileLoader &load);

} // namespace peftc
