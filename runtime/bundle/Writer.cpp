// Writer: see Writer.h.
#include "runtime/bundle/Writer.h"
#include "runtime/bundle/Errors.h"
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <unistd.h>
#include <utility>
#include <vector>

namespace peftrt {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

using Sections = std::vector<std::pair<std::string, std::string>>; ///< names and contents

Sections sectionsOf(const Bundle &bundle, int indent) {
  Sections sections = {
      {"manifest.json", bundle.manifest.dump(indent)}, {"programs.json", bundle.programs.text()}, {"plan.json", bundle.plan.text()}, {"spec.peft", bundle.spec}};
  for (const auto &[target, bytes] : bundle.kernels)
    sections.emplace_back(std::string(kKernelFolder) + "/" + target + kKernelSuffix, bytes);
  if (!bundle.gpuKernels.empty())
    sections.emplace_back(kGpuPlan, bundle.gpuPlan.text());
  for (const auto &[target, code] : bundle.gpuKernels) {
    const std::string begin = std::string(kKernelFolder) + "/" + target;
    sections.emplace_back(begin + kPtxSuffix, code.ptx);
    if (!code.cubin.empty())
      sections.emplace_back(begin + kCubinSuffix, code.cubin);
    sections.emplace_back(begin + kGpuFactsSuffix, json{{"flat_share", code.flatShare}}.dump(indent));
  }
  return sections;
}

[[noreturn]] void failWrite(const std::string &path) { throw RuntimeError("R0117", "cannot write `" + path + "`", "the folder must exist and be writable, and the disk have room"); }

void appendLittleEndian(std::string &bytes, uint64_t value, int count) {
  for (int index = 0; index < count; ++index)
    bytes.push_back(static_cast<char>(value >> (8 * index)));
}

std::string archiveOf(const Bundle &bundle) {
  std::string bytes;
  json table = json::array();
  for (const auto &[name, content] : sectionsOf(bundle, -1)) {
    table.push_back({{"name", name}, {"offset", bytes.size()}, {"size", content.size()}, {"fnv64", fnv64(content)}});
    bytes += content;
  }
  const uint64_t place = bytes.size();
  bytes += table.dump();
  const uint64_t size = bytes.size() + kTrailerSize;
  bytes += kTrailerMagic;
  appendLittleEndian(bytes, kFormatVersion, 4);
  appendLittleEndian(bytes, 0, 4);
  appendLittleEndian(bytes, place, 8);
  appendLittleEndian(bytes, size, 8);
  return bytes;
}

/// Writes beside `path` and renames, so that a reader sees the old file or the whole new one.
void writeWhole(const std::string &path, const std::string &content, bool executable) {
  const std::string beside = path + ".new-" + std::to_string(::getpid());
  std::error_code error;
  {
    std::ofstream file(beside, std::ios::binary | std::ios::trunc);
    if (!file.write(content.data(), content.size()) || !file.flush()) {
      fs::remove(beside, error);
      failWrite(path);
    }
  }
  if (executable)
    fs::permissions(beside, fs::perms::owner_all | fs::perms::group_read | fs::perms::group_exec | fs::perms::others_read | fs::perms::others_exec, error);
  if (!error)
    fs::rename(beside, path, error);
  if (error) {
    std::error_code ignored;
    fs::remove(beside, ignored);
    failWrite(path);
  }
}

/// Bytes of the runner without an archive that is already appended to it.
std::string runnerBytes(const std::string &path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  if (!file || !(text << file.rdbuf()))
    throw RuntimeError("R0110", "cannot read the runner `" + path + "`", "build the target peft-runner");
  std::string bytes = text.str();
  if (bytes.size() >= kTrailerSize && bytes.compare(bytes.size() - kTrailerSize, 8, kTrailerMagic) == 0) {
    uint64_t size = 0;
    for (int index = 7; index >= 0; --index)
      size = size << 8 | static_cast<unsigned char>(bytes[bytes.size() - 8 + index]);
    if (size <= bytes.size())
      bytes.resize(bytes.size() - size);
  }
  return bytes;
}

/// Kernels that an earlier bundle left in the folder: they would be read as this one's.
void removeStaleKernels(const Sections &sections, const std::string &folder) {
  const auto isStale = [&](const fs::path &path) {
    const std::string suffix = path.extension(), name = std::string(kKernelFolder) + "/" + path.filename().string();
    const bool isKernels = suffix == kKernelSuffix || suffix == kPtxSuffix || suffix == kCubinSuffix || suffix == kGpuFactsSuffix;
    return isKernels && std::none_of(sections.begin(), sections.end(), [&](const auto &section) { return section.first == name; });
  };
  std::error_code error;
  std::vector<fs::path> stale;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error))
    if (isStale(entry->path()))
      stale.push_back(entry->path());
  for (const fs::path &path : stale)
    if (!fs::remove(path, error))
      failWrite(path.string());
}

} // namespace

void writeDirectory(const Bundle &bundle, const std::string &folder) {
  const std::string kernels = folder + "/" + kKernelFolder;
  std::error_code error;
  fs::create_directories(bundle.kernels.empty() && bundle.gpuKernels.empty() ? folder : kernels, error);
  if (error)
    failWrite(folder);
  const Sections sections = sectionsOf(bundle, 2);
  removeStaleKernels(sections, kernels);
  for (const auto &[name, content] : sections)
    writeWhole(folder + "/" + name, content, false);
}

void writeTrainer(const Bundle &bundle, const std::string &runnerPath, const std::string &outPath) {
  writeWhole(outPath, runnerBytes(runnerPath) + archiveOf(bundle), true);
}

void writeArchive(const Bundle &bundle, const std::string &path) { writeWhole(path, archiveOf(bundle), false); }

} // namespace peftrt
