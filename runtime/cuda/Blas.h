// Blas: NVIDIA's cuBLASLt, as far as this process has it: the library that LibTorch has loaded, never linked; and products as it knows them.
#pragma once
#include "runtime/cuda/BlasApi.h"
#include "runtime/cuda/GemmShape.h"
#include <memory>
#include <vector>

namespace peftrt::cuda {

class Blas {
public:
  /// `path`: the library; empty: the one that is in the process. Null where there is none, or it does not start: `why`.
  static std::shared_ptr<const Blas> load(const std::string &path, std::string &why);
  ~Blas();
  Blas(const Blas &) = delete;
  Blas &operator=(const Blas &) = delete;

#define PEFT_BLAS_FIELD(FIELD, SYMBOL, RESULT, PARAMETERS) RESULT(*FIELD) PARAMETERS = nullptr;
  PEFT_BLAS_API(PEFT_BLAS_FIELD)
#undef PEFT_BLAS_FIELD

  BlasHandle handle() const { return handle_; }
  std::string nameOf(BlasStatus status) const;

private:
  Blas() = default;
  BlasHandle handle_ = nullptr;
};

/// A product of one shape. cuBLASLt counts by columns: to it the product is Cᵀ = Bᵀ Aᵀ, and its first factor is our B.
class Matmul {
public:
  /// Where the library says no, `status` says so, and nothing else may be asked.
  Matmul(std::shared_ptr<const Blas> blas, const GemmShape &shape);
  ~Matmul();
  Matmul(const Matmul &) = delete;
  Matmul &operator=(const Matmul &) = delete;

  BlasStatus status() const { return status_; }
  /// The library's own order, the best first; `most` at most, none of which needs more than `workspace` bytes.
  std::vector<Algorithm> candidates(int most, size_t workspace, BlasStatus &status) const;
  /// Whether the library would do it by this.
  bool takes(const Algorithm &algorithm, size_t workspace) const;
  /// Asks the stream for it; `to` has C's place in memory, or another with its pitch.
  BlasStatus run(const products::Call &call, void *to, const Algorithm &algorithm, void *workspace, size_t workspaceBytes, Stream stream) const;

private:
  void first(BlasStatus status) { status_ = status_ == kBlasSuccess ? status : status_; }
  MatrixLayout layout(bool isBf16, bool turned, int64_t rows, int64_t columns, int64_t pitch);

  std::shared_ptr<const Blas> blas_;
  const GemmShape shape_;
  MatmulDesc desc_ = nullptr;
  MatrixLayout a_ = nullptr, b_ = nullptr, c_ = nullptr; ///< ours
  BlasStatus status_ = kBlasSuccess;
};

} // namespace peftrt::cuda
