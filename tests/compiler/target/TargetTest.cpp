// The kernels' back-end: for every CPU that this machine runs, elementary functions against double precision, a reduction, a loop that LLVM would
// call memset for, equal bytes for equal modules, threads at once; and what must fail. For every GPU: text that needs nothing else (whether it is PTX
// test_ptx.py asks NVIDIA's assembler).
#include "compiler/target/Cpu.h"
#include "compiler/target/Lowering.h"
#include "compiler/target/Nvptx.h"
#include "tests/compiler/Check.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/Parser/Parser.h"
#include <chrono>
#include <cmath>
#include <cstring>
#include <dlfcn.h>
#include <functional>
#include <limits>
#include <sys/mman.h>
#include <thread>
#include <unistd.h>
#include <vector>

using namespace peftc::target;

namespace {

using Map = void (*)(const float *, float *, int64_t);

/// A function of each element of x (n of them, a multiple of the lanes), and how far from double it may be.
struct Elementary {
  std::string name, op;
  std::function<double(double)> exact;
  double low, high, absolute, relative;
};

double powExact(double x) { return std::pow(x, 1.7f); }

std::vector<Elementary> elementary() {
  const auto exp = [](double x) { return std::exp(x); };
  const auto expm1 = [](double x) { return std::expm1(x); };
  const auto tanh = [](double x) { return std::tanh(x); };
  const auto erf = [](double x) { return std::erf(x); };
  const auto log = [](double x) { return std::log(x); };
  const auto log1p = [](double x) { return std::log1p(x); };
  const auto sin = [](double x) { return std::sin(x); };
  const auto cos = [](double x) { return std::cos(x); };
  const auto rsqrt = [](double x) { return 1 / std::sqrt(x); };
  return {{"exp", "math.exp %x", exp, -87.33, 88.72, 0, 2e-7},
          {"exp_far_below", "math.exp %x", exp, -1e6, -87.5, 1.2e-38, 0},
          {"expm1", "math.expm1 %x", expm1, -5, 5, 1e-6, 1e-6},
          {"erf", "math.erf %x", erf, -6, 6, 1e-6, 0},
          {"tanh", "math.tanh %x", tanh, -12, 12, 1e-6, 0},
          {"log", "math.log %x", log, 1e-6, 1e4, 0, 1e-6},
          {"log_near_one", "math.log %x", log, 0.5, 2, 1e-6, 0},
          {"log1p", "math.log1p %x", log1p, -0.9, 10, 1e-6, 1e-6},
          {"sin", "math.sin %x", sin, -10, 10, 1e-6, 0},
          {"cos", "math.cos %x", cos, -10, 10, 1e-6, 0},
          {"sin_far", "math.sin %x", sin, -1e6, 1e6, 1e-6, 0},
          {"cos_far", "math.cos %x", cos, -1e6, 1e6, 1e-6, 0},
          {"tanh_small", "math.tanh %x", tanh, -1e-3, 1e-3, 0, 1e-6},
          {"erf_small", "math.erf %x", erf, -1e-3, 1e-3, 0, 1e-6},
          {"rsqrt", "math.rsqrt %x", rsqrt, 1e-6, 1e4, 0, 1.3e-7},
          {"pow", "math.powf %x, %y", powExact, 1e-3, 10, 0, 2e-6}};
}

std::string replaced(std::string text, const std::string &what, const std::string &with) {
  for (size_t at = 0; (at = text.find(what, at)) != std::string::npos; at += with.size())
    text.replace(at, what.size(), with);
  return text;
}

const char *kMap = R"(
llvm.func @NAME(%in: !llvm.ptr, %out: !llvm.ptr, %n: i64) {
  %end = arith.index_cast %n : i64 to index
  %zero = arith.constant 0 : index
  %step = arith.constant LANES : index
  scf.for %i = %zero to %end step %step {
    %at = arith.index_cast %i : index to i64
    %p = llvm.getelementptr %in[%at] : (!llvm.ptr, i64) -> !llvm.ptr, f32
    %q = llvm.getelementptr %out[%at] : (!llvm.ptr, i64) -> !llvm.ptr, f32
    %y = arith.constant dense<1.7> : vector<LANESxf32>
    %x = llvm.load %p {alignment = 4 : i64} : !llvm.ptr -> vector<LANESxf32>
    %r = OP : vector<LANESxf32>
    llvm.store %r, %q {alignment = 4 : i64} : vector<LANESxf32>, !llvm.ptr
  }
  llvm.return
}
)";

/// A sum with a carried vector and index arithmetic, a loop that is a memset, and one that is a memcpy.
const char *kOthers = R"(
llvm.func @sum(%in: !llvm.ptr, %out: !llvm.ptr, %n: i64) {
  %end = index.casts %n : i64 to index
  %zero = index.constant 0
  %step = index.constant LANES
  %none = arith.constant dense<0.0> : vector<LANESxf32>
  %all = scf.for %i = %zero to %end step %step iter_args(%sum = %none) -> vector<LANESxf32> {
    %at = index.casts %i : index to i64
    %p = llvm.getelementptr %in[%at] : (!llvm.ptr, i64) -> !llvm.ptr, f32
    %x = llvm.load %p {alignment = 4 : i64} : !llvm.ptr -> vector<LANESxf32>
    %next = arith.addf %sum, %x : vector<LANESxf32>
    scf.yield %next : vector<LANESxf32>
  }
  %s = vector.reduction <add>, %all : vector<LANESxf32> into f32
  %wide = vector.broadcast %s : f32 to vector<LANESxf32>
  %first = vector.extract %wide[0] : f32 from vector<LANESxf32>
  llvm.store %first, %out : f32, !llvm.ptr
  llvm.return
}
llvm.func @clear(%in: !llvm.ptr, %out: !llvm.ptr, %n: i64) {
  %c0 = arith.constant 0 : i64
  %c1 = arith.constant 1 : i64
  %f0 = arith.constant 0.0 : f32
  scf.for %i = %c0 to %n step %c1 : i64 {
    %q = llvm.getelementptr %out[%i] : (!llvm.ptr, i64) -> !llvm.ptr, f32
    llvm.store %f0, %q : f32, !llvm.ptr
  }
  llvm.return
}
llvm.func @copy(%in: !llvm.ptr {llvm.noalias}, %out: !llvm.ptr {llvm.noalias}, %n: i64) {
  %c0 = arith.constant 0 : i64
  %c1 = arith.constant 1 : i64
  scf.for %i = %c0 to %n step %c1 : i64 {
    %p = llvm.getelementptr %in[%i] : (!llvm.ptr, i64) -> !llvm.ptr, f32
    %q = llvm.getelementptr %out[%i] : (!llvm.ptr, i64) -> !llvm.ptr, f32
    %x = llvm.load %p : !llvm.ptr -> f32
    llvm.store %x, %q : f32, !llvm.ptr
  }
  llvm.return
}
)";

std::string moduleText(unsigned lanes) {
  std::string text;
  for (const Elementary &one : elementary())
    text += replaced(replaced(kMap, "NAME", one.name), "OP", one.op);
  return replaced(text + kOthers, "LANES", std::to_string(lanes));
}

mlir::FailureOr<std::string> compiledFor(mlir::ModuleOp module, const CpuTarget &target) {
  std::string unwritten;
  return compileShared(module, target, unwritten);
}
mlir::FailureOr<std::string> compiledFor(mlir::ModuleOp module, const GpuTarget &target) {
  return failed(lowerToLlvm(module)) ? mlir::FailureOr<std::string>(mlir::failure()) : ptxOf(module, target);
}

/// Empty where it fails; `said` collects the diagnostics.
template <typename Target> std::string compiled(const std::string &text, const Target &target, std::string *said = nullptr) {
  mlir::MLIRContext context(mlir::MLIRContext::Threading::DISABLED);
  loadKernelDialects(context);
  mlir::ScopedDiagnosticHandler handler(&context, [&](mlir::Diagnostic &diagnostic) {
    if (said)
      *said += diagnostic.str() + "\n";
    else
      std::fprintf(stderr, "%s\n", diagnostic.str().c_str());
    return mlir::success();
  });
  const auto module = mlir::parseSourceString<mlir::ModuleOp>(text, &context);
  CHECK(module);
  const mlir::FailureOr<std::string> bytes = module ? compiledFor(*module, target) : mlir::FailureOr<std::string>(mlir::failure());
  return mlir::succeeded(bytes) ? *bytes : "";
}

struct Loaded {
  void *handle = nullptr;
  explicit Loaded(const std::string &bytes) {
    const int file = ::memfd_create("kernels", 0);
    CHECK(::write(file, bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()));
    handle = ::dlopen(("/proc/self/fd/" + std::to_string(file)).c_str(), RTLD_NOW | RTLD_LOCAL);
    if (!handle)
      std::fprintf(stderr, "%s\n", ::dlerror());
    ::close(file);
  }
  ~Loaded() {
    if (handle)
      ::dlclose(handle);
  }
  Map map(const std::string &name) const { return reinterpret_cast<Map>(::dlsym(handle, name.c_str())); }
};

bool runsHere(const CpuTarget &target) { return target.vectorBits <= 256 ? __builtin_cpu_supports("x86-64-v3") : __builtin_cpu_supports("x86-64-v4"); }

/// The worst errors over a dense grid; each element must be within the absolute or the relative bound.
void testElementary(const Loaded &loaded, const Elementary &one) {
  constexpr int64_t kCount = 1 << 16;
  std::vector<float> x(kCount), y(kCount);
  for (int64_t index = 0; index < kCount; ++index)
    x[index] = one.low + (one.high - one.low) * (index + 0.37) / kCount;
  const Map map = loaded.map(one.name);
  CHECK(map);
  map(x.data(), y.data(), kCount);
  double absolute = 0, relative = 0;
  bool within = true;
  for (int64_t index = 0; index < kCount; ++index) {
    const double exact = one.exact(x[index]), error = std::abs(y[index] - exact), share = error / std::abs(exact);
    within &= error <= one.absolute || share <= one.relative;
    absolute = std::max(absolute, error);
    relative = std::max(relative, share);
  }
  std::printf("  %-13s [%g, %g]: worst absolute error %.2e, relative %.2e%s\n", one.name.c_str(), one.low, one.high, absolute, relative, within ? "" : "  TOO FAR");
  CHECK(within);
}

/// exp where a softmax meets it: masked scores, overflow, not a number.
void testEdges(const Loaded &loaded) {
  const float inf = std::numeric_limits<float>::infinity(), nan = std::numeric_limits<float>::quiet_NaN();
  std::vector<float> x(32, 0.0f), y(32);
  const float edges[] = {-inf, -1e9f, -104, 0, inf, 89, nan, 1};
  std::copy(std::begin(edges), std::end(edges), x.begin());
  loaded.map("exp")(x.data(), y.data(), 32);
  CHECK(y[0] == 0 && y[1] == 0 && y[2] >= 0 && y[2] < 1e-37f && y[3] == 1 && y[4] == inf && y[5] == inf && std::isnan(y[6]) && std::abs(y[7] - 2.7182817f) < 5e-7f);
  loaded.map("log")(x.data(), y.data(), 32);
  CHECK(std::isnan(y[0]) && std::isnan(y[1]) && y[3] == -inf && y[4] == inf && std::isnan(y[6]) && y[7] == 0);
  loaded.map("tanh")(x.data(), y.data(), 32);
  CHECK(y[0] == -1 && y[1] == -1 && y[3] == 0 && y[4] == 1 && std::isnan(y[6]));
  loaded.map("sin")(x.data(), y.data(), 32);
  CHECK(std::isnan(y[0]) && y[3] == 0 && std::isnan(y[4]) && std::isnan(y[6]) && std::abs(y[1]) <= 1);
  loaded.map("cos")(x.data(), y.data(), 32);
  CHECK(std::isnan(y[0]) && y[3] == 1 && std::isnan(y[4]) && std::isnan(y[6]));
  loaded.map("erf")(x.data(), y.data(), 32);
  CHECK(y[0] == -1 && y[1] == -1 && y[3] == 0 && y[4] == 1 && std::isnan(y[6]));
}

void testOthers(const Loaded &loaded) {
  std::vector<float> x(1024), y(1024, 7.0f);
  for (int index = 0; index < 1024; ++index)
    x[index] = index;
  loaded.map("sum")(x.data(), y.data(), 1024);
  CHECK(y[0] == 1023 * 512);
  loaded.map("clear")(x.data(), y.data(), 1000);
  CHECK(y[0] == 0 && y[999] == 0 && y[1000] == 7);
  loaded.map("copy")(x.data(), y.data(), 1000);
  CHECK(y[1] == 1 && y[999] == 999 && y[1000] == 7);
}

void testTarget(const CpuTarget &target) {
  const std::string text = moduleText(target.lanes);
  const auto start = std::chrono::steady_clock::now();
  const std::string bytes = compiled(text, target);
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  std::printf("%s: %zu bytes in %.3f s\n", target.name.str().c_str(), bytes.size(), seconds);
  CHECK(!bytes.empty());
  if (bytes.empty())
    return;
  std::string again[2];
  std::thread other([&] { again[0] = compiled(text, target); });
  again[1] = compiled(text, target);
  other.join();
  CHECK(again[0] == bytes && again[1] == bytes);
  if (!runsHere(target)) {
    std::printf("  this machine does not run it\n");
    return;
  }
  const Loaded loaded(bytes);
  CHECK(loaded.handle);
  if (!loaded.handle)
    return;
  for (const Elementary &one : elementary())
    testElementary(loaded, one);
  testEdges(loaded);
  testOthers(loaded);
}

void testGpu(const GpuTarget &target) {
  const std::string text = compiled(moduleText(target.lanes), target);
  std::printf("%s: %zu bytes\n", target.name.str().c_str(), text.size());
  CHECK(text.find(".target " + target.name.str()) != std::string::npos);
  CHECK(text.find(".extern") == std::string::npos && text.find("call") == std::string::npos);
  CHECK(compiled(moduleText(target.lanes), target) == text);
  CHECK(gpuTargetNamed(target.name) == &target);
}

template <typename Target> void testErrors(const Target &target, const std::string &absent) {
  std::string said;
  CHECK(compiled("llvm.func @absent(f32) -> f32\nllvm.func @f(%x: f32) -> f32 {\n  %y = llvm.call @absent(%x) : (f32) -> f32\n  llvm.return %y : f32\n}", target, &said).empty());
  CHECK(said.find("absent") != std::string::npos && said.find(absent) != std::string::npos);
  for (const std::string op : {"exp", "log", "tan"}) {
    said.clear();
    CHECK(compiled("llvm.func @f(%x: f64) -> f64 {\n  %y = math." + op + " %x : f64\n  llvm.return %y : f64\n}", target, &said).empty());
    CHECK(said.find(op) != std::string::npos && said.find(absent) != std::string::npos);
  }
  said.clear();
  CHECK(!compiled("llvm.func @f(%x: f32) -> f32 {\n  %y = math.exp %x : f32\n  llvm.return %y : f32\n}", target, &said).empty());
  CHECK(said.empty());
}

} // namespace

int main() {
  for (const CpuTarget &target : cpuTargets())
    testTarget(target);
  testErrors(cpuTargets().front(), "do not link");
  for (const GpuTarget &target : gpuTargets())
    testGpu(target);
  testErrors(gpuTargets().front(), "GPUs do not have");
  CHECK(!gpuTargetNamed("sm_10"));
  return failures ? 1 : 0;
}
