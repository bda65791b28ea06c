// Adapter: see the header.
#include "compiler/model/Adapter.h"
#include "runtime/bundle/Json.h"
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

namespace peftc::model {
namespace {
using nlohmann::json;

/// The numbers of one tensor; nothing where the header does not describe `bytes`.
std::optional<AdapterTensor> tensorOf(const json &entry, const std::string &bytes) {
  const auto isList = [&](const char *key) {
    const json list = entry.value(key, json());
    return list.is_array() && std::all_of(list.begin(), list.end(), [](const json &item) { return item.is_number_unsigned(); });
  };
  if (!entry.is_object() || entry.value("dtype", json()) != "F32" || !isList("shape") || !isList("data_offsets") || entry["data_offsets"].size() != 2)
    return std::nullopt;
  AdapterTensor tensor{entry["shape"], {}};
  uint64_t count = 1;
  for (int64_t length : tensor.shape)
    count *= static_cast<uint64_t>(length);
  const uint64_t begin = entry["data_offsets"][0], end = entry["data_offsets"][1];
  if (begin > end || end > bytes.size() || (end - begin) / sizeof(float) != count || (end - begin) % sizeof(float) != 0)
    return std::nullopt;
  for (uint64_t at = begin; at < end; at += sizeof(float)) {
    float number;
    std::memcpy(&number, bytes.data() + at, sizeof number);
    tensor.numbers.push_back(number);
  }
  return tensor;
}

} // namespace

std::optional<Adapter> readAdapter(const std::string &run, Range where, diag::Engine &diags) {
  using diag::Kind;
  std::error_code ignored;
  const std::string path = std::filesystem::is_directory(run, ignored) ? run + "/adapter.safetensors" : run;
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    diags.report(Kind::E0605, where, {path, std::strerror(errno)}).help("a run's folder is named as seen from where peftc is started");
    return std::nullopt;
  }
  std::ostringstream whole;
  whole << file.rdbuf();
  const std::string bytes = whole.str();
  uint64_t length = 0;
  for (int i = 7; i >= 0 && bytes.size() >= 8; --i)
    length = length << 8 | static_cast<unsigned char>(bytes[i]);
  const json header = bytes.size() >= 8 && length <= bytes.size() - 8 ? peftrt::parseJson(bytes.substr(8, length)) : json();
  if (!header.is_object()) {
    diags.report(Kind::E0607, where, {path, "its header is cut off, or not JSON"});
    return std::nullopt;
  }
  const std::string data = bytes.substr(8 + length);
  Adapter adapter;
  for (const auto &[name, entry] : header.items()) {
    if (name == "__metadata__")
      continue;
    auto tensor = tensorOf(entry, data);
    if (!tensor) {
      diags.report(Kind::E0607, where, {path, "tensor `" + name + "` does not hold 32-bit floats of its shape"});
      return std::nullopt;
    }
    adapter[name] = std::move(*tensor);
  }
  return adapter;
}

} // namespace peftc::model
