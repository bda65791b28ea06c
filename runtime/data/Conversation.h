// Conversation: a row's messages, and what the assistant may call, checked as far as no chat template is needed.
//
// Keys stay in the order in which they were written: templates print descriptions of tools as they stand.
// Errs   R0134 a field that is no list of messages, R0145 an unknown role, an empty turn of the assistant
#pragma once
#include "runtime/data/Dataset.h"
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace peftrt {

/// {messages, tools}, as helpers read it. `text`: the row as it stands in a file of JSON lines; in a table the cells hold JSON.
nlohmann::ordered_json conversationOf(const std::string &where, const nlohmann::json &row, std::string_view text, const RowField &field);
/// How many of its messages are the assistant's.
int64_t turnsOf(const nlohmann::ordered_json &conversation);

} // namespace peftrt
