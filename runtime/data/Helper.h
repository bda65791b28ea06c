// Helper: a Python text in a process of its own, for what a well-kept library does: tokens of texts, pixels of images.
//
// What it writes is a file of the cache folder, named by a hash of all that it depends on: the same rows need no second process.
// Errs   R0140 no Python, or it lacks the library; R0141 the helper failed; R0117 the cache folder cannot be written
#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace peftrt {

struct HelperOptions {
  std::string python; ///< interpreter
  std::string cacheFolder;
};

struct Helper {
  const char *library; ///< what it is called
  const char *package; ///< what pip calls it
  const char *script;  ///< exits with 3 where the library is missing, with 4 and above where a row is wrong
  const char *without; ///< rows that need no helper
};

/// What to do where Python or the library is missing.
std::string installHelp(const Helper &helper);

/// Throws R0140 where a helper's exit status says that Python or the library is missing.
void refuseMissing(const Helper &helper, const std::string &python, int status);

/// What a helper said of a row: its exit status, the row's index, why.
struct HelperRefusal {
  int status = 0;
  int64_t row = 0;
  std::string why;
};

/// Runs `python -c script arguments… path` with a line of input each row; the first argument is the file that it goes by. `path` is there, whole, unless a row was refused.
HelperRefusal runHelper(const Helper &helper, const HelperOptions &options, const std::vector<std::string> &arguments, const std::vector<std::string> &rows, const std::string &path);

} // namespace peftrt
