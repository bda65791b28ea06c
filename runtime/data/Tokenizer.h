// Tokenizer: texts to token ids, by the Hugging Face `tokenizers` library in a helper process.
//
// The ids are cached as a memory-mapped file named by a hash of the texts, tokenizer.json (and, of conversations, what the chat template comes from), max_length
// and the helper's text, so a second run on the same rows starts no helper.
// Errs   R0140 no Python or no `tokenizers`, R0141 the helper failed, R0112 the model has no tokenizer.json or no chat template, R0145 a conversation that
//        the chat template does not do for
#pragma once
#include "runtime/data/Helper.h"
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace peftrt {

/// Ids of all rows: row i is ids[offsets[i]] … ids[offsets[i + 1] - 1].
struct TokenTable {
  int64_t rows = 0;
  const int64_t *offsets = nullptr;
  const int32_t *ids = nullptr;
  const int32_t *words = nullptr;  ///< of each token which of its row's words it is the first piece of, -1: of none; null where rows are no words
  const uint8_t *learned = nullptr; ///< of each token whether it is part of what a row responds, or of what the assistant says; null: all are
  std::shared_ptr<const void> keep;
};

/// Who turns texts to ids.
extern const Helper kTokenizers;

/// `texts`: a JSON list of one or two strings per row, or an object of `prompt` and `response`, which are one text, of `words`, or of `messages` and `tools`. Adds to `truncated` the
/// rows that were cut at `maxLength`. `where`: what an error says before it of a text.
TokenTable tokenize(const std::vector<std::string> &texts, const std::string &modelPath, int64_t maxLength, const HelperOptions &options, int64_t &truncated,
                    const std::function<std::string(int64_t)> &where);

} // namespace peftrt
