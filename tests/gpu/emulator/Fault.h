// Fault: what ends an emulated launch, or the reading of a text: one sentence that names the place.
#pragma once
#include <stdexcept>
#include <string>

namespace emulator {

struct Fault : std::runtime_error {
  using std::runtime_error::runtime_error;
};

} // namespace emulator
