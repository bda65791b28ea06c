// MappedFile: see MappedFile.h.
#include "runtime/checkpoint/MappedFile.h"
#include "runtime/bundle/Errors.h"
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace peftrt {

std::shared_ptr<const MappedFile> MappedFile::open(const std::string &path) {
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (file < 0)
    throw RuntimeError("R0110", "cannot open `" + path + "`: " + std::strerror(errno), "");
  struct stat status {};
  if (::fstat(file, &status) != 0 || !S_ISREG(status.st_mode)) {
    ::close(file);
    throw RuntimeError("R0110", "cannot read `" + path + "`: it is " + (S_ISDIR(status.st_mode) ? "a folder" : "not a regular file"), "give a file");
  }
  std::shared_ptr<MappedFile> mapped(new MappedFile);
  mapped->path_ = path;
  mapped->size_ = static_cast<uint64_t>(status.st_size);
  if (mapped->size_ > 0) {
    void *address = ::mmap(nullptr, mapped->size_, PROT_READ, MAP_PRIVATE, file, 0);
    const int failure = errno;
    ::close(file);
    if (address == MAP_FAILED) {
      mapped->size_ = 0;
      throw RuntimeError("R0110", "cannot map `" + path + "`: " + std::strerror(failure), "");
    }
    mapped->begin_ = static_cast<const uint8_t *>(address);
  } else {
    ::close(file);
  }
  return mapped;
}

MappedFile::~MappedFile() {
  if (size_ > 0)
    ::munmap(const_cast<uint8_t *>(begin_), size_);
}

uint64_t fingerprint(std::string_view bytes, uint64_t seed) {
  uint64_t hash = seed;
  for (const char byte : bytes)
    hash = (hash ^ static_cast<uint8_t>(byte)) * 0x100000001b3ull;
  return hash;
}

std::string hex(uint64_t value) {
  std::string digits(16, '0');
  for (int place = 15; place >= 0; --place, value >>= 4)
    digits[place] = "0123456789abcdef"[value & 15];
  return digits;
}

} // namespace peftrt
