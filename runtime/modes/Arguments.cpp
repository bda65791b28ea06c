// Arguments: see Arguments.h.
#include "runtime/modes/Arguments.h"
#include <algorithm>
#include <cstdlib>
#include <nlohmann/json.hpp>

namespace peftrt {
namespace {

/// Restricted Damerau–Levenshtein: a swap of neighbours is one edit.
size_t editDistance(const std::string &a, const std::string &b) {
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

const OptionSpec *find(const ModeSpec &mode, const std::string &name) {
  for (const OptionSpec &option : mode.options)
    if (option.name == name)
      return &option;
  return nullptr;
}

/// `word` as it was written, `name` without dashes.
[[noreturn]] void failUnknown(const ModeSpec &mode, const std::string &word, const std::string &name) {
  std::vector<std::string> known;
  for (const OptionSpec &option : mode.options)
    known.push_back(option.name);
  const std::string close = nearest(name, known);
  throw UsageError{"`" + mode.name + "` has no option " + word, close.empty() ? "see `" + mode.name + " --help`" : "did you mean --" + close + "?"};
}

} // namespace

std::string nearest(const std::string &word, const std::vector<std::string> &known) {
  std::string best;
  size_t bestDistance = std::max<size_t>(word.size(), 3) / 3 + 1;
  for (const std::string &candidate : known)
    if (const size_t distance = editDistance(word, candidate); distance < bestDistance)
      best = candidate, bestDistance = distance;
  return best;
}

Arguments Arguments::parse(const ModeSpec &mode, const std::vector<std::string> &words) {
  Arguments arguments;
  arguments.mode_ = mode.name;
  for (size_t index = 0; index < words.size(); ++index) {
    const std::string &word = words[index];
    if (word.rfind("--", 0) != 0) {
      if (word.size() > 1 && word[0] == '-')
        failUnknown(mode, word, word.substr(1));
      if (word.empty())
        throw UsageError{"a word is empty", "a variable of the shell that has no value?"};
      if (mode.words.empty() || !arguments.word_.empty())
        throw UsageError{"unexpected word `" + word + "`", "see `" + mode.name + " --help`"};
      arguments.word_ = word;
      continue;
    }
    const size_t equals = word.find('=');
    const std::string name = word.substr(2, equals == std::string::npos ? equals : equals - 2);
    const OptionSpec *option = find(mode, name);
    if (!option)
      failUnknown(mode, "--" + name, name);
    const bool isSwitch = option->value.empty(), optionalValue = option->value.rfind("[=", 0) == 0;
    std::string value;
    if (equals != std::string::npos) {
      if (isSwitch)
        throw UsageError{"--" + name + " takes no value", ""};
      value = word.substr(equals + 1);
    } else if (!isSwitch && !optionalValue) {
      if (index + 1 == words.size())
        throw UsageError{"--" + name + " needs a value", "--" + name + " " + option->value};
      value = words[++index];
    }
    if (value.empty() && !isSwitch && !(optionalValue && equals == std::string::npos))
      throw UsageError{"the value of --" + name + " is empty", "a variable of the shell that has no value?"};
    if (!option->many && arguments.has(name))
      throw UsageError{"--" + name + " is given twice", ""};
    arguments.values_[name].push_back(value);
  }
  if (!mode.words.empty() && mode.words[0] != '[' && arguments.word_.empty())
    throw UsageError{"`" + mode.name + "` needs " + mode.words, "see `" + mode.name + " --help`"};
  return arguments;
}

std::string Arguments::get(const std::string &option, const std::string &fallback) const {
  const auto found = values_.find(option);
  return found == values_.end() ? fallback : found->second.back();
}

std::string Arguments::need(const std::string &option) const {
  if (!has(option))
    throw UsageError{"`" + mode_ + "` needs --" + option, "see `" + mode_ + " --help`"};
  return get(option);
}

int64_t Arguments::integer(const std::string &option, int64_t fallback, int64_t least, int64_t most) const {
  if (!has(option))
    return fallback;
  const std::string text = get(option);
  char *end = nullptr;
  const long long number = std::strtoll(text.c_str(), &end, 10);
  if (text.empty() || *end != '\0' || number < least || number > most)
    throw UsageError{"--" + option + " is `" + text + "`, an integer of at least " + std::to_string(least) + (most < INT64_MAX ? " and at most " + std::to_string(most) : "") + " is needed", ""};
  return number;
}

double Arguments::number(const std::string &option, double fallback, double least, double most) const {
  if (!has(option))
    return fallback;
  const std::string text = get(option);
  char *end = nullptr;
  const double number = std::strtod(text.c_str(), &end);
  if (text.empty() || *end != '\0' || !(number >= least && number <= most))
    throw UsageError{"--" + option + " is `" + text + "`, a number from " + nlohmann::json(least).dump() + " to " + nlohmann::json(most).dump() + " is needed", ""};
  return number;
}

const std::vector<std::string> &Arguments::all(const std::string &option) const {
  static const std::vector<std::string> kNone;
  const auto found = values_.find(option);
  return found == values_.end() ? kNone : found->second;
}

std::string helpText(const ModeSpec &mode) {
  std::string text = mode.name + ": " + mode.summary + "\n\nusage: " + mode.name + (mode.words.empty() ? "" : " " + mode.words) + " [options]\n\n";
  for (const OptionSpec &option : mode.options) {
    std::string left = "  --" + option.name + (option.value.empty() || option.value[0] == '[' ? option.value : " " + option.value);
    left.resize(std::max<size_t>(left.size() + 2, 26), ' ');
    text += left + option.help + "\n";
  }
  return text;
}

} // namespace peftrt
