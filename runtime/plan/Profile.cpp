// Profile: see Profile.h.
#include "runtime/plan/Profile.h"
#include "runtime/plan/ProductSteps.h"
#include "runtime/plan/Shapes.h"
#include <algorithm>
#include <cstdio>
#include <set>
#include <vector>

namespace peftrt::plan {
namespace {

constexpr size_t kLines = 24; ///< of a program

std::string shapeOf(const Value &value) {
  std::string text = "[";
  for (const Dim &dim : value.dims)
    text += (text.size() > 1 ? "," : "") + (dim.ragged() ? "seq" + (dim.c ? "+" + std::to_string(dim.c) : "") : std::to_string(dim.c));
  return text + "]";
}

/// `contract ay,zy->az [seq,384] [8,384]`, `rows_3`.
std::string nameOf(const Program &program, const Op &op) {
  if (op.op == "kernel")
    return "kernel " + op.attrs.value("symbol", "");
  std::string text = op.op == "contract" ? "contract " + op.attrs.value("equation", "") + (hasBranch(op) ? " and " + op.attrs.value("branch", "") : "") + (addendOf(op) ? " +" : "") : op.op;
  for (const int64_t operand : op.in)
    text += " " + shapeOf(program.values[operand]);
  return text;
}

} // namespace

double movedBy(const Program &program, const Op &op, const BatchSize &size) {
  if (op.op != "kernel")
    return 0;
  const auto bytesOf = [&](int64_t value) { return static_cast<double>(elementsOf(program.values[value], size) * widthOf(program.values[value].type)); };
  double read = 0, written = 0;
  for (const int64_t result : op.out)
    written += bytesOf(result);
  for (const int64_t operand : std::set<int64_t>(op.in.begin(), op.in.end()))
    read += program.values[operand].perExample ? bytesOf(operand) : std::min(bytesOf(operand), written);
  return read + written;
}

Profile::Entry &Profile::entryOf(const Program &program, const Op &op, double bytes) {
  Entry &entry = programs_[program.name][nameOf(program, op)];
  entry.bytes += bytes;
  ++entry.count;
  return entry;
}

void Profile::add(const Program &program, const Op &op, double bytes) {
  clock_->mark();
  pending_.push_back(&entryOf(program, op, bytes));
}

void Profile::add(const Program &program, const Op &op, double bytes, double seconds) {
  clock_->mark();
  pending_.push_back(nullptr);
  entryOf(program, op, bytes).seconds += seconds;
}

void Profile::end() {
  const std::vector<double> seconds = clock_->seconds();
  for (size_t mark = 0; mark < pending_.size(); ++mark)
    if (pending_[mark])
      pending_[mark]->seconds += seconds[mark];
  pending_.clear();
}

std::vector<StepTime> Profile::steps() const {
  std::vector<StepTime> all;
  for (const auto &[program, steps] : programs_) {
    const auto first = static_cast<ptrdiff_t>(all.size());
    for (const auto &[name, entry] : steps)
      all.push_back({program, name, entry.seconds, entry.bytes, entry.count});
    std::sort(all.begin() + first, all.end(), [](const StepTime &a, const StepTime &b) { return a.seconds > b.seconds; });
  }
  return all;
}

} // namespace peftrt::plan

namespace peftrt {

std::string tableOf(const std::vector<StepTime> &steps) {
  std::string text;
  char line[256];
  for (size_t begin = 0, end = 0; begin < steps.size(); begin = end) {
    double all = 0;
    for (end = begin; end < steps.size() && steps[end].program == steps[begin].program; ++end)
      all += steps[end].seconds;
    std::snprintf(line, sizeof line, "%-60s %9s %8s %7s %7s\n", steps[begin].program.c_str(), "s", "calls", "share", "GB/s");
    text += line;
    for (size_t index = begin; index < std::min(begin + plan::kLines, end); ++index) {
      const StepTime &step = steps[index];
      char rate[32] = "";
      if (step.bytes > 0)
        std::snprintf(rate, sizeof rate, " %7.1f", step.bytes / std::max(step.seconds, 1e-12) * 1e-9);
      std::snprintf(line, sizeof line, "  %-58s %9.3f %8lld %6.1f%%%s\n", step.step.c_str(), step.seconds, static_cast<long long>(step.calls), 100 * step.seconds / std::max(all, 1e-12), rate);
      text += line;
    }
    std::snprintf(line, sizeof line, "  %-58s %9.3f\n", "all", all);
    text += line;
  }
  return text;
}

} // namespace peftrt
