// Progress: the line that says how training goes: redrawn in place on a terminal, a line every few seconds elsewhere.
#pragma once
#include "runtime/checkpoint/RunFolder.h"
#include <chrono>
#include <string>

namespace peftrt {

class ProgressLine {
public:
  explicit ProgressLine(int64_t steps);
  void step(const Progress &progress, double loss);
  void note(const std::string &text); ///< a line that stays
  void clear();

private:
  int64_t steps_;
  bool terminal_, drawn_ = false;
  double smoothLoss_ = 0;
  int64_t shown_ = 0, firstStep_ = -1, firstTokens_ = 0;
  double firstSeconds_ = 0;
  std::chrono::steady_clock::time_point lastShown_;
};

} // namespace peftrt
