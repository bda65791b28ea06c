// CommandLine: see the header.
#include "compiler/tools/peftc/CommandLine.h"
#include "lang/diag/Suggest.h"
#include <algorithm>

namespace peftc::tool {
namespace {

std::string joined(const std::vector<std::string> &words) {
  std::string text;
  for (const std::string &word : words)
    text += (text.empty() ? "" : ", ") + word;
  return text;
}

UsageError unknown(const std::string &name, const std::vector<OptionSpec> &options) {
  std::vector<std::string> names;
  for (const OptionSpec &option : options)
    names.push_back(option.name);
  auto meant = diag::suggest(name, names);
  return {"there is no option `" + name + "`", meant ? "did you mean `" + *meant + "`?" : "--help lists all options"};
}

} // namespace

std::optional<UsageError> CommandLine::parse(const std::vector<std::string> &words, const std::vector<OptionSpec> &options) {
  for (size_t i = 0; i < words.size(); ++i) {
    const std::string &word = words[i];
    if (word.empty())
      return UsageError{"a word is empty", "a variable of the shell that has no value?"};
    if (word.size() < 2 || word[0] != '-') {
      operands_.push_back(word);
      continue;
    }
    size_t equals = word.rfind("--", 0) == 0 ? word.find('=') : std::string::npos;
    std::string name = word.substr(0, equals);
    auto option = std::find_if(options.begin(), options.end(), [&](const OptionSpec &o) { return o.name == name || o.shortName == name; });
    if (option == options.end())
      return unknown(name, options);
    if (!option->takesValue) {
      if (equals != std::string::npos)
        return UsageError{"`" + name + "` takes no value", ""};
      options_.push_back({option->name, "yes"});
      continue;
    }
    if (equals == std::string::npos ? i + 1 == words.size() || words[i + 1].empty() : equals + 1 == word.size())
      return UsageError{"`" + name + "` needs a value", option->values.empty() ? "" : "one of " + joined(option->values)};
    std::string value = equals == std::string::npos ? words[++i] : word.substr(equals + 1);
    if (!option->values.empty() && std::find(option->values.begin(), option->values.end(), value) == option->values.end()) {
      auto meant = diag::suggest(value, option->values);
      return UsageError{"`" + name + "` cannot be `" + value + "`", meant ? "did you mean `" + *meant + "`?" : "it is one of " + joined(option->values)};
    }
    options_.push_back({option->name, value});
  }
  return std::nullopt;
}

std::string CommandLine::get(const std::string &name, const std::string &fallback) const {
  auto values = all(name);
  return values.empty() ? fallback : values.back();
}

std::vector<std::string> CommandLine::all(const std::string &name) const {
  std::vector<std::string> values;
  for (const auto &[option, value] : options_)
    if (option == name)
      values.push_back(value);
  return values;
}

} // namespace peftc::tool
