// Profile: seconds of a plan's steps. Standard library only.
#pragma once
#include "runtime/bundle/Format.h"
#include <chrono>
#include <map>
#include <string>

namespace peftrt::plan {

class Profile {
public:
  /// Adds the time since the last call, or since `start`, to the step's.
  void start() { last_ = std::chrono::steady_clock::now(); }
  void add(const Program &program, const Op &op);
  /// Seconds that were measured otherwise; the clock begins anew.
  void add(const Program &program, const Op &op, double seconds);
  /// Steps that do the same in one line, the longest first, with their share of a program's time.
  std::string table() const;

private:
  struct Entry {
    double seconds = 0;
    int64_t count = 0;
  };
  std::chrono::steady_clock::time_point last_;
  std::map<std::string, std::map<std::string, Entry>> programs_; ///< program -> step
};

} // namespace peftrt::plan
