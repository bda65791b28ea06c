// MappedFile: a file mapped read-only into memory, kept alive by whoever holds the pointer (tensors hold it too).
//
// Errs   R0110 the file cannot be opened or read
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace peftrt {

class MappedFile {
public:
  static std::shared_ptr<const MappedFile> open(const std::string &path);
  ~MappedFile();
  MappedFile(const MappedFile &) = delete;
  MappedFile &operator=(const MappedFile &) = delete;

  const uint8_t *begin() const { return begin_; }
  uint64_t size() const { return size_; }
  std::string_view text() const { return {reinterpret_cast<const char *>(begin_), size_}; }
  const std::string &path() const { return path_; }

private:
  MappedFile() = default;
  std::string path_;
  const uint8_t *begin_ = nullptr;
  uint64_t size_ = 0;
};

/// FNV-1a, the fingerprint of files and texts; not a defence against an adversary.
uint64_t fingerprint(std::string_view bytes, uint64_t seed = 0xcbf29ce484222325ull);
/// 16 lower-case hex digits.
std::string hex(uint64_t value);

} // namespace peftrt
