// Prompts: see the header.
#include "runtime/modes/Prompts.h"
#include "runtime/bundle/Errors.h"
#include "runtime/data/Conversation.h"
#include "runtime/data/Records.h"
#include <algorithm>

namespace peftrt {
namespace {

using nlohmann::json, nlohmann::ordered_json;

/// What rows hold, before texts become ids.
struct Given {
  std::vector<ordered_json> rows; ///< a text, a conversation, or a list of ids
  std::vector<std::string> from;  ///< where each stands
};

ordered_json chatOf(const PromptOptions &options, const std::string &text) {
  ordered_json messages = ordered_json::array();
  if (!options.system.empty())
    messages.push_back({{"role", "system"}, {"content", options.system}});
  messages.push_back({{"role", "user"}, {"content", text}});
  return {{"messages", messages}};
}

/// A conversation up to where the assistant answers: of one that is there to learn from, the last answer is given anew.
ordered_json openedOf(const std::string &where, const json &row, std::string_view text, const RowField &field) {
  ordered_json conversation = conversationOf(where, row, text, field);
  ordered_json &messages = conversation["messages"];
  while (!messages.empty() && messages.back()["role"] == "assistant")
    messages.erase(messages.size() - 1);
  if (messages.empty())
    throw RuntimeError("R0145", where + "all messages of `" + field.messages + "` are the assistant's", "there is nothing to answer");
  return conversation;
}

/// The first field that a row has of those that hold a prompt.
ordered_json promptOf(const std::string &where, const json &row, std::string_view text, const RowField &field, const PromptOptions &options) {
  if (row.contains(field.messages))
    return openedOf(where, row, text, field);
  if (row.contains("input_ids")) {
    const json &ids = row["input_ids"];
    if (!ids.is_array() || !std::all_of(ids.begin(), ids.end(), [](const json &id) { return id.is_number_integer(); }))
      throw RuntimeError("R0134", where + "`input_ids` is not a list of token ids", "write it as [101, 2023, 102]");
    return ids;
  }
  for (const std::string &name : {field.prompt, field.field})
    if (!name.empty() && row.contains(name)) {
      if (!row[name].is_string())
        throw RuntimeError("R0134", where + "`" + name + "` is a " + row[name].type_name() + ", a string is needed", "");
      return options.chat ? chatOf(options, row[name]) : ordered_json(row[name]);
    }
  throw RuntimeError("R0133", where + "no prompt", "a row has " + (field.prompt.empty() ? "" : "`" + field.prompt + "`, ") + "`" + field.field + "`, " + (field.messages.empty() ? "" : "`" + field.messages + "` or ") + "`input_ids`");
}

Given givenBy(const Session &session, const PromptOptions &options) {
  Given given;
  for (const std::string &text : options.texts) {
    given.rows.push_back(options.chat ? chatOf(options, text) : ordered_json(text));
    given.from.push_back("--prompt: ");
  }
  if (options.data.empty())
    return given;
  RowField tokens;
  for (const RowField &field : rowFieldsOf(session.manifest()))
    if (field.encoder == Encoder::Tokens)
      tokens = field;
  if (tokens.messages.empty()) // a task without conversations can be asked as a chat nevertheless
    tokens.messages = "messages", tokens.tools = "tools";
  forEachRecord(options.data, [&](int64_t line, const json &row, std::string_view text) {
    given.from.push_back(at(options.data, line));
    given.rows.push_back(promptOf(given.from.back(), row, text, tokens, options));
  });
  return given;
}

void check(const Session &session, const std::string &where, const TokenIds &ids) {
  const int64_t vocabulary = session.vocabulary(), positions = session.positions();
  if (ids.empty())
    throw RuntimeError("R0134", where + "the prompt has no tokens", "");
  for (const int64_t id : ids)
    if (id < 0 || (vocabulary > 0 && id >= vocabulary))
      throw RuntimeError("R0139", where + "token id " + std::to_string(id) + " is outside the vocabulary of " + std::to_string(vocabulary), "the ids come from another tokenizer");
  if (positions > 0 && static_cast<int64_t>(ids.size()) >= positions)
    throw RuntimeError("R0151", where + "the prompt has " + std::to_string(ids.size()) + " tokens, and the model has " + std::to_string(positions) + " positions", "nothing can follow it");
}

} // namespace

std::vector<Prompt> readPrompts(const Session &session, const PromptOptions &options, std::unique_ptr<TextHelper> &helper) {
  const Given given = givenBy(session, options);
  std::vector<std::string> texts;
  ordered_json chats = ordered_json::array();
  std::vector<std::string> ofChat; // where each stands
  std::vector<Prompt> prompts;
  for (size_t index = 0; index < given.rows.size(); ++index) {
    const ordered_json &row = given.rows[index];
    if (row.is_string())
      texts.push_back(row);
    else if (row.is_object()) {
      chats.push_back(row);
      ofChat.push_back(given.from[index]);
    }
    prompts.push_back({row.is_object() ? row.at("messages") : row, {}});
  }
  if (!helper && (!texts.empty() || !chats.empty()))
    helper = std::make_unique<TextHelper>(session.helper, session.modelPath);
  const std::vector<TokenIds> ofTexts = texts.empty() ? std::vector<TokenIds>() : helper->encode(texts), ofChats = chats.empty() ? std::vector<TokenIds>() : helper->chats(chats, ofChat);
  size_t text = 0, chat = 0;
  for (size_t index = 0; index < prompts.size(); ++index) {
    Prompt &prompt = prompts[index];
    if (given.rows[index].is_string())
      prompt.ids = ofTexts[text++];
    else if (given.rows[index].is_object())
      prompt.ids = ofChats[chat++];
    else
      prompt.ids = prompt.given.get<TokenIds>();
    check(session, given.from[index], prompt.ids);
  }
  return prompts;
}

} // namespace peftrt
