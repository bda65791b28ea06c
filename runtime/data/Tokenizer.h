// Tokenizer: texts to token ids, by the Hugging Face `tokenizers` library in a helper process.
//
// The ids are cached as a memory-mapped file named by a hash of the texts, tokenizer.json, max_length and the helper's text, so
// a second run on the same rows starts no helper.
// Errs   R0140 no Python or no `tokenizers`, R0141 the helper failed, R0112 the model has no tokenizer.json
#pragma once
#include "runtime/data/Helper.h"
#include <cstdint>
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
  const int64_t *starts = nullptr; ///< of each row the first token that holds some of its response; null: every row is all response
  std::shared_ptr<const void> keep;
};

/// Who turns texts to ids.
extern const Helper kTokenizers;

/// `texts`: a JSON list of one or two strings per row, or an object of `prompt` and `response`, which are one text, or of `words`. Adds to `truncated` the rows that were cut at `maxLength`.
TokenTable tokenize(const std::vector<std::string> &texts, const std::string &modelPath, int64_t maxLength, const HelperOptions &options, int64_t &truncated);

} // namespace peftrt
