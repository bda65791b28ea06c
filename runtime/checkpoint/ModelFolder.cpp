// ModelFolder: see ModelFolder.h.
#include "runtime/checkpoint/ModelFolder.h"
#include "runtime/bundle/Errors.h"
#include "runtime/bundle/Json.h"
#include <ATen/ATen.h>
#include <algorithm>
#include <filesystem>
#include <set>

namespace peftrt {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

std::string listed(const std::vector<std::string> &lines) {
  std::string text;
  for (size_t index = 0; index < lines.size() && index < 8; ++index)
    text += "\n  " + lines[index];
  if (lines.size() > 8)
    text += "\n  … and " + std::to_string(lines.size() - 8) + " more";
  return text;
}

} // namespace

at::Tensor partOf(const at::Tensor &whole, const json &parameter) {
  const auto stored = parameter.find("stored");
  if (stored == parameter.end())
    return whole;
  if (stored->at("reshaped").get<bool>())
    return whole.view(parameter.at("shape").get<std::vector<int64_t>>());
  const at::Tensor rows = stored->at("transposed").get<bool>() ? whole.t() : whole;
  return rows.narrow(0, stored->at("row").get<int64_t>(), parameter.at("shape").at(0).get<int64_t>());
}

ModelFolder::ModelFolder(const std::string &folder, const json &manifestModel) : folder_(folder), prefix_(manifestModel.value("prefix", std::string())) {
  if (!fs::is_directory(folder))
    throw RuntimeError("R0112", "there is no model folder `" + folder + "`", "give the checkpoint's folder with --model DIR");
  checkConfig(manifestModel);
  openFiles();
}

void ModelFolder::checkConfig(const json &manifestModel) const {
  const std::string path = folder_ + "/config.json";
  if (!fs::exists(path))
    throw RuntimeError("R0112", "the model folder `" + folder_ + "` has no config.json", "give the folder of a Hugging Face checkpoint with --model DIR");
  const auto file = MappedFile::open(path);
  const std::string expected = manifestModel.value("config_fnv64", std::string());
  const std::string actual = hex(fingerprint(file->text()));
  if (expected == actual)
    return;
  // Same content in another layout is the same model; the recorded config decides.
  const json config = parseJson(file->text());
  if (config.is_object() && manifestModel.contains("config") && config == manifestModel["config"])
    return;
  std::string difference;
  if (config.is_object() && manifestModel.contains("config"))
    for (const auto &[key, value] : manifestModel["config"].items())
      if (difference.empty() && (!config.contains(key) || config[key] != value))
        difference = "; first difference: `" + key + "` is " + (config.contains(key) ? config[key].dump() : "absent") + ", compiled for " + value.dump();
  throw RuntimeError("R0114", "`" + path + "` is not the model that this trainer was compiled for: fingerprint " + actual + ", compiled for " + expected + difference,
                     "compile the spec again with --model " + folder_);
}

void ModelFolder::openFiles() {
  const std::string single = folder_ + "/model.safetensors", index = folder_ + "/model.safetensors.index.json";
  std::set<std::string> paths;
  std::map<std::string, std::string> promised; // by an index: the file of each tensor
  if (fs::exists(single)) {
    paths.insert(single);
  } else if (fs::exists(index)) {
    const auto file = MappedFile::open(index);
    const json parsed = parseJson(file->text());
    if (!parsed.is_object() || !parsed.contains("weight_map") || !parsed["weight_map"].is_object())
      throw RuntimeError("R0111", "`" + index + "` has no weight_map", "copy or download it again");
    for (const auto &[name, shard] : parsed["weight_map"].items()) {
      const std::string path = folder_ + "/" + (shard.is_string() ? shard.get<std::string>() : shard.dump());
      if (!fs::exists(path))
        throw RuntimeError("R0112", "`" + index + "` names the shard `" + path + "`, which is not there", "copy or download the missing shard");
      paths.insert(path);
      promised[name] = path;
    }
  } else {
    throw RuntimeError("R0112", "the model folder `" + folder_ + "` has neither model.safetensors nor model.safetensors.index.json",
                       "save the checkpoint as safetensors: model.save_pretrained(DIR)");
  }
  for (const std::string &path : paths)
    files_.emplace_back(path);
  for (size_t file = 0; file < files_.size(); ++file)
    for (const auto &[name, tensor] : files_[file].tensors())
      fileIndex_[name] = file;
  for (const auto &[name, path] : promised)
    if (const SafetensorsFile *file = fileOf(name); !file || file->path() != path)
      throw RuntimeError("R0111", "`" + index + "` says that tensor `" + name + "` is in `" + path + "`, and it is " + (file ? "in `" + file->path() + "`" : "in none of its files"), "copy or download the folder again");
}

const SafetensorsFile *ModelFolder::fileOf(const std::string &storedName) const {
  const auto found = fileIndex_.find(storedName);
  return found == fileIndex_.end() ? nullptr : &files_[found->second];
}

std::string ModelFolder::storedNameOf(const std::string &name) const {
  const bool prefixed = !prefix_.empty() && name.compare(0, prefix_.size(), prefix_) == 0;
  for (const std::string &candidate : {name, prefix_ + name, prefixed ? name.substr(prefix_.size()) : name})
    if (fileIndex_.count(candidate))
      return candidate;
  return {};
}

at::Tensor ModelFolder::loadStored(const std::string &storedName) const { return fileOf(storedName)->loadAsStored(storedName); }

at::Tensor ModelFolder::loadBase(const json &parameter, at::ScalarType type) const {
  return partOf(loadStored(storedNameOf(parameter.at("checkpoint"))), parameter).to(type, /*non_blocking=*/false, /*copy=*/false, at::MemoryFormat::Contiguous).contiguous();
}

void ModelFolder::checkBase(const json &parameters) const {
  std::vector<std::string> problems;
  size_t needed = 0;
  for (const json &parameter : parameters) {
    if (parameter.at("role") != "base")
      continue;
    ++needed;
    const std::string name = parameter.at("checkpoint"), stored = storedNameOf(name);
    if (stored.empty()) {
      problems.push_back("`" + name + "` is missing");
      continue;
    }
    const StoredTensor &tensor = fileOf(stored)->tensors().at(stored);
    const auto shape = parameter.value("stored", parameter).at("shape").get<std::vector<int64_t>>();
    if (tensor.shape != shape)
      problems.push_back("`" + stored + "` has shape " + shapeText(tensor.shape) + ", the model needs " + shapeText(shape));
    else if (tensor.dtype != "F32" && tensor.dtype != "F16" && tensor.dtype != "BF16")
      problems.push_back("`" + stored + "` has dtype " + tensor.dtype + "; F32, F16 or BF16 is needed");
  }
  if (!problems.empty())
    throw RuntimeError("R0113", "the checkpoint `" + folder_ + "` does not fit: " + std::to_string(problems.size()) + " of " + std::to_string(needed) + " tensors" + listed(problems),
                       "give the checkpoint that the trainer was compiled for with --model DIR, or compile for this one");
}

uint64_t ModelFolder::weightsFingerprint() const {
  constexpr uint64_t kPlaces = 16, kBytes = 64;
  uint64_t hash = fingerprint("weights");
  for (const auto &[name, file] : fileIndex_) { // in the order of names
    const StoredTensor &tensor = files_[file].tensors().at(name);
    hash = fingerprint(name + " " + tensor.dtype + " " + shapeText(tensor.shape), hash);
    const std::string_view bytes = files_[file].bytesOf(tensor);
    for (uint64_t place = 0; place < kPlaces; ++place)
      hash = fingerprint(bytes.substr(bytes.size() * place / kPlaces, kBytes), hash);
  }
  return hash;
}

bool ModelFolder::isHeaded(const json &parameters) const {
  return !prefix_.empty() && std::any_of(parameters.begin(), parameters.end(), [&](const json &parameter) {
    return parameter.at("role") == "base" && storedNameOf(parameter.at("checkpoint")).rfind(prefix_, 0) == 0;
  });
}

std::vector<std::string> ModelFolder::unused(const json &parameters) const {
  std::set<std::string> used;
  for (const json &parameter : parameters)
    if (parameter.at("role") == "base")
      used.insert(storedNameOf(parameter.at("checkpoint")));
  std::vector<std::string> names;
  for (const auto &[name, file] : fileIndex_)
    if (!used.count(name))
      names.push_back(name);
  return names;
}

} // namespace peftrt
