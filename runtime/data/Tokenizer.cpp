// Tokenizer: see Tokenizer.h.
//
// File    "PEFTTOK4", i64 rows, i64 ids, i64 truncated rows, i64 words (ids, or 0 where rows are no words), i64 offsets[rows + 1], i32 ids[], i32 words[],
//         u8 learned[ids]; little endian
#include "runtime/data/Tokenizer.h"
#include "runtime/checkpoint/MappedFile.h"
#include "runtime/bundle/Errors.h"
#include "runtime/data/TokenizerHelper.h"
#include <algorithm>
#include <cstring>
#include <filesystem>

namespace peftrt {

const Helper kTokenizers = {"tokenizers", "tokenizers", kTokenizerHelper, "input_ids"};

namespace {

namespace fs = std::filesystem;

/// What a chat template comes from: every file that may hold it.
std::string templatesOf(const std::string &modelPath) {
  std::vector<fs::path> paths = {modelPath + "/tokenizer_config.json", modelPath + "/chat_template.jinja"};
  std::error_code none;
  for (const fs::directory_entry &file : fs::directory_iterator(modelPath + "/additional_chat_templates", none))
    paths.push_back(file.path());
  std::sort(paths.begin(), paths.end());
  std::string all;
  for (const fs::path &path : paths)
    if (fs::is_regular_file(path, none))
      all += path.filename().string() + "\n" + std::string(MappedFile::open(path.string())->text());
  return all;
}

/// Two different 64-bit hashes over everything that the ids depend on.
std::string cacheKey(const std::vector<std::string> &texts, const std::string &modelPath, int64_t maxLength) {
  const auto file = MappedFile::open(modelPath + "/tokenizer.json");
  const std::string_view tokenizer = file->text();
  const bool chats = std::any_of(texts.begin(), texts.end(), [](const std::string &text) { return text.rfind("{\"messages\"", 0) == 0; });
  const std::string salt = "4 " + std::to_string(maxLength) + " " + kTokenizerHelper + (chats ? templatesOf(modelPath) : "");
  uint64_t first = fingerprint(tokenizer, fingerprint(salt)), second = fingerprint(salt, fingerprint(tokenizer));
  for (const std::string &text : texts) {
    first = fingerprint(text, first) * 3 + 1;
    second = fingerprint(text, second ^ 0x9e3779b97f4a7c15ull) * 5 + 7;
  }
  return hex(first) + hex(second);
}

bool openTable(const std::string &path, int64_t rows, TokenTable &table, int64_t &truncated) {
  if (!fs::exists(path))
    return false;
  const auto file = MappedFile::open(path);
  int64_t counts[4];
  constexpr uint64_t kHead = 8 + sizeof counts;
  if (file->size() < kHead || std::memcmp(file->begin(), "PEFTTOK4", 8) != 0)
    return false;
  std::memcpy(counts, file->begin() + 8, sizeof counts);
  if (counts[0] != rows || counts[1] < 0 || (counts[3] != 0 && counts[3] != counts[1]) ||
      file->size() != kHead + 8 * static_cast<uint64_t>(rows + 1) + 4 * static_cast<uint64_t>(counts[1] + counts[3]) + static_cast<uint64_t>(counts[1]))
    return false;
  table.rows = rows;
  table.offsets = reinterpret_cast<const int64_t *>(file->begin() + kHead);
  table.ids = reinterpret_cast<const int32_t *>(table.offsets + rows + 1);
  table.words = counts[3] > 0 ? table.ids + counts[1] : nullptr;
  table.learned = reinterpret_cast<const uint8_t *>(table.ids + counts[1] + counts[3]);
  if (table.offsets[0] != 0 || table.offsets[rows] != counts[1])
    return false;
  for (int64_t row = 0; row < rows; ++row)
    if (table.offsets[row] > table.offsets[row + 1])
      return false;
  table.keep = file;
  truncated += counts[2];
  return true;
}

} // namespace

TokenTable tokenize(const std::vector<std::string> &texts, const std::string &modelPath, int64_t maxLength, const HelperOptions &options, int64_t &truncated,
                    const std::function<std::string(int64_t)> &where) {
  const std::string tokenizer = modelPath + "/tokenizer.json";
  if (!fs::exists(tokenizer))
    throw RuntimeError("R0112", "the model folder `" + modelPath + "` has no tokenizer.json", "save it: AutoTokenizer.from_pretrained(…).save_pretrained(DIR), or give rows of `input_ids`");
  const std::string path = options.cacheFolder + "/" + cacheKey(texts, modelPath, maxLength) + ".tok";
  const auto rows = static_cast<int64_t>(texts.size());
  TokenTable table;
  if (openTable(path, rows, table, truncated))
    return table;
  const HelperRefusal refusal = runHelper(kTokenizers, options, {tokenizer, std::to_string(maxLength)}, texts, path);
  if (refusal.status == 4)
    throw RuntimeError("R0112", where(refusal.row) + refusal.why, "rows of `messages` need it: save the tokenizer of a model for chats, or write rows of prompts and responses");
  if (refusal.status != 0)
    throw RuntimeError("R0145", where(refusal.row) + refusal.why, "it reads the chat template of `" + modelPath + "`");
  if (!openTable(path, rows, table, truncated))
    throw RuntimeError("R0141", "the tokenizers helper wrote a file of the wrong form", "this is a bug of peftc");
  return table;
}

} // namespace peftrt
