// Json: see the header.
#include "runtime/bundle/Json.h"

namespace peftrt {
namespace {
constexpr int kDeepest = 200;
} // namespace

bool nestsDeeperThan(std::string_view text, int most) {
  int depth = 0;
  bool quoted = false;
  for (size_t index = 0; index < text.size(); ++index) {
    const char byte = text[index];
    if (quoted && byte == '\\')
      ++index;
    else if (byte == '"')
      quoted = !quoted;
    else if (!quoted && (byte == '[' || byte == '{') && ++depth > most)
      return true;
    else if (!quoted && (byte == ']' || byte == '}'))
      --depth;
  }
  return false;
}

nlohmann::json parseJson(std::string_view text) {
  if (nestsDeeperThan(text, kDeepest))
    return nlohmann::json(nlohmann::json::value_t::discarded);
  return nlohmann::json::parse(text.begin(), text.end(), nullptr, false);
}

} // namespace peftrt
