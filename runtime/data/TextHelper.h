// TextHelper: a tokenizer that is asked as a program goes: texts to ids and back, chats to ids; by the Hugging Face `tokenizers` library in a
// process of its own. (`tokenize` does whole files, with a cache.)
//
// Errs   R0112 the model has no tokenizer.json or no chat template, R0145 a conversation that the template does not take, R0140 no Python or no library, R0141 the helper failed
#pragma once
#include "runtime/data/Tokenizer.h"
#include <cstdio>
#include <nlohmann/json.hpp>
#include <sys/types.h>

namespace peftrt {

using TokenIds = std::vector<int64_t>;

class TextHelper {
public:
  TextHelper(const HelperOptions &options, const std::string &modelPath);
  ~TextHelper();
  TextHelper(const TextHelper &) = delete;
  TextHelper &operator=(const TextHelper &) = delete;

  /// With the tokens that the tokenizer adds to every text.
  std::vector<TokenIds> encode(const std::vector<std::string> &texts);
  /// Without special tokens.
  std::vector<std::string> decode(const std::vector<TokenIds> &ids);
  /// Conversations (Conversation.h) by the checkpoint's chat template, up to where the assistant answers. `where`: what an error says before it of each.
  std::vector<TokenIds> chats(const nlohmann::ordered_json &conversations, const std::vector<std::string> &where);

private:
  nlohmann::json ask(const nlohmann::ordered_json &question, const std::vector<std::string> &where = {});
  [[noreturn]] void fail();

  std::string python_, modelPath_;
  pid_t child_ = -1;
  FILE *questions_ = nullptr, *answers_ = nullptr;
};

} // namespace peftrt
