// Conversation: see Conversation.h.
#include "runtime/data/Conversation.h"
#include "runtime/bundle/Errors.h"
#include "runtime/bundle/Json.h"
#include <algorithm>

namespace peftrt {
namespace {

using nlohmann::json, nlohmann::ordered_json;

constexpr const char *kRoles[] = {"system", "developer", "user", "assistant", "tool", "function", "ipython"};
constexpr int kDeepest = 50; ///< of brackets in a cell
constexpr const char *kHelp = "write it as [{\"role\": \"user\", \"content\": \"…\"}, {\"role\": \"assistant\", \"content\": \"…\"}]";

/// The field in the order in which it was written.
ordered_json asWritten(const json &row, std::string_view text, const std::string &field) {
  const json &value = row.at(field);
  if (!value.is_string())
    return text.empty() ? ordered_json(value) : ordered_json::parse(text).at(field);
  const std::string &cell = value.get_ref<const std::string &>();
  return nestsDeeperThan(cell, kDeepest) ? ordered_json() : ordered_json::parse(cell, nullptr, false);
}

std::string listedRoles() {
  std::string all;
  for (const char *role : kRoles)
    all += (all.empty() ? "" : ", ") + std::string(role);
  return all;
}

bool isAssistant(const ordered_json &message) { return message.at("role") == "assistant"; }

/// Whether it says nothing and calls nothing.
bool isEmpty(const ordered_json &message) {
  const auto content = message.find("content"), calls = message.find("tool_calls");
  if (calls != message.end() && calls->is_array() && !calls->empty())
    return false;
  if (content == message.end() || content->is_null() || (content->is_array() && content->empty()))
    return true;
  return content->is_string() && content->get_ref<const std::string &>().find_first_not_of(" \t\r\n") == std::string::npos;
}

void check(const std::string &where, const ordered_json &message, const std::string &place) {
  if (!message.is_object() || !message.contains("role") || !message["role"].is_string())
    throw RuntimeError("R0134", where + place + " has no role", kHelp);
  const std::string role = message["role"];
  if (std::find(std::begin(kRoles), std::end(kRoles), role) == std::end(kRoles))
    throw RuntimeError("R0145", where + place + " has the role `" + role + "`", "roles are " + listedRoles());
  const bool calls = message.contains("tool_calls");
  if (const auto content = message.find("content"); content == message.end() ? !calls : !content->is_string() && !content->is_array() && !(content->is_null() && calls))
    throw RuntimeError("R0134", where + place + " has no content", kHelp);
  if (isAssistant(message) && isEmpty(message))
    throw RuntimeError("R0145", where + place + ", the assistant's, is empty", "leave the row out, or the messages from there");
}

} // namespace

ordered_json conversationOf(const std::string &where, const json &row, std::string_view text, const RowField &field) {
  ordered_json conversation;
  const ordered_json &messages = conversation["messages"] = asWritten(row, text, field.messages);
  if (!messages.is_array() || messages.empty())
    throw RuntimeError("R0134", where + "`" + field.messages + "` is no list of {role, content}", kHelp);
  for (size_t index = 0; index < messages.size(); ++index)
    check(where, messages[index], "message " + std::to_string(index + 1) + " of `" + field.messages + "`");
  if (field.tools.empty() || !row.contains(field.tools) || row[field.tools] == "") // of a table, an empty cell
    return conversation;
  const ordered_json tools = asWritten(row, text, field.tools);
  if (tools.is_null())
    return conversation;
  if (!tools.is_array() || !std::all_of(tools.begin(), tools.end(), [](const ordered_json &tool) { return tool.is_object(); }))
    throw RuntimeError("R0134", where + "`" + field.tools + "` is no list of descriptions", "write it as [{\"type\": \"function\", \"function\": {\"name\": \"…\", …}}]");
  conversation["tools"] = tools;
  return conversation;
}

int64_t turnsOf(const ordered_json &conversation) {
  const ordered_json &messages = conversation.at("messages");
  return std::count_if(messages.begin(), messages.end(), isAssistant);
}

} // namespace peftrt
