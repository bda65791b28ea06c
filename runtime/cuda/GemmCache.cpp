// GemmCache: see the header.
#include "runtime/cuda/GemmCache.h"
#include "runtime/bundle/Errors.h"
#include "runtime/bundle/Json.h"
#include "runtime/checkpoint/AtomicFile.h"
#include <cctype>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>

namespace peftrt::cuda {
namespace {

using nlohmann::json;

constexpr int kFormat = 1;
constexpr size_t kMostEntries = 1 << 14; ///< some megabytes: batches of all lengths come, and a file is read whole

/// `NVIDIA H100 80GB HBM3 sm_90` → `nvidia-h100-80gb-hbm3-sm_90`.
std::string fileName(const std::string &device, size_t version) {
  std::string name;
  for (const char letter : device + " cublaslt " + std::to_string(version))
    name += std::isalnum(static_cast<unsigned char>(letter)) || letter == '_' ? static_cast<char>(std::tolower(static_cast<unsigned char>(letter))) : '-';
  return name + ".json";
}

std::string hexOf(const Algorithm &algorithm) {
  std::string text;
  for (const uint64_t word : algorithm.words) {
    char digits[17];
    std::snprintf(digits, sizeof digits, "%016llx", static_cast<unsigned long long>(word));
    text += digits;
  }
  return text;
}

std::optional<FastestGemm> entryOf(const json &value) {
  if (!value.is_object() || !value.contains("algorithm") || !value["algorithm"].is_string() || !value.contains("microseconds") || !value["microseconds"].is_number())
    return std::nullopt;
  FastestGemm entry{{}, value["microseconds"]};
  const std::string &text = value["algorithm"].get_ref<const std::string &>();
  constexpr size_t kDigits = 16;
  if (text.size() != kDigits * std::size(entry.algorithm.words) || text.find_first_not_of("0123456789abcdef") != std::string::npos)
    return std::nullopt;
  for (size_t index = 0; index < std::size(entry.algorithm.words); ++index)
    entry.algorithm.words[index] = std::stoull(text.substr(index * kDigits, kDigits), nullptr, 16);
  return entry;
}

} // namespace

GemmCache::GemmCache(const std::string &folder, const std::string &device, size_t version) : device_(device), path_(folder + "/" + fileName(device, version)), version_(version) {
  std::string why;
  entries_ = read(why);
  if (!why.empty())
    std::fprintf(stderr, "note: `%s` is not what a trainer wrote there (%s): algorithms of products are chosen again\n", path_.c_str(), why.c_str());
}

/// `why`: there is a file, and it is not one of these.
GemmCache::Entries GemmCache::read(std::string &why) const {
  std::ifstream file(path_, std::ios::binary);
  if (!file)
    return {};
  std::ostringstream text;
  text << file.rdbuf();
  const json value = parseJson(text.str());
  if (!value.is_object() || !value.contains("products") || !value["products"].is_object()) {
    why = "no JSON with `products`";
    return {};
  }
  if (value.value("format", json()) != kFormat || value.value("device", json()) != device_ || value.value("cublaslt", json()) != version_) {
    why = "of another format, GPU or library";
    return {};
  }
  Entries entries;
  for (const auto &[shape, one] : value["products"].items()) {
    const std::optional<FastestGemm> entry = entryOf(one);
    if (!entry) {
      why = "no algorithm for " + shape;
      return {};
    }
    entries[shape] = *entry;
  }
  return entries;
}

const FastestGemm *GemmCache::find(const std::string &shape) const {
  const auto found = entries_.find(shape);
  return found == entries_.end() ? nullptr : &found->second;
}

void GemmCache::add(const std::string &shape, const FastestGemm &fastest) { entries_[shape] = added_[shape] = fastest; }

void GemmCache::save() {
  if (isOff_ || added_.empty())
    return;
  try {
    makeFolder(std::filesystem::path(path_).parent_path().string());
    AtomicFile file(path_); // others wait from here on
    std::string ignored;
    Entries all = read(ignored);
    for (const auto &[shape, fastest] : added_)
      if (all.size() < kMostEntries || all.count(shape))
        all[shape] = fastest;
    json products = json::object();
    for (const auto &[shape, fastest] : all)
      products[shape] = {{"algorithm", hexOf(fastest.algorithm)}, {"microseconds", fastest.microseconds}};
    file.write(json{{"format", kFormat}, {"device", device_}, {"cublaslt", version_}, {"products", products}}.dump(1) + "\n");
    file.commit();
    added_.clear();
  } catch (const RuntimeError &error) {
    if (error.code == "R0121")
      return;
    isOff_ = true;
    std::fprintf(stderr, "note: which algorithms of products are the fastest is not kept: %s\n", error.message.c_str());
  }
}

} // namespace peftrt::cuda
