// Prompts: the texts that `generate` writes on: --prompt words, or rows of a file.
//
// Errs   those of Records and TextHelper, R0134 a row that holds no prompt, R0139 an id outside the vocabulary, R0151 a prompt that leaves no room
#pragma once
#include "runtime/data/TextHelper.h"
#include "runtime/modes/Session.h"
#include <memory>

namespace peftrt {

struct Prompt {
  nlohmann::json given; ///< what the user gave: text, messages or ids
  TokenIds ids;
};

struct PromptOptions {
  std::string data;               ///< a file of rows, or empty:
  std::vector<std::string> texts; ///< --prompt
  bool chat = false;              ///< texts are what a user says to an assistant
  std::string system;             ///< what the assistant is told before; chat only
};

/// Prompts in order. Starts `helper` if there is text.
std::vector<Prompt> readPrompts(const Session &session, const PromptOptions &options, std::unique_ptr<TextHelper> &helper);

} // namespace peftrt
