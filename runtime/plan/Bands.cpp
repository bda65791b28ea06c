// Bands: see the header.
#include "runtime/plan/Bands.h"
#include "runtime/plan/PlannedMemory.h"
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <algorithm>
#include <chrono>

namespace peftrt::plan {
namespace {

int64_t parts(int64_t whole, int64_t part) { return (whole + part - 1) / part; }

/// Where each chunk of rows begins, and the end: every thread gets as many chunks, and they are nearly equal.
std::vector<int64_t> chunksOf(int64_t rows, int64_t most, int64_t stretch) {
  const int64_t threads = at::get_num_threads(), count = parts(parts(rows, most), threads) * threads;
  std::vector<int64_t> begins;
  if (stretch > 1) {
    const int64_t stretches = parts(rows, stretch);
    for (int64_t index = 0; index < count; ++index)
      if (const int64_t begin = index * stretches / count * stretch; begins.empty() || begin > begins.back())
        begins.push_back(begin);
  } else {
    const int64_t chunk = std::min(most, parts(parts(rows, count), Products::kRows) * Products::kRows);
    for (int64_t begin = 0; begin < rows; begin += chunk)
      begins.push_back(begin);
  }
  begins.push_back(rows);
  return begins;
}

class Clock {
public:
  /// Seconds since the last call.
  double lap() {
    const auto now = std::chrono::steady_clock::now();
    const std::chrono::duration<double> seconds = now - last_;
    last_ = now;
    return seconds.count();
  }

private:
  std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
};

} // namespace

RowsAt rowsAt(const PlanProgram &plan, int64_t value, const std::vector<Packed> &values) {
  const int64_t thread = threadBytesOf(plan, value);
  return {values[value].tensor.data_ptr(), thread ? rowBytesOf(plan.body.values[value]) : 0, thread};
}

std::vector<void *> RowWork::origins(const RowShare &share) const {
  std::vector<void *> data;
  for (const RowsAt &operand : operands_)
    data.push_back(operand.origin(share.first, share.thread));
  return data;
}

products::Call RowWork::callFor(const RowShare &share) const {
  const auto origin = [&](const RowsAt &rows) { return rows.origin(share.first, share.thread); };
  products::Call call = call_;
  call.a = origin(factors_.a), call.c = origin(factors_.c);
  call.sum = factors_.sum ? origin(*factors_.sum) : nullptr;
  if (factors_.branch)
    call.branch.a = origin(*factors_.branch);
  return call;
}

void RowWork::run(const RowShare &share) const {
  if (kernels_)
    return kernels_->runPart(*step_, origins(share).data(), share.first, share.last);
  products_->multiplyRows(callFor(share), share.first, share.last);
}

void RowWork::runTogether(int64_t first, int64_t last) const {
  if (kernels_)
    return kernels_->runRows(*step_, origins({first, last, 0}).data(), first, last);
  products::Call call = callFor({first, last, 0});
  takeRows(call, first, last);
  if (!b_)
    return products_->multiply(call);
  const auto ofC = [&](const void *data) { return data ? matrixAt(data, call.cIsBf16, {call.rows, call.columns}, {call.cRow, call.cColumn}) : at::Tensor(); };
  const at::Tensor a = matrixAt(call.a, call.aIsBf16, {call.rows, call.depth}, {call.aRow, call.aDepth});
  const at::Tensor b = matrixAt(call.b, call.bIsBf16, {call.depth, call.columns}, {call.bDepth, call.bColumn});
  products_->multiply(ofC(call.c), {a, b, b_->isConstant}, ofC(call.sum));
}

std::vector<double> runBand(const std::vector<RowWork> &band, int64_t rows, int64_t most) {
  std::vector<double> seconds(band.size(), 0);
  if (rows == 0)
    return seconds;
  const int64_t threads = at::get_num_threads();
  if (std::any_of(band.begin(), band.end(), [](const RowWork &work) { return work.isLibrarys(); })) {
    Clock clock;
    for (int64_t first = 0; first < rows; first += most * threads)
      for (size_t index = 0; index < band.size(); ++index) {
        band[index].runTogether(first, std::min(rows, first + most * threads));
        seconds[index] += clock.lap();
      }
    return seconds;
  }
  int64_t stretch = 1;
  for (const RowWork &work : band)
    stretch = std::max(stretch, work.stretch());
  const std::vector<int64_t> begins = chunksOf(rows, most, stretch);
  std::vector<std::vector<double>> own(threads, seconds);
  at::parallel_for(0, static_cast<int64_t>(begins.size()) - 1, 1, [&](int64_t begin, int64_t end) {
    const int64_t thread = at::get_thread_num();
    Clock clock;
    for (int64_t part = begin; part < end; ++part)
      for (size_t index = 0; index < band.size(); ++index) {
        band[index].run({begins[part], begins[part + 1], thread});
        own[thread][index] += clock.lap();
      }
  });
  for (const std::vector<double> &thread : own)
    for (size_t index = 0; index < band.size(); ++index)
      seconds[index] += thread[index] / static_cast<double>(threads);
  return seconds;
}

} // namespace peftrt::plan
