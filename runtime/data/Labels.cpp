// Labels: see Labels.h.
#include "runtime/data/Labels.h"
#include "runtime/bundle/Errors.h"
#include <algorithm>
#include <optional>

namespace peftrt {
namespace {

std::optional<int64_t> integerOf(const std::string &text) {
  const size_t digits = !text.empty() && text[0] == '-' ? 1 : 0;
  if (text.size() == digits || text.size() > 18 || text.find_first_not_of("0123456789", digits) != std::string::npos)
    return std::nullopt;
  if (text.size() > digits + 1 && text[digits] == '0')
    return std::nullopt; // "007" is a name
  return std::stoll(text);
}

} // namespace

Labels::Labels(std::vector<std::string> names) : names_(std::move(names)) {
  for (size_t index = 0; index < names_.size(); ++index)
    index_[names_[index]] = static_cast<int64_t>(index);
}

Labels Labels::fromNames(const std::set<std::string> &names, int64_t classes, const std::string &where) {
  const bool integers = std::all_of(names.begin(), names.end(), [](const std::string &name) { return integerOf(name).has_value(); });
  const bool indices = integers && std::all_of(names.begin(), names.end(), [&](const std::string &name) { return *integerOf(name) >= 0 && *integerOf(name) < classes; });
  if (indices) {
    std::vector<std::string> all;
    for (int64_t index = 0; index < classes; ++index)
      all.push_back(std::to_string(index));
    return Labels(all);
  }
  std::vector<std::string> sorted(names.begin(), names.end());
  if (integers)
    std::sort(sorted.begin(), sorted.end(), [](const std::string &a, const std::string &b) { return *integerOf(a) < *integerOf(b); });
  const Labels labels(sorted);
  if (labels.size() > classes)
    throw RuntimeError("R0138", "`" + where + "` has " + std::to_string(labels.size()) + " different labels, the model has " + std::to_string(classes) + " classes: " + labels.listed(),
                       "write labels = " + std::to_string(labels.size()) + " in the spec's task");
  return labels;
}

Labels Labels::fromJson(const nlohmann::json &names) { return Labels(names.get<std::vector<std::string>>()); }

int64_t Labels::indexOf(const std::string &name) const {
  const auto found = index_.find(name);
  return found == index_.end() ? -1 : found->second;
}

std::string Labels::nameOf(int64_t index) const { return index < size() ? names_[static_cast<size_t>(index)] : "LABEL_" + std::to_string(index); }

std::string Labels::listed() const {
  std::string text;
  for (size_t index = 0; index < names_.size() && index < 20; ++index)
    text += (index ? ", " : "") + names_[index];
  return names_.size() > 20 ? text + ", …" : text;
}

} // namespace peftrt
