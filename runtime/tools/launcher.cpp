// launcher: the small program that every trainer file begins with. Loads LibTorch, then the runtime that follows it in its own
// file, so that what is missing is said in a sentence and not by the dynamic linker.
//
// File   this program | libpeft-runtime.so | the bundle's archive. Both ELF files end at their section headers' end.
// Env    PEFT_TORCH_LIB  the folder of libtorch_cpu.so (else the one recorded when built, else the linker's search path)
//        PEFT_RUNTIME_LIB  a libpeft-runtime.so to load instead of the one inside, for debuggers and profilers
// Errs   R0104 the file is cut short, R0105 LibTorch cannot be loaded, R0106 no memory file for the runtime
// Only the C library: it must start where nothing is installed.
#include "runtime/tools/Entry.h"
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <elf.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

namespace {

constexpr const char *kInstallHelp = "install it: python3 -m venv ~/peft-venv && ~/peft-venv/bin/pip install torch==" PEFT_TORCH_VERSION
                                     " --index-url https://download.pytorch.org/whl/cpu, then\n"
                                     "      export PEFT_TORCH_LIB=$(~/peft-venv/bin/python -c 'import torch; print(torch.__path__[0])')/lib";

[[noreturn]] void fail(const char *code, const char *message, const char *detail, const char *help) {
  std::fprintf(stderr, "error[%s]: %s%s\nhelp: %s\n", code, message, detail, help);
  std::exit(1);
}

[[noreturn]] void failCut() { fail("R0104", "this trainer is cut short: ", "its runtime is not whole", "copy the file again, or compile the spec again"); }

/// Where the ELF file that begins at `begin` ends; 0 if there is none.
uint64_t endOfElf(int file, uint64_t begin) {
  Elf64_Ehdr header;
  if (::pread(file, &header, sizeof header, static_cast<off_t>(begin)) != sizeof header || std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0)
    return 0;
  return begin + header.e_shoff + static_cast<uint64_t>(header.e_shnum) * header.e_shentsize;
}

bool load(const char *folder, const char *library) {
  char path[4096];
  std::snprintf(path, sizeof path, "%s%s%s", folder, *folder ? "/" : "", library);
  return ::dlopen(path, RTLD_NOW | RTLD_GLOBAL) != nullptr;
}

bool has(const char *folder, const char *file) {
  char path[4096];
  std::snprintf(path, sizeof path, "%s/%s", folder, file);
  return ::access(path, R_OK) == 0;
}

/// LibTorch's threads wait for one another by spinning, which on a machine that does other work too costs most of the time (measured on
/// two shared cores: 145 tokens/s, 1,380 with a short spin). OpenMP reads this as it is loaded; what the user set stays.
void shortenSpinning() {
  if (!std::getenv("OMP_WAIT_POLICY"))
    ::setenv("GOMP_SPINCOUNT", "1000", 0);
}

void loadTorch() {
  shortenSpinning();
  const char *given = std::getenv("PEFT_TORCH_LIB");
  if (given && !*given)
    given = nullptr;
  if (given && !has(given, "libtorch_cpu.so"))
    fail("R0105", "PEFT_TORCH_LIB names a folder without libtorch_cpu.so: ", given, kInstallHelp);
  const char *folder = given ? given : has(PEFT_TORCH_FOLDER, "libtorch_cpu.so") ? PEFT_TORCH_FOLDER : "";
  if (!load(folder, "libc10.so") || !load(folder, "libtorch_cpu.so"))
    fail("R0105", "LibTorch cannot be loaded: ", ::dlerror(), kInstallHelp);
}

/// The runtime inside this file, as a file of its own in memory.
void extractRuntime(char *path, size_t size) {
  const int self = ::open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
  struct stat status;
  if (self < 0 || ::fstat(self, &status) != 0)
    fail("R0106", "cannot read this trainer's own file: ", std::strerror(errno), "/proc must be mounted");
  off_t next = static_cast<off_t>(endOfElf(self, 0));
  const off_t end = static_cast<off_t>(endOfElf(self, static_cast<uint64_t>(next)));
  if (end == 0 || end > status.st_size)
    failCut();
  const int memory = ::memfd_create("libpeft-runtime.so", MFD_CLOEXEC);
  while (memory >= 0 && next < end)
    if (const ssize_t sent = ::sendfile(memory, self, &next, static_cast<size_t>(end - next)); sent <= 0 && errno != EINTR)
      fail("R0106", "cannot unpack the runtime into memory: ", std::strerror(errno), "free some memory");
  if (memory < 0)
    fail("R0106", "cannot unpack the runtime into memory: ", std::strerror(errno), "the kernel must allow memfd_create");
  ::close(self);
  std::snprintf(path, size, "/proc/self/fd/%d", memory);
}

} // namespace

int main(int count, char **words) {
  ::signal(SIGXFSZ, SIG_IGN); // a file size limit is a failed write, not a death
  char path[4096];
  const char *given = std::getenv("PEFT_RUNTIME_LIB");
  if (given && *given)
    std::snprintf(path, sizeof path, "%s", given);
  else
    extractRuntime(path, sizeof path);
  loadTorch();
  void *runtime = ::dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (!runtime)
    fail("R0105", "LibTorch is not the version that this trainer was built with (" PEFT_TORCH_VERSION "): ", ::dlerror(), kInstallHelp);
  const auto entry = reinterpret_cast<RuntimeEntry>(::dlsym(runtime, kRuntimeEntry));
  if (!entry)
    fail("R0105", "the runtime has no entry point: ", ::dlerror(), "PEFT_RUNTIME_LIB must name a libpeft-runtime.so");
  return entry(count, words);
}
