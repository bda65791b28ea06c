// Progress: see Progress.h.
#include "runtime/modes/Progress.h"
#include <cstdio>
#include <unistd.h>

namespace peftrt {
namespace {

std::string duration(double seconds) {
  const auto whole = static_cast<long long>(seconds + 0.5);
  char text[32];
  if (whole >= 3600)
    std::snprintf(text, sizeof text, "%lld:%02lld:%02lld", whole / 3600, whole / 60 % 60, whole % 60);
  else
    std::snprintf(text, sizeof text, "%lld:%02lld", whole / 60, whole % 60);
  return text;
}

} // namespace

ProgressLine::ProgressLine(int64_t steps) : steps_(steps), terminal_(::isatty(2) != 0), lastShown_() {}

void ProgressLine::step(const Progress &progress, double loss) {
  smoothLoss_ = shown_++ == 0 ? loss : 0.9 * smoothLoss_ + 0.1 * loss;
  if (firstStep_ < 0) {
    firstStep_ = progress.step - 1;
    firstTokens_ = progress.tokens;
    firstSeconds_ = progress.seconds;
  }
  const auto now = std::chrono::steady_clock::now();
  const double since = std::chrono::duration<double>(now - lastShown_).count();
  if (progress.step != steps_ && since < (terminal_ ? 0.1 : 5.0))
    return;
  lastShown_ = now;
  // The first step warms caches up: it is left out of the speed once there are others.
  const bool later = progress.step > firstStep_ + 1;
  const double seconds = later ? progress.seconds - firstSeconds_ : progress.seconds;
  const double tokens = static_cast<double>(later ? progress.tokens - firstTokens_ : progress.tokens);
  const double perStep = seconds / static_cast<double>(later ? progress.step - firstStep_ - 1 : progress.step);
  char text[160];
  std::snprintf(text, sizeof text, "step %lld/%lld  loss %.4f  %.0f tokens/s  ETA %s", static_cast<long long>(progress.step), static_cast<long long>(steps_), smoothLoss_,
                seconds > 0 ? tokens / seconds : 0.0, duration(perStep * static_cast<double>(steps_ - progress.step)).c_str());
  std::fprintf(stderr, terminal_ ? "\r\x1b[K%s" : "%s\n", text);
  std::fflush(stderr);
  drawn_ = terminal_;
}

void ProgressLine::clear() {
  if (drawn_)
    std::fprintf(stderr, "\r\x1b[K");
  drawn_ = false;
}

void ProgressLine::note(const std::string &text) {
  clear();
  std::fprintf(stderr, "%s\n", text.c_str());
}

} // namespace peftrt
