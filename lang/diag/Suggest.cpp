// Suggest: see the header.
#include "lang/diag/Suggest.h"
#include <algorithm>
#include <cctype>

namespace peftc::diag {
namespace {

const std::pair<const char *, const char *> kForeign[] = {
#define PEFT_FOREIGN(THEIRS, OURS) {THEIRS, OURS},
#include "lang/diag/ForeignNames.def"
#undef PEFT_FOREIGN
};

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return out;
}

std::vector<std::string> words(std::string_view name) {
  std::vector<std::string> out(1);
  for (char c : name)
    if (c == '_')
      out.emplace_back();
    else
      out.back() += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  std::sort(out.begin(), out.end());
  return out;
}

} // namespace

size_t editDistance(std::string_view a, std::string_view b) {
  std::vector<std::vector<size_t>> d(a.size() + 1, std::vector<size_t>(b.size() + 1));
  for (size_t i = 0; i <= a.size(); ++i)
    for (size_t j = 0; j <= b.size(); ++j) {
      if (i == 0 || j == 0) {
        d[i][j] = i + j;
        continue;
      }
      d[i][j] = std::min({d[i - 1][j] + 1, d[i][j - 1] + 1, d[i - 1][j - 1] + (a[i - 1] != b[j - 1])});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        d[i][j] = std::min(d[i][j], d[i - 2][j - 2] + 1);
    }
  return d[a.size()][b.size()];
}

std::optional<std::string> suggest(std::string_view written, const std::vector<std::string> &candidates) {
  for (const std::string &candidate : candidates)
    if (candidate != written && lower(candidate) == lower(written))
      return candidate;
  for (const auto &[theirs, ours] : kForeign)
    if (written == theirs && std::find(candidates.begin(), candidates.end(), ours) != candidates.end())
      return ours;
  const size_t limit = std::max<size_t>(written.size(), 3) / 3;
  const std::string *nearest = nullptr;
  size_t least = limit + 1;
  for (const std::string &candidate : candidates) {
    size_t distance = candidate == written ? least : editDistance(lower(written), lower(candidate));
    // One letter for another says nothing: both have to share something.
    if (distance < least && distance < std::max(written.size(), candidate.size())) {
      least = distance;
      nearest = &candidate;
    }
  }
  if (nearest)
    return *nearest;
  for (const std::string &candidate : candidates)
    if (candidate != written && words(candidate) == words(written))
      return candidate;
  return std::nullopt;
}

} // namespace peftc::diag
