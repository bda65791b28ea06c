// BlasApi: the part of cuBLASLt's interface that is used here, declared here, so that nothing of CUDA need be installed to build. tests/runtime/cuda holds it against
// cublasLt.h where that is.
#pragma once
#include "runtime/cuda/Api.h"
#include <cstdint>

namespace peftrt::cuda {

using BlasStatus = int; // cublasStatus_t
using BlasHandle = struct LtContext *;
using MatmulDesc = struct LtMatmulDesc *;
using MatrixLayout = struct LtMatrixLayout *;
using MatmulPreference = struct LtMatmulPreference *;

constexpr BlasStatus kBlasSuccess = 0;
constexpr int kComputeF32 = 68;           // CUBLAS_COMPUTE_32F: never by TF32
constexpr int kF32 = 0, kBf16 = 14;       // cudaDataType
constexpr int32_t kStraight = 0, kTurned = 1; // cublasOperation_t: N, T
constexpr uint32_t kSumsOfParts = 2;      // CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE: parts of a depth that is split are summed in f32

enum MatmulAttribute { kTransA = 3, kTransB = 4 };
enum PreferenceAttribute { kMaxWorkspace = 1, kReductionSchemes = 3, kMinAlignmentA = 5, kMinAlignmentB = 6, kMinAlignmentC = 7, kMinAlignmentD = 8 };

struct Algorithm { // cublasLtMatmulAlgo_t: what is in it is the library's, and the same in all processes with one version
  uint64_t words[8];
};
struct Candidate { // cublasLtMatmulHeuristicResult_t
  Algorithm algorithm;
  size_t workspace; ///< bytes that it needs
  BlasStatus state;
  float waves;
  int reserved[4];
};

// X(field, symbol, result, parameters)
#define PEFT_BLAS_API(X)                                                                                                                     \
  X(version, cublasLtGetVersion, size_t, ())                                                                                                 \
  X(statusName, cublasLtGetStatusName, const char *, (BlasStatus))                                                                           \
  X(create, cublasLtCreate, BlasStatus, (BlasHandle *))                                                                                      \
  X(destroy, cublasLtDestroy, BlasStatus, (BlasHandle))                                                                                      \
  X(descCreate, cublasLtMatmulDescCreate, BlasStatus, (MatmulDesc *, int, int))                                                              \
  X(descDestroy, cublasLtMatmulDescDestroy, BlasStatus, (MatmulDesc))                                                                        \
  X(descSet, cublasLtMatmulDescSetAttribute, BlasStatus, (MatmulDesc, int, const void *, size_t))                                            \
  X(layoutCreate, cublasLtMatrixLayoutCreate, BlasStatus, (MatrixLayout *, int, uint64_t, uint64_t, int64_t))                                \
  X(layoutDestroy, cublasLtMatrixLayoutDestroy, BlasStatus, (MatrixLayout))                                                                  \
  X(preferenceCreate, cublasLtMatmulPreferenceCreate, BlasStatus, (MatmulPreference *))                                                      \
  X(preferenceDestroy, cublasLtMatmulPreferenceDestroy, BlasStatus, (MatmulPreference))                                                      \
  X(preferenceSet, cublasLtMatmulPreferenceSetAttribute, BlasStatus, (MatmulPreference, int, const void *, size_t))                          \
  X(heuristic, cublasLtMatmulAlgoGetHeuristic, BlasStatus,                                                                                   \
    (BlasHandle, MatmulDesc, MatrixLayout, MatrixLayout, MatrixLayout, MatrixLayout, MatmulPreference, int, Candidate *, int *))             \
  X(check, cublasLtMatmulAlgoCheck, BlasStatus,                                                                                              \
    (BlasHandle, MatmulDesc, MatrixLayout, MatrixLayout, MatrixLayout, MatrixLayout, const Algorithm *, Candidate *))                        \
  X(matmul, cublasLtMatmul, BlasStatus,                                                                                                      \
    (BlasHandle, MatmulDesc, const void *, const void *, MatrixLayout, const void *, MatrixLayout, const void *, const void *, MatrixLayout, void *, MatrixLayout, const Algorithm *, void *, size_t, \
     Stream))

} // namespace peftrt::cuda
