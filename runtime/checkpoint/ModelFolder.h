// ModelFolder: a Hugging Face checkpoint folder, checked against what the trainer was compiled for.
//
// Names in the folder may or may not carry the manifest's `model.prefix`. Everything that is wrong is listed in one error.
// Errs   R0112 config.json or the weights are missing, R0113 tensors missing or of another shape or dtype,
//        R0114 config.json is not the one that the trainer was compiled for
#pragma once
#include "runtime/checkpoint/Safetensors.h"
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace peftrt {

/// Where a parameter lies in the tensor that holds it (the manifest's `stored`, absent where it is that tensor): a view.
at::Tensor partOf(const at::Tensor &whole, const nlohmann::json &parameter);

class ModelFolder {
public:
  /// Opens the folder: config.json, and model.safetensors or its shards.
  ModelFolder(const std::string &folder, const nlohmann::json &manifestModel);
  /// Every `role: base` parameter has its tensor, in the shape that it needs. Errs R0113
  void checkBase(const nlohmann::json &parameters) const;
  /// Such a parameter in that type: a view into the map where the file holds it as it is, else a copy of its part.
  at::Tensor loadBase(const nlohmann::json &parameter, at::ScalarType type = at::kFloat) const;
  /// Names in the folder that no parameter reads, and that are therefore never loaded.
  std::vector<std::string> unused(const nlohmann::json &parameters) const;
  /// Whether the folder has the parameters under names with the prefix: it was saved with a head, whose names lack it.
  bool isHeaded(const nlohmann::json &parameters) const;
  /// A tensor by its name in the folder, in its own dtype.
  at::Tensor loadStored(const std::string &storedName) const;
  /// The name under which the folder holds `name`: as it is, or with the prefix; empty if neither.
  std::string storedNameOf(const std::string &name) const;
  /// Of names, dtypes, shapes and a sample of each tensor's bytes: tells other weights apart without reading all of them.
  uint64_t weightsFingerprint() const;
  const std::string &path() const { return folder_; }
  const std::string &prefix() const { return prefix_; }

private:
  const SafetensorsFile *fileOf(const std::string &storedName) const;
  void openFiles();
  void checkConfig(const nlohmann::json &manifestModel) const;

  std::string folder_, prefix_;
  std::vector<SafetensorsFile> files_;
  std::map<std::string, size_t> fileIndex_;
};

} // namespace peftrt
