// Trainer: the archive of runtime/bundle/README.md, and atomic writing.
#include "compiler/emit/Trainer.h"
#include "compiler/model/Checkpoint.h"
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <sys/stat.h>
#include <unistd.h>

namespace fs = std::filesystem;
using nlohmann::json;

namespace peftc::emit {
namespace {

constexpr uint32_t kArchiveVersion = 1;

std::vector<std::pair<std::string, std::string>> filesOf(const Sections &sections) {
  return {{"manifest.json", sections.manifest.dump(1) + "\n"},
          {"programs.json", sections.programs.dump() + "\n"},
          {"plan.json", sections.plan.dump() + "\n"},
          {"spec.peft", sections.spec}};
}

void append(std::string &bytes, uint64_t value, int width) {
  for (int i = 0; i < width; ++i)
    bytes.push_back(static_cast<char>(value >> (8 * i)));
}

std::string archiveOf(const Sections &sections) {
  std::string archive;
  json table = json::array();
  for (const auto &[name, text] : filesOf(sections)) {
    table.push_back({{"name", name}, {"offset", archive.size()}, {"size", text.size()}, {"fnv64", model::fnv64(text)}});
    archive += text;
  }
  uint64_t tableOffset = archive.size();
  archive += table.dump();
  uint64_t size = archive.size() + 32;
  archive += "PEFTBNDL";
  append(archive, kArchiveVersion, 4);
  append(archive, 0, 4);
  append(archive, tableOffset, 8);
  append(archive, size, 8);
  return archive;
}

std::string because(const std::string &what, const std::string &path) { return what + " `" + path + "`: " + std::strerror(errno); }

/// Writes `bytes` beside `path`, syncs, and renames over it.
std::string writeWhole(const std::string &path, const std::string &bytes, mode_t mode) {
  std::string beside = path + ".part-" + std::to_string(getpid());
  int file = ::open(beside.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
  if (file < 0)
    return because("cannot write", path);
  size_t done = 0;
  while (done < bytes.size()) {
    ssize_t count = ::write(file, bytes.data() + done, bytes.size() - done);
    if (count < 0 && errno == EINTR)
      continue;
    if (count < 0)
      break;
    done += static_cast<size_t>(count);
  }
  bool written = done == bytes.size() && ::fchmod(file, mode) == 0 && ::fsync(file) == 0;
  std::string reason = written ? "" : because("cannot write", path);
  ::close(file);
  if (written && ::rename(beside.c_str(), path.c_str()) != 0)
    reason = because("cannot write", path);
  if (!reason.empty())
    ::unlink(beside.c_str());
  return reason;
}

} // namespace

std::string writeDirectory(const Sections &sections, const std::string &directory) {
  std::error_code error;
  fs::create_directories(directory, error);
  if (error)
    return "cannot make the folder `" + directory + "`: " + error.message();
  for (const auto &[name, text] : filesOf(sections))
    if (std::string reason = writeWhole(directory + "/" + name, text, 0644); !reason.empty())
      return reason;
  return "";
}

std::string writeTrainer(const Sections &sections, const std::string &runner, const std::string &path) {
  std::ifstream file(runner, std::ios::binary);
  std::stringstream bytes;
  if (!file || !(bytes << file.rdbuf()))
    return "cannot read the runner `" + runner + "`";
  mode_t mask = ::umask(0);
  ::umask(mask);
  return writeWhole(path, bytes.str() + archiveOf(sections), 0777 & ~mask);
}

} // namespace peftc::emit
