// Cache: see the header.
#include "compiler/driver/Cache.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Process.h"
#include "llvm/Support/SHA256.h"
#include "llvm/Support/raw_ostream.h"
#include <algorithm>
#include <thread>
#include <vector>

namespace peftc {
namespace {

namespace fs = llvm::sys::fs;

constexpr llvm::StringRef kWhole = "whole"; ///< what an entry ends with
constexpr size_t kMostEntries = 4096;       ///< some hundred MiB

/// Changes whenever this program is built anew.
std::string ownIdentity() {
  fs::file_status status;
  if (fs::status("/proc/self/exe", status))
    return "";
  return llvm::formatv("{0} {1}", status.getSize(), status.getLastModificationTime().time_since_epoch().count()).str();
}
} // namespace

std::string cacheEntry(const std::string &folder, llvm::ArrayRef<llvm::StringRef> parts, llvm::StringRef suffix) {
  static const std::string identity = ownIdentity();
  if (folder.empty() || identity.empty())
    return "";
  llvm::SHA256 hash;
  const auto add = [&](llvm::StringRef part) {
    hash.update(std::to_string(part.size()));
    hash.update(llvm::StringRef("\0", 1));
    hash.update(part);
  };
  add(identity);
  for (llvm::StringRef part : parts)
    add(part);
  return folder + "/" + llvm::toHex(hash.final(), /*LowerCase=*/true) + suffix.str();
}

std::string readCache(const std::string &entry, llvm::StringRef begin) {
  if (entry.empty())
    return "";
  auto buffer = llvm::MemoryBuffer::getFile(entry, /*IsText=*/false, /*RequiresNullTerminator=*/false);
  llvm::StringRef bytes = buffer ? (*buffer)->getBuffer() : "";
  return bytes.starts_with(begin) && bytes.consume_back(kWhole) ? bytes.str() : "";
}

void writeCache(const std::string &entry, llvm::StringRef bytes) {
  if (entry.empty() || fs::create_directories(llvm::StringRef(entry).rsplit('/').first))
    return;
  std::string beside = entry + llvm::formatv(".new-{0}-{1}", llvm::sys::Process::getProcessId(), std::hash<std::thread::id>()(std::this_thread::get_id())).str();
  std::error_code code;
  {
    llvm::raw_fd_ostream file(beside, code);
    if (code)
      return;
    file << bytes << kWhole;
    file.close();
    code = file.error();
    file.clear_error();
  }
  if (code || fs::rename(beside, entry))
    fs::remove(beside);
}

void trimCache(const std::string &entry) {
  std::vector<std::pair<llvm::sys::TimePoint<>, std::string>> entries;
  std::error_code code;
  for (fs::directory_iterator at(llvm::StringRef(entry).rsplit('/').first, code), end; !code && at != end; at.increment(code))
    if (auto status = at->status())
      entries.emplace_back(status->getLastModificationTime(), at->path());
  if (entries.size() < kMostEntries)
    return;
  std::sort(entries.begin(), entries.end());
  for (size_t index = 0; index < entries.size() / 2; ++index)
    fs::remove(entries[index].second);
}

} // namespace peftc
