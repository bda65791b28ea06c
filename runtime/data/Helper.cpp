// Helper: see Helper.h.
#include "runtime/data/Helper.h"
#include "runtime/bundle/Errors.h"
#include "runtime/checkpoint/AtomicFile.h"
#include "runtime/checkpoint/MappedFile.h"
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

namespace peftrt {

std::string installHelp(const Helper &helper) {
  return std::string("install it: python3 -m venv ~/peft-venv && ~/peft-venv/bin/pip install ") + helper.package + ", then set PEFT_PYTHON=~/peft-venv/bin/python; rows of `" + helper.without + "` need no helper";
}

void refuseMissing(const Helper &helper, const std::string &python, int status) {
  if (status == 3)
    throw RuntimeError("R0140", "`" + python + "` has no `" + helper.library + "` library", installHelp(helper));
  if (status == 127)
    throw RuntimeError("R0140", std::string("cannot start the ") + helper.library + " helper: there is no `" + python + "`", installHelp(helper));
}

namespace {

namespace fs = std::filesystem;
constexpr int kFirstRefusal = 4, kLastRefusal = 9;

/// A folder that goes when this object goes.
struct WorkFolder {
  std::string path;
  /// A new one; `stem` is the beginning of its path.
  explicit WorkFolder(const std::string &stem) : path(stem + ".XXXXXX") {
    std::error_code failure;
    fs::create_directories(fs::path(stem).parent_path(), failure);
    if (failure || !::mkdtemp(path.data()))
      throw RuntimeError("R0117", "cannot make the folder `" + path + "`: " + (failure ? failure.message() : std::strerror(errno)), "XDG_CACHE_HOME names another place for the cache of rows");
  }
  ~WorkFolder() {
    std::error_code ignored;
    fs::remove_all(path, ignored);
  }
};

void writeRows(const std::string &path, const std::vector<std::string> &rows) {
  AtomicFile file(path);
  std::string block;
  for (const std::string &row : rows) {
    block += row + "\n";
    if (block.size() > (1u << 20))
      file.write(block), block.clear();
  }
  file.write(block);
  file.commit();
}

/// Its exit status; what it said is in `log`.
int spawn(const Helper &helper, const std::string &python, const std::vector<std::string> &arguments, const std::string &input, const std::string &log) {
  std::vector<const char *> words = {python.c_str(), "-c", helper.script};
  for (const std::string &argument : arguments)
    words.push_back(argument.c_str());
  words.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, input.c_str(), O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, 2, log.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  posix_spawn_file_actions_adddup2(&actions, 2, 1);
  pid_t child = 0;
  const int failure = ::posix_spawnp(&child, python.c_str(), &actions, nullptr, const_cast<char **>(words.data()), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (failure != 0)
    throw RuntimeError("R0140", std::string("cannot start the ") + helper.library + " helper: `" + python + "`: " + std::strerror(failure), installHelp(helper));
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

std::string lastLineOf(const std::string &log) {
  std::string said(MappedFile::open(log)->text());
  while (!said.empty() && said.back() == '\n')
    said.pop_back();
  return said.substr(said.rfind('\n') == std::string::npos ? 0 : said.rfind('\n') + 1);
}

} // namespace

HelperRefusal runHelper(const Helper &helper, const HelperOptions &options, const std::vector<std::string> &arguments, const std::vector<std::string> &rows, const std::string &path) {
  const WorkFolder work(path);
  const std::string input = work.path + "/rows", output = work.path + "/out", log = work.path + "/log";
  writeRows(input, rows);
  std::vector<std::string> all = arguments;
  all.push_back(output);
  const int status = spawn(helper, options.python, all, input, log);
  refuseMissing(helper, options.python, status);
  if (status != 0) {
    const std::string said = lastLineOf(log);
    if (const size_t tab = said.find('\t'); status >= kFirstRefusal && status <= kLastRefusal && tab != std::string::npos)
      return {status, std::strtoll(said.c_str(), nullptr, 10), said.substr(tab + 1)};
    throw RuntimeError("R0141", std::string("the ") + helper.library + " helper failed (status " + std::to_string(status) + "): " + said, "it reads `" + arguments.at(0) + "` and writes into `" + options.cacheFolder + "`");
  }
  if (::rename(output.c_str(), path.c_str()) != 0)
    throw RuntimeError("R0117", "cannot write `" + path + "`: " + std::strerror(errno), "");
  return {};
}

} // namespace peftrt
