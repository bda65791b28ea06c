// Suggest: the name that was meant.
//
// In turn: the same but for case; a name that other software gives the same thing (ForeignNames.def); the nearest by
// restricted Damerau-Levenshtein distance within max(length, 3) / 3; the same words in another order.
#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace peftc::diag {

/// One of `candidates`, or none that is near enough.
std::optional<std::string> suggest(std::string_view written, const std::vector<std::string> &candidates);

/// Insertions, deletions, substitutions and swaps of neighbours that lead from `a` to `b`.
size_t editDistance(std::string_view a, std::string_view b);

} // namespace peftc::diag
