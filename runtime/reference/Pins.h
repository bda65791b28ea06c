// Pins: the values of a run's `stop_grad` ops, kept and put back in later runs.
//
// A derivative treats what `stop_grad` gives as a constant, a finite difference must too: the first run of a program records,
// every later one replays. Random numbers need no pin: they depend on counters only.
// Invariant  one batch and one random state for all runs with the same pins.
#pragma once
#include <ATen/core/Tensor.h>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace peftrt {

struct Pins {
  /// By program and the op's place in it: a block an example, or one for the run.
  std::map<std::pair<std::string, size_t>, std::vector<at::Tensor>> values;
};

} // namespace peftrt
