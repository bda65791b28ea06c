// Profile: see Profile.h.
#include "runtime/plan/Profile.h"
#include "runtime/plan/ProductSteps.h"
#include <algorithm>
#include <cstdio>
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

void Profile::add(const Program &program, const Op &op) {
  add(program, op, std::chrono::duration<double>(std::chrono::steady_clock::now() - last_).count());
}

void Profile::add(const Program &program, const Op &op, double seconds) {
  Entry &entry = programs_[program.name][nameOf(program, op)];
  entry.seconds += seconds;
  ++entry.count;
  last_ = std::chrono::steady_clock::now();
}

std::string Profile::table() const {
  std::string text;
  for (const auto &[program, steps] : programs_) {
    double all = 0;
    std::vector<std::pair<std::string, Entry>> sorted(steps.begin(), steps.end());
    for (const auto &[name, entry] : sorted)
      all += entry.seconds;
    std::sort(sorted.begin(), sorted.end(), [](const auto &a, const auto &b) { return a.second.seconds > b.second.seconds; });
    char line[256];
    std::snprintf(line, sizeof line, "%-60s %9s %8s %7s\n", program.c_str(), "s", "calls", "share");
    text += line;
    for (size_t index = 0; index < std::min(kLines, sorted.size()); ++index) {
      const auto &[name, entry] = sorted[index];
      std::snprintf(line, sizeof line, "  %-58s %9.3f %8lld %6.1f%%\n", name.c_str(), entry.seconds, static_cast<long long>(entry.count), 100 * entry.seconds / std::max(all, 1e-12));
      text += line;
    }
    std::snprintf(line, sizeof line, "  %-58s %9.3f\n", "all", all);
    text += line;
  }
  return text;
}

} // namespace peftrt::plan
