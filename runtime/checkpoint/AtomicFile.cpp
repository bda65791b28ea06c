// AtomicFile: see AtomicFile.h.
#include "runtime/checkpoint/AtomicFile.h"
#include "runtime/bundle/Errors.h"
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

namespace peftrt {
namespace {

[[noreturn]] void failWrite(const std::string &path, int failure) {
  throw RuntimeError("R0117", "cannot write `" + path + "`: " + std::strerror(failure),
                     failure == ENOSPC || failure == EDQUOT ? "free some disk space; nothing that existed was changed"
                                                            : "nothing that existed was changed");
}

/// All the bytes: `put(bytes, size)` is one call of the system, which takes some of them.
template <typename Put> void putAll(const std::string &path, const void *bytes, uint64_t size, const Put &put) {
  const char *next = static_cast<const char *>(bytes);
  while (size > 0) {
    const ssize_t written = put(next, std::min<uint64_t>(size, 1u << 30));
    if (written < 0 && errno == EINTR)
      continue;
    if (written <= 0)
      failWrite(path, written == 0 ? ENOSPC : errno);
    next += written;
    size -= static_cast<uint64_t>(written);
  }
}

} // namespace

AtomicFile::AtomicFile(const std::string &path) : path_(path), partial_(path + ".partial") {
  struct stat there;
  if (::stat(path.c_str(), &there) == 0 && (S_ISCHR(there.st_mode) || S_ISFIFO(there.st_mode))) {
    // A rename would put a file in the place of /dev/null.
    partial_.clear();
    file_ = ::open(path.c_str(), O_WRONLY | O_CLOEXEC);
    if (file_ < 0)
      failWrite(path_, errno);
    return;
  }
  // Locked, so that two processes that write the same file do not mix; a lock on a file that was renamed meanwhile is no lock.
  for (;;) {
    file_ = ::open(partial_.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    if (file_ < 0)
      failWrite(path_, errno);
    struct stat locked, named;
    const bool free = ::flock(file_, LOCK_EX | LOCK_NB) == 0;
    const int failure = errno;
    if (free && ::fstat(file_, &locked) == 0 && ::stat(partial_.c_str(), &named) == 0 && locked.st_ino == named.st_ino && ::ftruncate(file_, 0) == 0)
      return;
    ::close(file_);
    file_ = -1;
    if (!free && failure != EWOULDBLOCK)
      failWrite(path_, failure);
    if (!free)
      throw RuntimeError("R0121", "another process writes `" + path_ + "`", "wait for it, or give another name");
  }
}

AtomicFile::~AtomicFile() {
  if (file_ < 0)
    return;
  ::close(file_);
  if (!partial_.empty())
    ::unlink(partial_.c_str());
}

void AtomicFile::write(const void *bytes, uint64_t size) {
  putAll(path_, bytes, size, [this](const char *next, uint64_t most) { return ::write(file_, next, most); });
}

void AtomicFile::writeAt(uint64_t place, const void *bytes, uint64_t size) {
  if (partial_.empty())
    return write(bytes, size);
  const auto *const first = static_cast<const char *>(bytes);
  putAll(path_, bytes, size, [&](const char *next, uint64_t most) { return ::pwrite(file_, next, most, static_cast<off_t>(place + static_cast<uint64_t>(next - first))); });
}

void AtomicFile::commit() {
  if (partial_.empty()) {
    ::close(file_);
    file_ = -1;
    return;
  }
  if (::fsync(file_) != 0)
    failWrite(path_, errno);
  if (::rename(partial_.c_str(), path_.c_str()) != 0)
    failWrite(path_, errno);
  ::close(file_); // only now: closing gives the lock up
  file_ = -1;
  syncFolder(std::filesystem::path(path_).parent_path().string());
}

void writeFileAtomically(const std::string &path, std::string_view text) {
  AtomicFile file(path);
  file.write(text);
  file.commit();
}

void syncFolder(const std::string &folder) {
  const int file = ::open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (file < 0)
    failWrite(folder, errno);
  const int failed = ::fsync(file);
  const int failure = errno;
  ::close(file);
  if (failed != 0 && failure != EINVAL) // some file systems have no directory sync
    failWrite(folder, failure);
}

void swapLink(const std::string &target, const std::string &link) {
  const std::string partial = link + ".partial";
  std::error_code ignored;
  std::filesystem::remove_all(partial, ignored);
  if (::symlink(target.c_str(), partial.c_str()) != 0)
    failWrite(link, errno);
  // A copy that followed links has made a folder of it: the two change places in one step, as a rename would do with a link.
  const bool folder = std::filesystem::is_directory(std::filesystem::symlink_status(link));
  if (folder ? ::renameat2(AT_FDCWD, partial.c_str(), AT_FDCWD, link.c_str(), RENAME_EXCHANGE) != 0 : ::rename(partial.c_str(), link.c_str()) != 0)
    failWrite(link, errno);
  if (folder)
    std::filesystem::remove_all(partial, ignored);
  syncFolder(std::filesystem::path(link).parent_path().string());
}

void makeFolder(const std::string &folder) {
  std::error_code failure;
  std::filesystem::create_directories(folder, failure);
  if (failure)
    throw RuntimeError("R0117", "cannot make the folder `" + folder + "`: " + failure.message(), "the folder above it must exist and be writable");
}

std::string newFolderName(std::string path) {
  while (path.size() > 1 && path.back() == '/')
    path.pop_back();
  if (std::filesystem::exists(std::filesystem::symlink_status(path)) && !(std::filesystem::is_directory(path) && std::filesystem::is_empty(path)))
    throw RuntimeError("R0118", "`" + path + "` exists", "give another --out, or remove it");
  return path;
}

void makeWholeFolder(const std::string &path, const std::function<void(const std::string &folder)> &fill) {
  const std::string partial = path + ".partial-" + std::to_string(::getpid());
  try {
    makeFolder(partial);
    fill(partial);
    if (::rename(partial.c_str(), path.c_str()) != 0) // replaces an empty folder
      throw RuntimeError("R0117", "cannot write `" + path + "`: " + std::strerror(errno), "");
    syncFolder(std::filesystem::path(path).parent_path().string());
  } catch (...) {
    std::error_code ignored;
    std::filesystem::remove_all(partial, ignored);
    throw;
  }
}

} // namespace peftrt
