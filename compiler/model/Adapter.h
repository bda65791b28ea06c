// Adapter: what a run has trained, for methods that start from it.
//
// A run's adapter.safetensors is small, so its numbers are read whole, and become part of the trainer that is compiled.
#pragma once
#include "lang/diag/Engine.h"
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace peftc::model {

struct AdapterTensor {
  std::vector<int64_t> shape;
  std::vector<double> numbers;
};
using Adapter = std::map<std::string, AdapterTensor>; ///< by parameter's name

/// Reads RUN/adapter.safetensors, or `run` itself where it is a file; nothing after an error, which is reported at `where`.
/// Errs  E0605 cannot be read, E0607 damaged or not of 32-bit floats
std::optional<Adapter> readAdapter(const std::string &run, Range where, diag::Engine &diags);

} // namespace peftc::model
