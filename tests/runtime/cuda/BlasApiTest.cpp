// runtime/cuda/BlasApi.h says of cuBLASLt's functions, numbers and structs what cublasLt.h says. Only built where cublasLt.h is.
#include "runtime/cuda/BlasApi.h"
#include <cstddef>
#include <cublasLt.h>
#include <type_traits>

namespace {

using namespace peftrt::cuda;

/// Passed in the same way: numbers of one size and kind, or pointers.
template <typename Ours, typename Theirs>
constexpr bool isSame = std::is_pointer_v<Ours> ? std::is_pointer_v<Theirs> : !std::is_pointer_v<Theirs> && sizeof(Ours) == sizeof(Theirs) && std::is_floating_point_v<Ours> == std::is_floating_point_v<Theirs>;

template <typename Ours, typename Theirs> struct Functions : std::false_type {};
template <typename R, typename... Ours, typename S, typename... Theirs> struct Functions<R (*)(Ours...), S (*)(Theirs...)> {
  static constexpr bool value = [] {
    if constexpr (sizeof...(Ours) == sizeof...(Theirs))
      return isSame<R, S> && (isSame<Ours, Theirs> && ...);
    else
      return false;
  }();
};

#define PEFT_BLAS_COMPARE(FIELD, SYMBOL, RESULT, PARAMETERS) static_assert(Functions<RESULT(*) PARAMETERS, decltype(&SYMBOL)>::value, #SYMBOL);
PEFT_BLAS_API(PEFT_BLAS_COMPARE)
#undef PEFT_BLAS_COMPARE
static_assert(!Functions<BlasStatus (*)(int), decltype(&cublasLtMatmulDescDestroy)>::value, "a comparison that finds nothing compares nothing");

constexpr bool same(long long ours, long long theirs) { return ours == theirs; }
static_assert(same(kBlasSuccess, CUBLAS_STATUS_SUCCESS) && same(kComputeF32, CUBLAS_COMPUTE_32F) && same(kF32, CUDA_R_32F) && same(kBf16, CUDA_R_16BF));
static_assert(same(kStraight, CUBLAS_OP_N) && same(kTurned, CUBLAS_OP_T) && same(kSumsOfParts, CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE));
static_assert(same(kTransA, CUBLASLT_MATMUL_DESC_TRANSA) && same(kTransB, CUBLASLT_MATMUL_DESC_TRANSB));
static_assert(same(kMaxWorkspace, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES) && same(kReductionSchemes, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK) &&
              same(kMinAlignmentA, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES) && same(kMinAlignmentB, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES) &&
              same(kMinAlignmentC, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES) && same(kMinAlignmentD, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES));
static_assert(sizeof(Algorithm) == sizeof(cublasLtMatmulAlgo_t) && alignof(Algorithm) == alignof(cublasLtMatmulAlgo_t));
static_assert(sizeof(Candidate) == sizeof(cublasLtMatmulHeuristicResult_t) && offsetof(Candidate, algorithm) == offsetof(cublasLtMatmulHeuristicResult_t, algo) &&
              offsetof(Candidate, workspace) == offsetof(cublasLtMatmulHeuristicResult_t, workspaceSize) && offsetof(Candidate, state) == offsetof(cublasLtMatmulHeuristicResult_t, state) &&
              offsetof(Candidate, waves) == offsetof(cublasLtMatmulHeuristicResult_t, wavesCount));

} // namespace

int main() { return 0; }
