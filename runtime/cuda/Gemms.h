// Gemms: products on a GPU by cuBLASLt, each shape by the algorithm that was the fastest when the shape came first.
//
// How    the library's candidates are timed on the stream (GemmTimer.h), on the product's own operands; what is added in place goes to memory of its own meanwhile. What another
//        process found out is read (GemmCache.h). All that takes kMostSeconds (Gemms.cpp) at most in a process: the rest goes by the library's first candidate.
// Numerics  sums in f32, of f32 factors too (no TF32); algorithms differ in the order of their sums, so bits are a choice's, which the cache keeps
// Invariant  a shape's algorithm never changes in a process, and the workspace never moves: what a graph holds of a product is decided by its call. Nothing is chosen
//        in a capture.
// Errs   R0206. What cuBLASLt does not do is LibTorch's, which a note says once.
#pragma once
#include "runtime/cuda/Blas.h"
#include "runtime/cuda/GemmCache.h"
#include "runtime/cuda/Memory.h"
#include "runtime/plan/Device.h"
#include <chrono>

namespace peftrt::cuda {

/// Of a GPU whose products LibTorch would do.
struct GemmOptions {
  bool library = false;      ///< leave them to it
  std::string blas, folder;  ///< cuBLASLt's library (empty: LibTorch's); where the cache lies
};

class Gemms {
public:
  /// Null where products are LibTorch's; a note says so unless that was asked for.
  static std::unique_ptr<Gemms> make(std::shared_ptr<const Gpu> gpu, std::shared_ptr<Pool> pool, const GemmOptions &options);
  ~Gemms() { save(); }
  Gemms(const Gemms &) = delete;
  Gemms &operator=(const Gemms &) = delete;

  /// Asks the stream for it. False: nothing is done, it is LibTorch's.
  bool multiply(const products::Call &call);
  /// Outside a capture: writes what was chosen.
  void save() { cache_.save(); }
  GemmUse use() const { return use_; }

private:
  struct Chosen {
    std::unique_ptr<const Matmul> matmul;
    std::vector<Algorithm> algorithms; ///< the first does it; others are for when it refuses. None: it is LibTorch's
  };
  Gemms(std::shared_ptr<const Gpu> gpu, std::shared_ptr<Pool> pool, std::shared_ptr<const Blas> blas, const std::string &folder);
  Chosen choose(const GemmShape &shape, const products::Call &call);
  bool time(const GemmShape &shape, const products::Call &call, Chosen &chosen, std::chrono::steady_clock::time_point begin);
  double secondsLeft() const;
  void leave(const GemmShape &shape, BlasStatus status);
  size_t workspaceBytes() const { return workspace_.defined() ? workspace_.nbytes() : 0; }
  BlasStatus run(const Matmul &matmul, const products::Call &call, void *to, const Algorithm &algorithm) const;

  std::shared_ptr<const Gpu> gpu_;
  std::shared_ptr<Pool> pool_;
  std::shared_ptr<const Blas> blas_;
  GemmCache cache_;
  at::Tensor workspace_;
  std::map<GemmShape, Chosen> chosen_;
  GemmUse use_;
};

} // namespace peftrt::cuda
