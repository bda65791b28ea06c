// runtime/cuda/Gemms.h, under the driver and the cuBLASLt for tests: products that lie in every way are what they are by hand, chosen for and not; nothing is chosen in a capture.
// The environment: LD_LIBRARY_PATH has the driver for tests; PEFT_CUBLASLT_FOR_TESTS names the library, PEFT_GEMMS_FOR_TESTS a folder for the cache.
#include "runtime/cuda/Gemms.h"
#include <ATen/ATen.h>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>

using namespace peftrt;
using namespace peftrt::cuda;

namespace {

int failures = 0;
void expect(bool holds, const std::string &what) {
  if (!holds)
    std::printf("%s\n", what.c_str()), ++failures;
}

/// A matrix in a device's memory, as it lies and by its indices.
struct Matrix {
  at::Tensor held, seen;
  int64_t row() const { return seen.stride(0); }
  int64_t column() const { return seen.stride(1); }
};

class Bench {
public:
  Bench() : gpu_(std::make_shared<const Gpu>("none")), pool_(std::make_shared<Pool>(gpu_)), gemms_(Gemms::make(gpu_, pool_, {false, std::getenv("PEFT_CUBLASLT_FOR_TESTS"), std::getenv("PEFT_GEMMS_FOR_TESTS")})) {}
  Gemms &gemms() { return *gemms_; }
  const Gpu &gpu() { return *gpu_; }

  /// With `gap` numbers behind each row that lies there, and `offset` before the first.
  Matrix matrix(int64_t rows, int64_t columns, bool turned, bool isBf16, int64_t gap, int64_t offset) {
    const int64_t lying = turned ? columns : rows, pitch = (turned ? rows : columns) + gap;
    Matrix made;
    made.held = tensorIn(pool_, *gpu_, {lying * pitch + offset}, isBf16 ? at::kBFloat16 : at::kFloat);
    made.held.copy_(at::randn({lying * pitch + offset}));
    made.seen = made.held.narrow(0, offset, lying * pitch).view({lying, pitch}).narrow(1, 0, turned ? rows : columns);
    if (turned)
      made.seen = made.seen.t();
    return made;
  }

  struct Case {
    int64_t rows, columns, depth;
    bool aTurned, bTurned, factorsAreBf16, resultIsBf16;
    GemmShape::Sum sum;
    int64_t gap, offset;
    double alpha = 1;
  };
  static constexpr double kExact = 1e-5, kOfBf16 = 1e-2;

  /// The call, whose operands last as long as this; and what C is to be.
  products::Call call(const Case &one) {
    matrices_ = {matrix(one.rows, one.depth, one.aTurned, one.factorsAreBf16, one.gap, one.offset), matrix(one.depth, one.columns, one.bTurned, one.factorsAreBf16, one.gap, one.offset),
                 matrix(one.rows, one.columns, false, one.resultIsBf16, one.gap, one.offset), matrix(one.rows, one.columns, false, one.resultIsBf16, one.gap, one.offset)};
    const auto &[a, b, c, sum] = matrices_;
    products::Call call{};
    call.a = a.seen.data_ptr(), call.b = b.seen.data_ptr(), call.c = c.seen.data_ptr();
    call.aRow = a.row(), call.aDepth = a.column(), call.bDepth = b.row(), call.bColumn = b.column(), call.cRow = c.row(), call.cColumn = 1;
    call.rows = one.rows, call.columns = one.columns, call.depth = one.depth;
    call.aIsBf16 = call.bIsBf16 = one.factorsAreBf16, call.cIsBf16 = one.resultIsBf16;
    call.alpha = one.alpha;
    call.sum = one.sum == GemmShape::Sum::none ? nullptr : one.sum == GemmShape::Sum::apart ? sum.seen.data_ptr() : call.c;
    before_ = c.held.clone();
    wanted_ = at::mm(a.seen.to(at::kDouble), b.seen.to(at::kDouble)) * one.alpha;
    if (call.sum)
      wanted_ += (call.sum == call.c ? c : sum).seen.to(at::kDouble);
    return call;
  }

  /// Whether C is that, and nothing beside it was written.
  void expectResult(const Case &one, const std::string &what) {
    gpu_->synchronize("waiting");
    const Matrix &c = matrices_[2];
    const double off = (c.seen.to(at::kDouble) - wanted_).abs().max().item<double>(), most = wanted_.abs().max().item<double>();
    expect(off <= (one.resultIsBf16 ? kOfBf16 : kExact) * std::max(1.0, most), what + ": off by " + std::to_string(off) + " of " + std::to_string(most));
    at::Tensor beside = c.held.clone();
    beside.narrow(0, one.offset, one.rows * c.row()).view({one.rows, c.row()}).narrow(1, 0, one.columns).copy_(before_.narrow(0, one.offset, one.rows * c.row()).view({one.rows, c.row()}).narrow(1, 0, one.columns));
    expect(at::equal(beside, before_), what + ": wrote beside its result");
  }

private:
  std::shared_ptr<const Gpu> gpu_;
  std::shared_ptr<Pool> pool_;
  std::unique_ptr<Gemms> gemms_;
  std::array<Matrix, 4> matrices_;
  at::Tensor before_, wanted_;
};

using Sum = GemmShape::Sum;

void testWaysToLie(Bench &bench) {
  int64_t shapes = 0;
  for (const auto &[factorsAreBf16, resultIsBf16] : {std::pair(false, false), std::pair(true, true), std::pair(true, false)})
    for (const Sum sum : {Sum::none, Sum::apart, Sum::inPlace})
      for (int way = 0; way < 16; ++way) {
        const Bench::Case one{5, 7, 11, (way & 1) != 0, (way & 2) != 0, factorsAreBf16, resultIsBf16, sum, way & 4 ? 3 : 0, way & 8 ? 1 : 0, way & 1 ? 0.5 : 1};
        const std::string what = "types " + std::to_string(factorsAreBf16) + std::to_string(resultIsBf16) + ", sum " + std::to_string(static_cast<int>(sum)) + ", way " + std::to_string(way);
        for (const char *time : {", chosen for", ", known"})
          expect(bench.gemms().multiply(bench.call(one)), what + time + ": it is not done"), bench.expectResult(one, what + time);
        ++shapes;
      }
  expect(bench.gemms().use().timed == shapes && bench.gemms().use().library == 0, "each way to lie is a shape");
  for (const auto &[rows, columns, depth] : {std::array<int64_t, 3>{1, 7, 11}, {5, 1, 11}, {5, 7, 1}, {1, 1, 1}})
    for (int way = 0; way < 8; ++way) {
      const Bench::Case one{rows, columns, depth, (way & 1) != 0, (way & 2) != 0, false, false, Sum::none, way & 4 ? 3 : 0, 0};
      expect(bench.gemms().multiply(bench.call(one)), "thin products are done"), bench.expectResult(one, "thin " + std::to_string(rows) + "x" + std::to_string(columns) + "x" + std::to_string(depth) + " " + std::to_string(way));
    }
}

void testWhatIsLibTorchs(Bench &bench) {
  const int64_t timed = bench.gemms().use().timed;
  products::Call call = bench.call({5, 7, 11, false, false, false, false, Sum::none, 0, 0});
  const auto isLeft = [&](auto change) {
    products::Call other = call;
    change(other);
    return !bench.gemms().multiply(other);
  };
  expect(isLeft([](products::Call &it) { it.rows = 0; }) && isLeft([](products::Call &it) { it.depth = 0; }), "nothing is no product of cuBLASLt's");
  expect(isLeft([](products::Call &it) { it.aDepth = 2; }), "rows with gaps in them");
  expect(isLeft([](products::Call &it) { it.bIsBf16 = true; }), "factors of two types");
  expect(bench.gemms().use().timed == timed, "and none is chosen for");
}

void testCaptures(Bench &bench) {
  const Driver &driver = bench.gpu().driver;
  const int64_t timed = bench.gemms().use().timed;
  const auto captured = [&](const products::Call &call) {
    Graph graph = nullptr;
    expect(driver.captureBegin(bench.gpu().stream(), kCaptureThreadLocal) == kSuccess, "a capture begins");
    const bool isDone = bench.gemms().multiply(call);
    expect(driver.captureEnd(bench.gpu().stream(), &graph) == kSuccess, "and is whole");
    return std::pair(isDone, graph);
  };
  const Bench::Case one{6, 7, 11, false, true, false, false, Sum::inPlace, 0, 0};
  expect(!captured(bench.call(one)).first && bench.gemms().use().timed == timed, "nothing is chosen in a capture");
  expect(bench.gemms().multiply(bench.call(one)) && bench.gemms().use().timed == timed + 1, "but behind it");
  const auto [isDone, graph] = captured(bench.call(one));
  expect(isDone, "and what was chosen is captured");
  GraphExec made = nullptr;
  expect(driver.graphInstantiate(&made, graph, 0) == kSuccess && driver.graphLaunch(made, bench.gpu().stream()) == kSuccess, "and launched");
  bench.expectResult(one, "from a graph");
}

} // namespace

int main() {
  const c10::InferenceMode noAutograd;
  at::manual_seed(1);
  std::filesystem::remove_all(std::getenv("PEFT_GEMMS_FOR_TESTS"));
  Bench bench;
  testWaysToLie(bench);
  testWhatIsLibTorchs(bench);
  testCaptures(bench);
  std::printf("%lld shapes, %d failures\n", static_cast<long long>(bench.gemms().use().timed), failures);
  return failures != 0;
}
