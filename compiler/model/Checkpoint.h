// Checkpoint: what the compiler reads of a Hugging Face checkpoint: config.json and the headers of its safetensors files.
//
// No weight is read. Errors are E06xx and name the file and, where it is one tensor's, the tensor.
#pragma once
#include "lang/diag/Engine.h"
#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

namespace peftc::model {

struct CheckpointTensor {
  std::string dtype; ///< as safetensors spells it: F32, BF16, …
  std::vector<int64_t> shape;
  std::string file;  ///< its shard, relative to the directory
};

struct Checkpoint {
  std::string directory; ///< absolute
  nlohmann::json config;
  std::string configFnv64;
  std::map<std::string, CheckpointTensor> tensors;
  bool asDescribed = false; ///< there are no tensors yet: every weight is what the architecture says

  /// The tensor called `name` or `prefix` + `name` (a checkpoint saved with a head), or null.
  const CheckpointTensor *find(const std::string &name, const std::string &prefix) const;
};

/// Reads `directory`; nothing after an error, which is reported.
std::optional<Checkpoint> readCheckpoint(const std::string &directory, diag::Engine &diags);

/// `[384, 384]`
std::string toString(const std::vector<int64_t> &shape);
/// FNV-1a, 64 bits, as 16 hex digits.
std::string fnv64(const std::string &bytes);

} // namespace peftc::model
