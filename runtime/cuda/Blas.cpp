// Blas: see the header.
#include "runtime/cuda/Blas.h"
#include <dlfcn.h>

namespace peftrt::cuda {
namespace {

constexpr const char *kNames[] = {"libcublasLt.so.13", "libcublasLt.so.12"}; ///< of CUDA 13 and 12: whose interface BlasApi.h has

void *libraryAt(const std::string &path, std::string &why) {
  if (!path.empty()) {
    void *library = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (!library)
      why = ::dlerror();
    return library;
  }
  for (const char *name : kNames)
    if (void *library = ::dlopen(name, RTLD_NOW | RTLD_NOLOAD))
      return library;
  why = "LibTorch has loaded no cuBLASLt of CUDA 12 or 13";
  return nullptr;
}

} // namespace

std::shared_ptr<const Blas> Blas::load(const std::string &path, std::string &why) {
  void *library = libraryAt(path, why);
  if (!library)
    return nullptr;
  const std::shared_ptr<Blas> blas(new Blas);
  std::string missing;
#define PEFT_BLAS_FIND(FIELD, SYMBOL, RESULT, PARAMETERS)                                                                                    \
  blas->FIELD = reinterpret_cast<decltype(blas->FIELD)>(::dlsym(library, #SYMBOL));                                                          \
  if (!blas->FIELD && missing.empty())                                                                                                       \
    missing = #SYMBOL;
  PEFT_BLAS_API(PEFT_BLAS_FIND)
#undef PEFT_BLAS_FIND
  if (!missing.empty()) {
    why = "it has no " + missing;
    return nullptr;
  }
  if (const BlasStatus status = blas->create(&blas->handle_); status != kBlasSuccess) {
    why = "it does not start: " + blas->nameOf(status);
    return nullptr;
  }
  return blas;
}

Blas::~Blas() {
  if (handle_)
    destroy(handle_);
}

std::string Blas::nameOf(BlasStatus status) const {
  const char *name = statusName ? statusName(status) : nullptr;
  return name ? name : "error " + std::to_string(status);
}

Matmul::Matmul(std::shared_ptr<const Blas> blas, const GemmShape &shape) : blas_(std::move(blas)), shape_(shape) {
  first(blas_->descCreate(&desc_, kComputeF32, kF32));
  if (status_ != kBlasSuccess)
    return;
  const int32_t ofB = shape.bTurned ? kTurned : kStraight, ofA = shape.aTurned ? kTurned : kStraight;
  first(blas_->descSet(desc_, kTransA, &ofB, sizeof ofB));
  first(blas_->descSet(desc_, kTransB, &ofA, sizeof ofA));
  a_ = layout(shape.factorsAreBf16, shape.aTurned, shape.rows, shape.depth, shape.aPitch);
  b_ = layout(shape.factorsAreBf16, shape.bTurned, shape.depth, shape.columns, shape.bPitch);
  c_ = layout(shape.resultIsBf16, false, shape.rows, shape.columns, shape.cPitch);
}

/// A matrix in rows is its transpose in columns.
MatrixLayout Matmul::layout(bool isBf16, bool turned, int64_t rows, int64_t columns, int64_t pitch) {
  MatrixLayout made = nullptr;
  first(blas_->layoutCreate(&made, isBf16 ? kBf16 : kF32, static_cast<uint64_t>(turned ? rows : columns), static_cast<uint64_t>(turned ? columns : rows), pitch));
  return made;
}

Matmul::~Matmul() {
  for (const MatrixLayout one : {a_, b_, c_})
    if (one)
      blas_->layoutDestroy(one);
  if (desc_)
    blas_->descDestroy(desc_);
}

std::vector<Algorithm> Matmul::candidates(int most, size_t workspace, BlasStatus &status) const {
  MatmulPreference preference = nullptr;
  status = blas_->preferenceCreate(&preference);
  const auto set = [&](PreferenceAttribute attribute, auto value) {
    if (status == kBlasSuccess)
      status = blas_->preferenceSet(preference, attribute, &value, sizeof value);
  };
  set(kMaxWorkspace, static_cast<uint64_t>(workspace));
  set(kReductionSchemes, kSumsOfParts);
  set(kMinAlignmentA, shape_.bAlignment);
  set(kMinAlignmentB, shape_.aAlignment);
  set(kMinAlignmentC, shape_.sumAlignment);
  set(kMinAlignmentD, shape_.cAlignment);
  std::vector<Candidate> found(static_cast<size_t>(most));
  int count = 0;
  if (status == kBlasSuccess)
    status = blas_->heuristic(blas_->handle(), desc_, b_, a_, c_, c_, preference, most, found.data(), &count);
  if (preference)
    blas_->preferenceDestroy(preference);
  std::vector<Algorithm> algorithms;
  for (int index = 0; status == kBlasSuccess && index < count; ++index)
    if (found[index].state == kBlasSuccess && found[index].workspace <= workspace)
      algorithms.push_back(found[index].algorithm);
  return algorithms;
}

bool Matmul::takes(const Algorithm &algorithm, size_t workspace) const {
  Candidate result{};
  return blas_->check(blas_->handle(), desc_, b_, a_, c_, c_, &algorithm, &result) == kBlasSuccess && result.state == kBlasSuccess && result.workspace <= workspace;
}

BlasStatus Matmul::run(const products::Call &call, void *to, const Algorithm &algorithm, void *workspace, size_t workspaceBytes, Stream stream) const {
  const float times = static_cast<float>(call.alpha), before = call.sum ? 1 : 0;
  return blas_->matmul(blas_->handle(), desc_, &times, call.b, b_, call.a, a_, &before, call.sum ? call.sum : to, c_, to, c_, &algorithm, workspace, workspaceBytes, stream);
}

} // namespace peftrt::cuda
