// LinkShared: see the header.
#include "compiler/target/LinkShared.h"
#include "lld/Common/Driver.h"
#include "llvm/ADT/ScopeExit.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include <mutex>

LLD_HAS_DRIVER(elf)

using namespace llvm;

namespace {

Error writeFile(StringRef path, StringRef content) {
  std::error_code code;
  raw_fd_ostream file(path, code);
  if (!code) {
    file << content;
    file.close();
    code = file.error();
    file.clear_error();
  }
  return code ? createStringError(code, "cannot write `" + path + "`: " + code.message()) : Error::success();
}

/// Whether a file of so many bytes can be written: the linker's words do not tell a full disk from other failures.
bool hasRoom(StringRef path, size_t bytes) {
  Error error = writeFile(path, std::string(bytes, '\0'));
  const bool written = !error;
  consumeError(std::move(error));
  return written;
}

/// Errs with the linker's own words.
Error runLinker(ArrayRef<const char *> words) {
  static std::mutex lock;
  const std::lock_guard<std::mutex> held(lock);
  // A linker that crashed left its globals in an unknown state.
  static bool usable = true;
  if (!usable)
    return createStringError("the linker cannot run again after its crash");
  std::string said;
  raw_string_ostream out(said);
  const lld::Result result = lld::lldMain(words, out, out, {{lld::Gnu, &lld::elf::link}});
  usable = result.canRunAgain;
  return result.retCode == 0 ? Error::success() : createStringError(StringRef(said).rtrim());
}

} // namespace

Expected<std::string> peftc::target::linkShared(ArrayRef<std::string> objects, ArrayRef<Alias> names, std::string &unwritten) {
  SmallString<128> folder;
  if (const std::error_code code = sys::fs::createUniqueDirectory("peftc-link", folder)) {
    sys::path::system_temp_directory(/*erasedOnReboot=*/true, folder);
    unwritten = folder.str().str();
    return createStringError(code, "cannot make a temporary folder: " + code.message());
  }
  const auto remove = scope_exit([&] { sys::fs::remove_directories(folder); });
  SmallString<128> out = folder;
  sys::path::append(out, "kernels.so");
  std::vector<std::string> in;
  size_t bytes = 0;
  for (const std::string &object : objects) {
    SmallString<128> path = folder;
    sys::path::append(path, "kernels." + std::to_string(in.size()) + ".o");
    in.push_back(path.str().str());
    bytes += object.size();
    if (Error error = writeFile(path, object)) {
      unwritten = in.back();
      return error;
    }
  }
  // One thread: objects are small, and LLD's pool of threads would outlive the link. No build id and no local symbols: bytes depend on the code only.
  std::vector<const char *> words = {"ld.lld", "-shared", "--hash-style=gnu", "-z", "noexecstack", "-z", "now", "--no-undefined", "--gc-sections", "--strip-all", "--build-id=none",
                                     "--threads=1", "-o", out.c_str()};
  for (const Alias &alias : names)
    in.push_back("--defsym=" + alias.first + "=" + alias.second);
  for (const std::string &word : in)
    words.push_back(word.c_str());
  if (Error error = runLinker(words)) {
    if (!hasRoom(out, 2 * bytes))
      unwritten = out.str().str();
    return error;
  }
  auto buffer = MemoryBuffer::getFile(out, /*IsText=*/false, /*RequiresNullTerminator=*/false);
  if (!buffer)
    return createStringError(buffer.getError(), "cannot read `" + out.str().str() + "`: " + buffer.getError().message());
  return (*buffer)->getBuffer().str();
}
