// Kernels: see the header.
#include "runtime/cpu/Kernels.h"
#include "runtime/bundle/Errors.h"
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <elf.h>
#include <fcntl.h>
#include <filesystem>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

namespace peftrt {
namespace {

/// A name of compiler/target/Targets.def; the same name asked of this machine, its operating system's support of the registers included.
struct Cpu {
  const char *name;
  bool (*runs)();
};

/// Best first.
constexpr Cpu kCpus[] = {{"x86-64-v4-bf16", [] { return __builtin_cpu_supports("x86-64-v4") && __builtin_cpu_supports("avx512bf16"); }},
                         {"x86-64-v4", [] { return __builtin_cpu_supports("x86-64-v4") != 0; }},
                         {"x86-64-v3", [] { return __builtin_cpu_supports("x86-64-v3") != 0; }}};

std::string wantedOf(const Bundle &bundle, const std::string &wanted) {
  for (const Cpu &cpu : kCpus) {
    if (wanted != cpu.name)
      continue;
    if (!cpu.runs())
      throw RuntimeError("R0107", "this CPU does not run the kernels for `" + wanted + "`", "unset PEFT_CPU_TARGET");
    if (!bundle.kernels.empty() && !bundle.kernels.count(wanted))
      throw RuntimeError("R0107", "the trainer has no kernels for `" + wanted + "`", "unset PEFT_CPU_TARGET, or compile the spec again");
    return wanted;
  }
  std::string names;
  for (const Cpu &cpu : kCpus)
    names += std::string(names.empty() ? "" : " and ") + "`" + cpu.name + "`";
  throw RuntimeError("R0107", "there are no kernels for a CPU `" + wanted + "`", "PEFT_CPU_TARGET may be " + names);
}

std::string bestOf(const Bundle &bundle) {
  for (const Cpu &cpu : kCpus)
    if (bundle.kernels.count(cpu.name) && cpu.runs())
      return cpu.name;
  if (!__builtin_cpu_supports("x86-64-v3"))
    throw RuntimeError("R0107", "this CPU has no AVX2 and the trainer's kernels need it", "use an x86-64 CPU from 2013 (Intel) or 2015 (AMD) on; a virtual machine may hide what its host has");
  throw RuntimeError("R0107", "the trainer has no kernels for this CPU", "compile the spec again");
}

/// The file is whole: the dynamic linker maps what the headers say and would die of what is not there. It cannot see a changed byte; the archive's sums do.
bool isWhole(const std::string &object) {
  Elf64_Ehdr header;
  if (object.size() < sizeof header)
    return false;
  std::memcpy(&header, object.data(), sizeof header);
  if (std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 || header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_type != ET_DYN || header.e_machine != EM_X86_64 ||
      header.e_phentsize != sizeof(Elf64_Phdr))
    return false;
  const auto holds = [&](uint64_t offset, uint64_t size) { return offset <= object.size() && size <= object.size() - offset; };
  if (!holds(header.e_phoff, uint64_t{header.e_phnum} * sizeof(Elf64_Phdr)) || !holds(header.e_shoff, uint64_t{header.e_shnum} * header.e_shentsize))
    return false;
  for (int index = 0; index < header.e_phnum; ++index) {
    Elf64_Phdr segment;
    std::memcpy(&segment, object.data() + header.e_phoff + index * sizeof segment, sizeof segment);
    if (!holds(segment.p_offset, segment.p_filesz))
      return false;
  }
  return true;
}

[[noreturn]] void failUnpack() { throw RuntimeError("R0106", std::string("cannot unpack the trainer's kernels: ") + std::strerror(errno), "free some memory, or set TMPDIR to a folder with room"); }

void writeAll(int file, const std::string &bytes) {
  for (size_t done = 0; done < bytes.size();) {
    const ssize_t count = ::write(file, bytes.data() + done, bytes.size() - done);
    if (count < 0 && errno == EINTR)
      continue;
    if (count <= 0) {
      const int cause = errno;
      ::close(file);
      errno = cause;
      failUnpack();
    }
    done += count;
  }
}

std::string pathOf(int file) { return "/proc/self/fd/" + std::to_string(file); }

/// A limit on the size of files (`ulimit -f`) is about disks, but counts for files in memory too: lifted as far as it may be.
class LiftedFileLimit {
public:
  LiftedFileLimit() : known_(::getrlimit(RLIMIT_FSIZE, &before_) == 0) {
    const rlimit lifted{before_.rlim_max, before_.rlim_max};
    if (known_)
      ::setrlimit(RLIMIT_FSIZE, &lifted);
  }
  ~LiftedFileLimit() {
    if (known_)
      ::setrlimit(RLIMIT_FSIZE, &before_);
  }
  LiftedFileLimit(const LiftedFileLimit &) = delete;
  LiftedFileLimit &operator=(const LiftedFileLimit &) = delete;

private:
  rlimit before_{};
  bool known_;
};

/// A file in memory that has a path; -1 where the kernel has no such files or /proc is not mounted.
int fileInMemory(const std::string &bytes) {
  const int file = ::memfd_create("peft-kernels", MFD_CLOEXEC);
  if (file < 0)
    return -1;
  if (::access(pathOf(file).c_str(), R_OK) != 0) {
    ::close(file);
    return -1;
  }
  const LiftedFileLimit lifted;
  writeAll(file, bytes);
  return file;
}

/// A temporary file that is gone from its folder when this returns.
void *openThroughFolder(const std::string &bytes) {
  std::error_code error;
  const std::filesystem::path folder = std::filesystem::temp_directory_path(error);
  std::string path = (error ? std::filesystem::path("/tmp") : folder) / "peft-kernels-XXXXXX";
  const int file = ::mkostemp(path.data(), O_CLOEXEC);
  if (file < 0)
    failUnpack();
  struct Unlink {
    const std::string &path;
    ~Unlink() { ::unlink(path.c_str()); }
  } const unlink{path};
  writeAll(file, bytes);
  void *handle = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  ::close(file);
  return handle;
}

} // namespace

KernelLibrary::KernelLibrary(const Bundle &bundle, const std::string &wanted) {
  if (!wanted.empty())
    target_ = wantedOf(bundle, wanted);
  if (bundle.kernels.empty()) {
    target_.clear();
    return;
  }
  if (wanted.empty())
    target_ = bestOf(bundle);
  const std::string &object = bundle.kernels.at(target_);
  const std::string damaged = "the trainer's kernels for `" + target_ + "` are damaged", help = "copy the file again, or compile the spec again";
  if (!isWhole(object))
    throw RuntimeError("R0103", damaged + ": they are no whole shared object", help);
  file_ = fileInMemory(object);
  handle_ = file_ >= 0 ? ::dlopen(pathOf(file_).c_str(), RTLD_NOW | RTLD_LOCAL) : openThroughFolder(object);
  if (handle_)
    return;
  const std::string cause = ::dlerror();
  if (file_ >= 0)
    ::close(file_);
  throw RuntimeError("R0103", damaged + ": " + cause, help);
}

KernelLibrary::~KernelLibrary() {
  if (handle_)
    ::dlclose(handle_);
  if (file_ >= 0)
    ::close(file_);
}

KernelFunction KernelLibrary::find(const std::string &name) const {
  void *found = handle_ ? ::dlsym(handle_, name.c_str()) : nullptr;
  if (!found)
    failBundle("there is no kernel `" + name + "`" + (target_.empty() ? "" : " for `" + target_ + "`"));
  return reinterpret_cast<KernelFunction>(found);
}

} // namespace peftrt
