// Json: texts of JSON from files and command lines, which anyone may have written.
#pragma once
#include <nlohmann/json.hpp>
#include <string_view>

namespace peftrt {

/// Whether brackets are open in each other more than `most` times. What copies, writes or compares a value calls itself as often.
bool nestsDeeperThan(std::string_view text, int most);

/// `is_discarded()` where the text is not JSON, or nests so deeply that it is nobody's.
nlohmann::json parseJson(std::string_view text);

} // namespace peftrt
