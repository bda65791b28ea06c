// AtomicFile: a file, or a folder, that appears whole or not at all.
//
// Written beside its place under a temporary name, fsynced, renamed by `commit`. Destroyed without commit: removed. A device or pipe that has the name
// already (/dev/null) is written to and stays what it is.
// Errs   R0117 a write failed (disk full, no permission): the old file, if any, is as it was; R0118 a folder is to be made where something is
#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace peftrt {

class AtomicFile {
public:
  explicit AtomicFile(const std::string &path);
  ~AtomicFile();
  AtomicFile(const AtomicFile &) = delete;
  AtomicFile &operator=(const AtomicFile &) = delete;

  void write(const void *bytes, uint64_t size);
  /// At a place of the file, which `write` does not move; a device or pipe has no places, and takes it as it comes.
  void writeAt(uint64_t place, const void *bytes, uint64_t size);
  void write(std::string_view text) { write(text.data(), text.size()); }
  void commit();

private:
  std::string path_, partial_;
  int file_ = -1;
};

/// Writes `text` to `path`, whole or not at all.
void writeFileAtomically(const std::string &path, std::string_view text);
/// Makes renames in `folder` durable.
void syncFolder(const std::string &folder);
/// Points the symbolic link `link` at `target`, atomically.
void swapLink(const std::string &target, const std::string &link);
/// Makes a folder and its parents. Errs R0117.
void makeFolder(const std::string &folder);
/// The name of a folder that is to be made, without slashes behind it. Errs R0118 there is something other than an empty folder.
std::string newFolderName(std::string path);
/// `fill` gets a folder beside it to write into, which then becomes `path`. What `fill` throws leaves nothing behind. Errs R0117.
void makeWholeFolder(const std::string &path, const std::function<void(const std::string &folder)> &fill);

} // namespace peftrt
