// Equation: what a contraction says, "ay,zy->az": a letter an axis of its operands and of its result.
#pragma once
#include <algorithm>
#include <iterator>
#include <optional>
#include <string>

namespace peftrt::plan {

constexpr char kExamples = '*'; ///< the letter of the packed examples' axis

struct Equation {
  std::string x, y, out;
};

/// Nothing for a text that is no equation.
inline std::optional<Equation> equationFrom(const std::string &text) {
  const size_t comma = text.find(','), arrow = text.find("->");
  if (comma == std::string::npos || arrow == std::string::npos || comma > arrow)
    return std::nullopt;
  return Equation{text.substr(0, comma), text.substr(comma + 1, arrow - comma - 1), text.substr(arrow + 2)};
}

inline bool has(const std::string &letters, char letter) { return letters.find(letter) != std::string::npos; }

/// The letters of `from` for which `test` holds, in their order.
template <typename Test> std::string lettersOf(const std::string &from, Test test) {
  std::string letters;
  std::copy_if(from.begin(), from.end(), std::back_inserter(letters), test);
  return letters;
}

} // namespace peftrt::plan
