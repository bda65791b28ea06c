// Blas: a libcublasLt for tests: the functions of runtime/cuda/BlasApi.h, on the memory and the stream of the driver for tests.
//
// A product is a function of the host that the stream calls, so it is done when the stream comes to it, and captured like anything else. It offers a few candidates,
// which take time of the driver's clock: the library's first (40 us), one that refuses, one that is the fastest (10 us), one that needs more workspace than anyone
// gives, one of which it says that it cannot, one that is a thousand times slower, and one that takes 20 us.
// What is asked for is held against what was said of it: shapes, pitches, workspace, and that addresses are aligned as an algorithm was promised.
// The folder of the library's file may hold `blas.txt`: a setting a line. `blas.counts.txt` there gets the sums.
#include "runtime/cuda/BlasApi.h"
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <dlfcn.h>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <thread>

using namespace peftrt::cuda;

namespace {

constexpr BlasStatus kNotInitialized = 1, kInvalid = 7, kFailed = 13, kNotSupported = 15;
constexpr uint64_t kMark = 0xb1a5;

struct Kind {
  double microseconds;
  size_t workspace;
  BlasStatus state, launch;
};
constexpr Kind kKinds[] = {{40, 0, 0, 0}, {1, 0, 0, kFailed}, {10, 1 << 20, 0, 0}, {1, size_t{1} << 40, 0, 0}, {1, 0, kNotSupported, 0}, {40000, 0, 0, 0}, {20, 0, 0, 0}};
constexpr int kCount = std::size(kKinds);

struct Settings {
  int64_t version = 130100;
  int64_t starts = 1;      ///< 0: there can be no handle
  int64_t none = 0;        ///< 1: it knows no algorithm
  int64_t refuses = 0;     ///< 1: it does nothing that it is asked for
  int64_t slow_calls = 0;  ///< so many times to ask for candidates takes 0.7 s
  int64_t fastest = 2;     ///< the candidate that takes 10 us; of 2 and 6 the other takes 20
};

struct Layout {
  int type;
  int64_t rows, columns, pitch;
  int64_t bytes() const { return type == kBf16 ? 2 : 4; }
};
struct Desc {
  int32_t turns[2] = {kStraight, kStraight};
};
struct Preference {
  uint64_t workspace = 0;
  uint32_t schemes = 7, alignments[4] = {256, 256, 256, 256};
};

std::string ownFolder() {
  Dl_info found;
  return ::dladdr(reinterpret_cast<const void *>(&ownFolder), &found) && found.dli_fname ? std::filesystem::path(found.dli_fname).parent_path().string() : ".";
}

class Library {
public:
  static Library &here() {
    static Library library;
    return library;
  }
  Settings settings;
  int64_t heuristics = 0, checks = 0, objects = 0, handles = 0, asked[kCount] = {}, ran[kCount] = {};

  double microsecondsOf(int index) const { return index == settings.fastest ? 10 : index == 2 ? 20 : kKinds[index].microseconds; }

private:
  Library() {
    const std::map<std::string, int64_t *> fields = {{"version", &settings.version}, {"starts", &settings.starts}, {"none", &settings.none}, {"refuses", &settings.refuses}, {"slow_calls", &settings.slow_calls}, {"fastest", &settings.fastest}};
    std::ifstream file(ownFolder() + "/blas.txt");
    std::string name;
    for (int64_t value = 0; file >> name >> value;) {
      if (!fields.count(name)) {
        std::fprintf(stderr, "the cuBLASLt for tests: blas.txt has no setting `%s`\n", name.c_str());
        std::abort();
      }
      *fields.at(name) = value;
    }
  }
  ~Library() {
    std::ofstream file(ownFolder() + "/blas.counts.txt");
    file << "heuristics " << heuristics << "\nchecks " << checks << "\nobjects_left " << objects << "\nhandles_left " << handles << "\n";
    for (int index = 0; index < kCount; ++index)
      file << "asked_" << index << " " << asked[index] << "\nran_" << index << " " << ran[index] << "\n";
  }
};

float numberAt(const void *data, int type, int64_t index) {
  if (type == kF32)
    return static_cast<const float *>(data)[index];
  const uint32_t bits = static_cast<uint32_t>(static_cast<const uint16_t *>(data)[index]) << 16;
  float number;
  std::memcpy(&number, &bits, sizeof number);
  return number;
}

void put(void *data, int type, int64_t index, float number) {
  if (type == kF32) {
    static_cast<float *>(data)[index] = number;
    return;
  }
  uint32_t bits;
  std::memcpy(&bits, &number, sizeof bits);
  static_cast<uint16_t *>(data)[index] = std::isnan(number) ? 0x7fc0 : static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

/// D = op(A) op(B) + beta C, in columns.
struct Product {
  int kind;
  bool aTurned, bTurned;
  Layout a, b, d;
  const void *aData, *bData, *cData;
  void *dData;
  float alpha, beta;
  int64_t depth;
};
std::deque<Product> products; ///< graphs have their addresses

void doProduct(void *argument) {
  const Product &it = *static_cast<const Product *>(argument);
  for (int64_t column = 0; column < it.d.columns; ++column)
    for (int64_t row = 0; row < it.d.rows; ++row) {
      double sum = 0;
      for (int64_t k = 0; k < it.depth; ++k)
        sum += static_cast<double>(numberAt(it.aData, it.a.type, it.aTurned ? k + row * it.a.pitch : row + k * it.a.pitch)) *
               numberAt(it.bData, it.b.type, it.bTurned ? column + k * it.b.pitch : k + column * it.b.pitch);
      const int64_t place = row + column * it.d.pitch;
      put(it.dData, it.d.type, place, it.alpha * static_cast<float>(sum) + (it.beta != 0 ? it.beta * numberAt(it.cData, it.d.type, place) : 0));
    }
  ++Library::here().ran[it.kind];
  static const auto pass = reinterpret_cast<void (*)(unsigned long long)>(::dlsym(RTLD_DEFAULT, "gpuForTestsPass"));
  pass(static_cast<unsigned long long>(Library::here().microsecondsOf(it.kind) * 1000));
}

template <typename Ours, typename Theirs> Ours *ours(Theirs handle) { return reinterpret_cast<Ours *>(handle); }

template <typename Object, typename Handle, typename... Fields> BlasStatus make(Handle *handle, Fields... fields) {
  ++Library::here().objects;
  *handle = reinterpret_cast<Handle>(new Object{fields...});
  return kBlasSuccess;
}
template <typename Object, typename Handle> BlasStatus end(Handle handle) {
  --Library::here().objects;
  delete ours<Object>(handle);
  return kBlasSuccess;
}

bool fits(const Desc &desc, const Layout &a, const Layout &b, const Layout &c, const Layout &d) {
  const bool aTurned = desc.turns[0] == kTurned, bTurned = desc.turns[1] == kTurned;
  for (const Layout *one : {&a, &b, &c, &d})
    if (one->pitch < one->rows || one->rows <= 0 || one->columns <= 0)
      return false;
  return (aTurned ? a.columns : a.rows) == d.rows && (bTurned ? b.rows : b.columns) == d.columns && (aTurned ? a.rows : a.columns) == (bTurned ? b.columns : b.rows) && a.type == b.type &&
         c.type == d.type && c.rows == d.rows && c.columns == d.columns && c.pitch == d.pitch && (d.type == kF32 || a.type == kBf16);
}

} // namespace

extern "C" {
// What is defined below with other types than BlasApi.h has does not compile.
#define PEFT_BLAS_DECLARE(FIELD, SYMBOL, RESULT, PARAMETERS) RESULT SYMBOL PARAMETERS;
PEFT_BLAS_API(PEFT_BLAS_DECLARE)
#undef PEFT_BLAS_DECLARE

size_t cublasLtGetVersion() { return static_cast<size_t>(Library::here().settings.version); }
const char *cublasLtGetStatusName(BlasStatus status) {
  return status == kNotInitialized ? "CUBLAS_STATUS_NOT_INITIALIZED" : status == kInvalid ? "CUBLAS_STATUS_INVALID_VALUE" : status == kFailed ? "CUBLAS_STATUS_EXECUTION_FAILED" : status == kNotSupported ? "CUBLAS_STATUS_NOT_SUPPORTED" : "CUBLAS_STATUS_UNKNOWN";
}
BlasStatus cublasLtCreate(BlasHandle *handle) {
  if (!Library::here().settings.starts)
    return kNotInitialized;
  ++Library::here().handles;
  return *handle = reinterpret_cast<BlasHandle>(&Library::here()), kBlasSuccess;
}
BlasStatus cublasLtDestroy(BlasHandle) { return --Library::here().handles, kBlasSuccess; }

BlasStatus cublasLtMatmulDescCreate(MatmulDesc *desc, int compute, int scale) { return compute == kComputeF32 && scale == kF32 ? make<Desc>(desc) : kInvalid; }
BlasStatus cublasLtMatmulDescDestroy(MatmulDesc desc) { return end<Desc>(desc); }
BlasStatus cublasLtMatmulDescSetAttribute(MatmulDesc desc, int attribute, const void *value, size_t bytes) {
  if ((attribute != kTransA && attribute != kTransB) || bytes != sizeof(int32_t))
    return kInvalid;
  std::memcpy(&ours<Desc>(desc)->turns[attribute == kTransB], value, bytes);
  return kBlasSuccess;
}
BlasStatus cublasLtMatrixLayoutCreate(MatrixLayout *layout, int type, uint64_t rows, uint64_t columns, int64_t pitch) {
  return make<Layout>(layout, type, static_cast<int64_t>(rows), static_cast<int64_t>(columns), pitch);
}
BlasStatus cublasLtMatrixLayoutDestroy(MatrixLayout layout) { return end<Layout>(layout); }
BlasStatus cublasLtMatmulPreferenceCreate(MatmulPreference *preference) { return make<Preference>(preference); }
BlasStatus cublasLtMatmulPreferenceDestroy(MatmulPreference preference) { return end<Preference>(preference); }
BlasStatus cublasLtMatmulPreferenceSetAttribute(MatmulPreference preference, int attribute, const void *value, size_t bytes) {
  Preference &it = *ours<Preference>(preference);
  void *field = attribute == kMaxWorkspace ? static_cast<void *>(&it.workspace) : attribute == kReductionSchemes ? &it.schemes : attribute >= kMinAlignmentA && attribute <= kMinAlignmentD ? &it.alignments[attribute - kMinAlignmentA] : nullptr;
  if (!field || bytes != (attribute == kMaxWorkspace ? 8 : 4))
    return kInvalid;
  return std::memcpy(field, value, bytes), kBlasSuccess;
}

BlasStatus cublasLtMatmulAlgoGetHeuristic(BlasHandle, MatmulDesc desc, MatrixLayout a, MatrixLayout b, MatrixLayout c, MatrixLayout d, MatmulPreference preference, int most, Candidate *found, int *count) {
  Library &library = Library::here();
  *count = 0;
  if (++library.heuristics <= library.settings.slow_calls)
    std::this_thread::sleep_for(std::chrono::milliseconds(700));
  if (!fits(*ours<Desc>(desc), *ours<Layout>(a), *ours<Layout>(b), *ours<Layout>(c), *ours<Layout>(d)))
    return kInvalid;
  if (library.settings.none)
    return kNotSupported;
  const uint32_t *const alignments = ours<Preference>(preference)->alignments;
  const uint64_t promised = uint64_t{alignments[0]} | uint64_t{alignments[1]} << 16 | uint64_t{alignments[2]} << 32 | uint64_t{alignments[3]} << 48;
  for (int index = 0; index < kCount && *count < most; ++index)
    found[(*count)++] = {{{kMark, static_cast<uint64_t>(index), promised, static_cast<uint64_t>(library.settings.version)}}, kKinds[index].workspace, kKinds[index].state, 1, {}};
  return kBlasSuccess;
}

BlasStatus cublasLtMatmulAlgoCheck(BlasHandle, MatmulDesc desc, MatrixLayout a, MatrixLayout b, MatrixLayout c, MatrixLayout d, const Algorithm *algorithm, Candidate *result) {
  Library &library = Library::here();
  ++library.checks;
  const uint64_t *const words = algorithm->words;
  if (words[0] != kMark || words[1] >= kCount || words[3] != static_cast<uint64_t>(library.settings.version) || !fits(*ours<Desc>(desc), *ours<Layout>(a), *ours<Layout>(b), *ours<Layout>(c), *ours<Layout>(d)))
    return kInvalid;
  return *result = {*algorithm, kKinds[words[1]].workspace, kKinds[words[1]].state, 1, {}}, kBlasSuccess;
}

BlasStatus cublasLtMatmul(BlasHandle, MatmulDesc desc, const void *alpha, const void *aData, MatrixLayout a, const void *bData, MatrixLayout b, const void *beta, const void *cData, MatrixLayout c, void *dData, MatrixLayout d,
                          const Algorithm *algorithm, void *workspace, size_t workspaceBytes, Stream stream) {
  Library &library = Library::here();
  const uint64_t *const words = algorithm->words;
  const Desc &how = *ours<Desc>(desc);
  const Layout &left = *ours<Layout>(a), &right = *ours<Layout>(b), &out = *ours<Layout>(d);
  if (words[0] != kMark || words[1] >= kCount || !fits(how, left, right, *ours<Layout>(c), out))
    return kInvalid;
  const int kind = static_cast<int>(words[1]);
  if (workspaceBytes < kKinds[kind].workspace || (kKinds[kind].workspace && !workspace) || kKinds[kind].state != kBlasSuccess)
    return kNotSupported;
  const void *const places[] = {aData, bData, cData, dData};
  for (int index = 0; index < 4; ++index)
    if (const uint64_t alignment = words[2] >> 16 * index & 0xffff; alignment == 0 || reinterpret_cast<uintptr_t>(places[index]) % alignment != 0)
      return kInvalid;
  ++library.asked[kind];
  if (library.settings.refuses || kKinds[kind].launch != kBlasSuccess)
    return kFailed;
  const bool aTurned = how.turns[0] == kTurned, bTurned = how.turns[1] == kTurned;
  products.push_back({kind, aTurned, bTurned, left, right, out, aData, bData, cData, dData, *static_cast<const float *>(alpha), *static_cast<const float *>(beta), aTurned ? left.rows : left.columns});
  static const auto call = reinterpret_cast<Status (*)(Stream, HostFunction, void *)>(::dlsym(RTLD_DEFAULT, "cuLaunchHostFunc"));
  return call(stream, doProduct, &products.back()) == kSuccess ? kBlasSuccess : kFailed;
}
}
