// Tokenizer: see Tokenizer.h.
//
// File    "PEFTTOK3", i64 rows, i64 ids, i64 truncated rows, i64 words (ids, or 0 where rows are no words), i64 offsets[rows + 1], i64 starts[rows],
//         i32 ids[], i32 words[]; little endian
#include "runtime/data/Tokenizer.h"
#include "runtime/checkpoint/AtomicFile.h"
#include "runtime/checkpoint/MappedFile.h"
#include "runtime/bundle/Errors.h"
#include "runtime/data/TokenizerHelper.h"
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

namespace peftrt {

const char *const kInstallTokenizers = "install it: python3 -m venv ~/peft-venv && ~/peft-venv/bin/pip install tokenizers, then set PEFT_PYTHON=~/peft-venv/bin/python; rows of `input_ids` need no helper";

namespace {

namespace fs = std::filesystem;

/// Two different 64-bit hashes over everything that the ids depend on.
std::string cacheKey(const std::vector<std::string> &texts, std::string_view tokenizer, int64_t maxLength) {
  const std::string salt = "3 " + std::to_string(maxLength) + " " + kTokenizerHelper;
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
  if (file->size() < kHead || std::memcmp(file->begin(), "PEFTTOK3", 8) != 0)
    return false;
  std::memcpy(counts, file->begin() + 8, sizeof counts);
  if (counts[0] != rows || counts[1] < 0 || (counts[3] != 0 && counts[3] != counts[1]) ||
      file->size() != kHead + 8 * static_cast<uint64_t>(2 * rows + 1) + 4 * static_cast<uint64_t>(counts[1] + counts[3]))
    return false;
  table.rows = rows;
  table.offsets = reinterpret_cast<const int64_t *>(file->begin() + kHead);
  table.starts = table.offsets + rows + 1;
  table.ids = reinterpret_cast<const int32_t *>(table.starts + rows);
  table.words = counts[3] > 0 ? table.ids + counts[1] : nullptr;
  if (table.offsets[0] != 0 || table.offsets[rows] != counts[1])
    return false;
  for (int64_t row = 0; row < rows; ++row)
    if (table.offsets[row] > table.offsets[row + 1])
      return false;
  table.keep = file;
  truncated += counts[2];
  return true;
}

/// Runs `python -c script tokenizer.json max_length out` on `input`; returns its exit status and what it said.
int runHelper(const TokenizerOptions &options, const std::string &tokenizer, int64_t maxLength, const std::string &input, const std::string &output, const std::string &log) {
  std::string length = std::to_string(maxLength), script = kTokenizerHelper;
  const char *arguments[] = {options.python.c_str(), "-c", script.c_str(), tokenizer.c_str(), length.c_str(), output.c_str(), nullptr};
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, input.c_str(), O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, 2, log.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  posix_spawn_file_actions_adddup2(&actions, 2, 1);
  pid_t child = 0;
  const int failure = ::posix_spawnp(&child, options.python.c_str(), &actions, nullptr, const_cast<char **>(arguments), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (failure != 0)
    throw RuntimeError("R0140", "cannot start the tokenizers helper: `" + options.python + "`: " + std::strerror(failure), kInstallTokenizers);
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

[[noreturn]] void failHelper(const TokenizerOptions &options, const std::string &tokenizer, int status, const std::string &log) {
  if (status == 3)
    throw RuntimeError("R0140", "`" + options.python + "` has no `tokenizers` library", kInstallTokenizers);
  if (status == 127)
    throw RuntimeError("R0140", "cannot start the tokenizers helper: there is no `" + options.python + "`", kInstallTokenizers);
  std::string said(MappedFile::open(log)->text());
  while (!said.empty() && said.back() == '\n')
    said.pop_back();
  said = said.substr(said.rfind('\n') == std::string::npos ? 0 : said.rfind('\n') + 1);
  throw RuntimeError("R0141", "the tokenizers helper failed (status " + std::to_string(status) + "): " + said, "it reads `" + tokenizer + "` and writes into `" + options.cacheFolder + "`");
}

/// A folder that goes when this object goes.
struct WorkFolder {
  std::string path;
  /// A new one; `stem` is the beginning of its path.
  explicit WorkFolder(const std::string &stem) : path(stem + ".XXXXXX") {
    std::error_code failure;
    fs::create_directories(fs::path(stem).parent_path(), failure);
    if (failure || !::mkdtemp(path.data()))
      throw RuntimeError("R0117", "cannot make the folder `" + path + "`: " + (failure ? failure.message() : std::strerror(errno)), "XDG_CACHE_HOME names another place for the cache of token ids");
  }
  ~WorkFolder() {
    std::error_code ignored;
    fs::remove_all(path, ignored);
  }
};

} // namespace

TokenTable tokenize(const std::vector<std::string> &texts, const std::string &modelPath, int64_t maxLength, const TokenizerOptions &options, int64_t &truncated) {
  const std::string tokenizer = modelPath + "/tokenizer.json";
  if (!fs::exists(tokenizer))
    throw RuntimeError("R0112", "the model folder `" + modelPath + "` has no tokenizer.json", "save it: AutoTokenizer.from_pretrained(…).save_pretrained(DIR), or give rows of `input_ids`");
  const std::string path = options.cacheFolder + "/" + cacheKey(texts, MappedFile::open(tokenizer)->text(), maxLength) + ".tok";
  const auto rows = static_cast<int64_t>(texts.size());
  TokenTable table;
  if (openTable(path, rows, table, truncated))
    return table;
  const WorkFolder work(path);
  const std::string input = work.path + "/rows", output = work.path + "/tokens", log = work.path + "/log";
  {
    AtomicFile file(input);
    std::string block;
    for (const std::string &text : texts) {
      block += text + "\n";
      if (block.size() > (1u << 20))
        file.write(block), block.clear();
    }
    file.write(block);
    file.commit();
  }
  if (const int status = runHelper(options, tokenizer, maxLength, input, output, log); status != 0)
    failHelper(options, tokenizer, status, log);
  if (::rename(output.c_str(), path.c_str()) != 0)
    throw RuntimeError("R0117", "cannot write `" + path + "`: " + std::strerror(errno), "");
  if (!openTable(path, rows, table, truncated))
    throw RuntimeError("R0141", "the tokenizers helper wrote a file of the wrong form", "this is a bug of peftc");
  return table;
}

} // namespace peftrt
