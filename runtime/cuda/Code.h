// Code: a bundle's kernels for this GPU, loaded into its driver.
//
// Which  the cubin of exactly this generation; else the text of the newest generation that is not newer, which the driver compiles, and that is said.
// Errs   R0161 the trainer has no code that this GPU runs
//        R0102 a kernel that is not there, R0103 code that the driver does not take
#pragma once
#include "runtime/bundle/Format.h"
#include "runtime/cuda/Gpu.h"
#include <map>
#include <memory>
#include <string>

namespace peftrt::cuda {

struct Choice {
  std::string target;     ///< a key of the bundle's gpuKernels
  bool isCubin = false;   ///< else its text
};
/// Errs R0161.
Choice choiceFor(const Bundle &bundle, const Facts &facts);

class Code {
public:
  Code(std::shared_ptr<const Gpu> gpu, const Bundle &bundle);
  ~Code();
  Code(const Code &) = delete;
  Code &operator=(const Code &) = delete;
  /// A kernel's entry, and its name for errors.
  struct Entry {
    std::string name;
    Function function;
  };
  const Entry &find(const std::string &symbol);
  int64_t flatShare() const { return flatShare_; }

private:
  std::shared_ptr<const Gpu> gpu_;
  ModuleHandle module_ = nullptr;
  int64_t flatShare_ = 1;
  std::map<std::string, Entry> entries_;
};

} // namespace peftrt::cuda
