// Checkpoint: see the header.
#include "compiler/model/Checkpoint.h"
#include "runtime/bundle/Json.h"
#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace fs = std::filesystem;
using nlohmann::json;
using peftc::diag::Kind;

namespace peftc::model {
namespace {

constexpr uint64_t kLongestHeader = 100 << 20; // safetensors' own limit

class Reader {
public:
  Reader(const std::string &directory, diag::Engine &diags) : diags(diags) { checkpoint.directory = fs::absolute(directory).lexically_normal(); }

  std::optional<Checkpoint> read() {
    std::error_code error;
    if (!fs::is_directory(checkpoint.directory, error)) {
      report(Kind::E0605, {checkpoint.directory, fs::exists(checkpoint.directory, error) ? "it is not a folder" : "there is no such folder"})
          .help("`--model` takes the folder of a Hugging Face checkpoint");
      return std::nullopt;
    }
    if (!readConfig() || !readTensors())
      return std::nullopt;
    return std::move(checkpoint);
  }

private:
  diag::Builder report(Kind kind, std::vector<std::string> args) { return diags.report(kind, Range{}, std::move(args)); }

  std::optional<std::string> readAll(const std::string &path) {
    std::ifstream file(path, std::ios::binary);
    std::stringstream bytes;
    if (file && file.peek() == std::ifstream::traits_type::eof() && !file.bad())
      return ""; // `<<` of nothing counts as a failure
    if (!file || !(bytes << file.rdbuf())) {
      report(Kind::E0605, {path, std::strerror(errno)});
      return std::nullopt;
    }
    return bytes.str();
  }

  bool readConfig() {
    std::string path = checkpoint.directory + "/config.json";
    if (!fs::exists(path)) {
      report(Kind::E0606, {checkpoint.directory, "config.json"}).help("`--model` takes the folder of a Hugging Face checkpoint");
      return false;
    }
    auto text = readAll(path);
    if (!text)
      return false;
    checkpoint.configFnv64 = fnv64(*text);
    checkpoint.config = peftrt::parseJson(*text);
    if (!checkpoint.config.is_object())
      report(Kind::E0607, {path, "it is not a JSON object"});
    return checkpoint.config.is_object();
  }

  bool readTensors() {
    std::string index = checkpoint.directory + "/model.safetensors.index.json";
    if (fs::exists(checkpoint.directory + "/model.safetensors"))
      return readShard("model.safetensors");
    if (fs::exists(index))
      return readShards(index);
    report(Kind::E0606, {checkpoint.directory, "model.safetensors"}).help("save the checkpoint with `safe_serialization=True`");
    return false;
  }

  bool readShards(const std::string &path) {
    auto text = readAll(path);
    if (!text)
      return false;
    json index = peftrt::parseJson(*text);
    if (!index.is_object() || !index.contains("weight_map") || !index["weight_map"].is_object()) {
      report(Kind::E0607, {path, "it has no `weight_map`"});
      return false;
    }
    std::map<std::string, std::vector<std::string>> promised;
    for (const auto &[tensor, shard] : index["weight_map"].items()) {
      if (!shard.is_string()) {
        report(Kind::E0607, {path, "the shard of tensor `" + tensor + "` is not a name"});
        return false;
      }
      promised[shard.get<std::string>()].push_back(tensor);
    }
    for (const auto &[shard, tensors] : promised) {
      if (!readShard(shard))
        return false;
      for (const std::string &tensor : tensors)
        if (!checkpoint.tensors.count(tensor)) {
          report(Kind::E0607, {checkpoint.directory + "/" + shard, "tensor `" + tensor + "` of the index is not in it"});
          return false;
        }
    }
    return true;
  }

  /// The header only: u64 length, JSON, then the bytes that its offsets speak of.
  bool readShard(const std::string &name) {
    std::string path = checkpoint.directory + "/" + name;
    std::ifstream file(path, std::ios::binary | std::ios::ate);
    if (!file) {
      report(Kind::E0605, {path, std::strerror(errno)});
      return false;
    }
    uint64_t size = static_cast<uint64_t>(file.tellg()), length = 0;
    unsigned char prefix[8] = {};
    file.seekg(0);
    if (size >= 8)
      file.read(reinterpret_cast<char *>(prefix), 8);
    for (int i = 7; i >= 0; --i)
      length = length << 8 | prefix[i];
    if (size < 8 || length > kLongestHeader || length > size - 8) {
      report(Kind::E0607, {path, "its header is cut off"});
      return false;
    }
    std::string text(length, '\0');
    file.read(text.data(), static_cast<std::streamsize>(length));
    json header = peftrt::parseJson(text);
    if (!file || !header.is_object()) {
      report(Kind::E0607, {path, "its header is not JSON"});
      return false;
    }
    for (const auto &[tensor, entry] : header.items())
      if (tensor != "__metadata__" && !addTensor(path, name, tensor, entry, size - 8 - length))
        return false;
    return true;
  }

  bool addTensor(const std::string &path, const std::string &shard, const std::string &name, const json &entry, uint64_t bytes) {
    auto naturals = [](const json &list) {
      return list.is_array() && std::all_of(list.begin(), list.end(), [](const json &item) { return item.is_number_unsigned(); });
    };
    if (!entry.is_object() || !entry.value("dtype", json()).is_string() || !naturals(entry.value("shape", json())) ||
        !naturals(entry.value("data_offsets", json())) || entry["data_offsets"].size() != 2) {
      report(Kind::E0607, {path, "tensor `" + name + "` has no dtype, shape and data_offsets"});
      return false;
    }
    uint64_t begin = entry["data_offsets"][0], end = entry["data_offsets"][1];
    if (begin > end || end > bytes) {
      report(Kind::E0607, {path, "tensor `" + name + "` ends at byte " + std::to_string(end) + " of " + std::to_string(bytes)}).note("the file may be an interrupted download");
      return false;
    }
    checkpoint.tensors[name] = {entry["dtype"], entry["shape"], shard};
    return true;
  }

  Checkpoint checkpoint;
  diag::Engine &diags;
};

} // namespace

const CheckpointTensor *Checkpoint::find(const std::string &name, const std::string &prefix) const {
  for (const std::string &candidate : {name, prefix + name, !prefix.empty() && name.rfind(prefix, 0) == 0 ? name.substr(prefix.size()) : name})
    if (auto it = tensors.find(candidate); it != tensors.end())
      return &it->second;
  return nullptr;
}

std::optional<Checkpoint> readCheckpoint(const std::string &directory, diag::Engine &diags) { return Reader(directory, diags).read(); }

std::string toString(const std::vector<int64_t> &shape) {
  std::string text = "[";
  for (size_t i = 0; i < shape.size(); ++i)
    text += (i ? ", " : "") + std::to_string(shape[i]);
  return text + "]";
}

std::string fnv64(const std::string &bytes) {
  uint64_t hash = 0xcbf29ce484222325ull;
  for (unsigned char byte : bytes)
    hash = (hash ^ byte) * 0x100000001b3ull;
  char text[17];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(hash));
  return text;
}

} // namespace peftc::model
