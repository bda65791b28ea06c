// Arguments: a mode's command line, parsed against its table of options.
//
// Errs   UsageError (exit code 2): an unknown option, a missing value, too many or too few words
#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace peftrt {

struct UsageError {
  std::string message, help;
};

struct OptionSpec {
  std::string name;  ///< without dashes
  std::string value; ///< "FILE", or empty for a switch; "[=X]" for a switch that may have a value
  std::string help;
  bool many = false;
};

struct ModeSpec {
  std::string name, summary;
  std::string words; ///< "RUN", "[RUN]" or ""
  std::vector<OptionSpec> options;
};

class Arguments {
public:
  /// Parses what follows the mode's name.
  static Arguments parse(const ModeSpec &mode, const std::vector<std::string> &words);

  bool has(const std::string &option) const { return values_.count(option) != 0; }
  /// The option's value, or `fallback`.
  std::string get(const std::string &option, const std::string &fallback = "") const;
  /// The option's value. Throws UsageError if it was not given.
  std::string need(const std::string &option) const;
  int64_t integer(const std::string &option, int64_t fallback, int64_t least, int64_t most = INT64_MAX) const;
  double number(const std::string &option, double fallback, double least, double most) const;
  const std::vector<std::string> &all(const std::string &option) const;
  const std::string &word() const { return word_; } ///< the positional, or empty

private:
  std::string mode_, word_;
  std::map<std::string, std::vector<std::string>> values_;
};

/// The text of `trainer MODE --help`.
std::string helpText(const ModeSpec &mode);
/// The nearest of `known` to a mistyped word, or empty.
std::string nearest(const std::string &word, const std::vector<std::string> &known);

} // namespace peftrt
