// CommandLine: words of a command as options, values and operands, with precise sentences for what is wrong.
#pragma once
#include <optional>
#include <string>
#include <vector>

namespace peftc::tool {

struct OptionSpec {
  std::string name;                  ///< "--set"
  std::string shortName;             ///< "-o" or ""
  bool takesValue = true;
  std::vector<std::string> values;   ///< the values that there are; empty: any
};

/// A mistake in how the command was written: exit code 2.
struct UsageError {
  std::string message, help;
};

class CommandLine {
public:
  /// The first mistake, or none.
  std::optional<UsageError> parse(const std::vector<std::string> &words, const std::vector<OptionSpec> &options);

  bool has(const std::string &name) const { return !all(name).empty(); }
  std::string get(const std::string &name, const std::string &fallback = "") const;
  std::vector<std::string> all(const std::string &name) const;
  const std::vector<std::string> &operands() const { return operands_; }

private:
  std::vector<std::pair<std::string, std::string>> options_;
  std::vector<std::string> operands_;
};

} // namespace peftc::tool
