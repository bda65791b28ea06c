// Reader: see Reader.h.
#include "runtime/bundle/Reader.h"
#include "runtime/bundle/Errors.h"
#include "runtime/bundle/Json.h"
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <sstream>
#include <vector>

namespace peftrt {
namespace {

using nlohmann::json;

const char *kCopyHelp = "copy the file again, or compile the spec again";

std::string readFile(const std::filesystem::path &path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  if (!file || !(text << file.rdbuf()))
    throw RuntimeError("R0110", "cannot read `" + path.string() + "`", "a bundle folder holds manifest.json, programs.json, plan.json and spec.peft");
  return text.str();
}

uint64_t littleEndian(const char *bytes, int count) {
  uint64_t value = 0;
  for (int index = count - 1; index >= 0; --index)
    value = value << 8 | static_cast<unsigned char>(bytes[index]);
  return value;
}

/// The archive at the end of a file: a table and the bytes it points into.
class Archive {
public:
  explicit Archive(const std::string &path) : path_(path), file_(path, std::ios::binary) {
    if (!file_)
      throw RuntimeError("R0110", "cannot open `" + path + "`");
    file_.seekg(0, std::ios::end);
    const uint64_t size = file_.tellg();
    if (size < kTrailerSize)
      failNoBundle();
    const std::string trailer = bytes(size - kTrailerSize, kTrailerSize);
    if (trailer.compare(0, 8, kTrailerMagic) != 0)
      failNoBundle();
    const uint64_t version = littleEndian(&trailer[8], 4), archive = littleEndian(&trailer[24], 8), place = littleEndian(&trailer[16], 8);
    if (version > kFormatVersion)
      throw RuntimeError("R0101", "`" + path + "` is of bundle format " + std::to_string(version) + ", this runtime reads up to " + std::to_string(kFormatVersion),
                         "use the runtime of the peftc that wrote it");
    if (archive > size || archive < kTrailerSize || place > archive - kTrailerSize)
      fail("its trailer");
    begin_ = size - archive;
    size_ = archive - kTrailerSize;
    table_ = parse(bytes(begin_ + place, size_ - place), "its table of sections");
  }

  std::string section(const std::string &name) {
    for (const json &entry : table_) {
      if (entry.value("name", "") != name)
        continue;
      const uint64_t offset = entry.at("offset"), length = entry.at("size");
      if (offset > size_ || length > size_ - offset)
        fail("the section " + name);
      std::string content = bytes(begin_ + offset, length);
      if (fnv64(content) != entry.at("fnv64"))
        fail("the section " + name);
      return content;
    }
    fail("the section " + name);
  }

  std::vector<std::string> names() const {
    std::vector<std::string> names;
    for (const json &entry : table_)
      names.push_back(entry.at("name"));
    return names;
  }

  [[noreturn]] void fail(const std::string &what) const { throw RuntimeError("R0103", "`" + path_ + "` is damaged: " + what + " is missing or has other bytes than were written", kCopyHelp); }

private:
  [[noreturn]] void failNoBundle() const { throw RuntimeError("R0104", "`" + path_ + "` holds no bundle, or is cut short: it does not end with one", kCopyHelp); }

  json parse(const std::string &text, const std::string &what) const {
    json value = parseJson(text);
    if (!value.is_array())
      fail(what);
    for (const json &entry : value)
      if (!entry.is_object() || !entry.value("name", json()).is_string() || !entry.value("fnv64", json()).is_string() || !entry.value("offset", json()).is_number_unsigned() ||
          !entry.value("size", json()).is_number_unsigned())
        fail(what);
    return value;
  }

  std::string bytes(uint64_t begin, uint64_t count) {
    std::string content(count, '\0');
    file_.seekg(begin);
    if (!file_.read(content.data(), count))
      fail("its end");
    return content;
  }

  std::string path_;
  std::ifstream file_;
  uint64_t begin_ = 0, size_ = 0;
  json table_;
};

/// Of the name of a section that holds kernels: the part between folder and suffix, the target's; "" of any other.
std::string targetIn(const std::string &name, const std::string &suffix) {
  const std::string folder = std::string(kKernelFolder) + "/";
  return name.size() > folder.size() + suffix.size() && name.starts_with(folder) && name.ends_with(suffix) ? name.substr(folder.size(), name.size() - folder.size() - suffix.size()) : "";
}

/// Those for GPUs: of a target its text, and what belongs to it.
std::map<std::string, GpuCode> gpuKernelsOf(const std::string &path, const std::vector<std::string> &names, const std::function<std::string(const std::string &)> &section) {
  std::map<std::string, GpuCode> kernels;
  for (const std::string &name : names)
    if (const std::string target = targetIn(name, kPtxSuffix); !target.empty())
      kernels[target].ptx = section(name);
  for (const std::string &name : names) {
    if (const std::string target = targetIn(name, kCubinSuffix); kernels.count(target))
      kernels[target].cubin = section(name);
    const std::string target = targetIn(name, kGpuFactsSuffix);
    if (!kernels.count(target))
      continue;
    const json facts = parseJson(section(name));
    if (!facts.is_object() || !facts.value("flat_share", json()).is_number_unsigned() || facts["flat_share"] == 0)
      throw RuntimeError("R0103", "`" + path + "` is damaged: " + name + " does not say how a GPU's threads share elements", kCopyHelp);
    kernels[target].flatShare = facts["flat_share"];
  }
  return kernels;
}

std::vector<std::string> filesOf(const std::filesystem::path &folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (std::filesystem::directory_iterator entry(folder / kKernelFolder, error), end; !error && entry != end; entry.increment(error))
    names.push_back(std::string(kKernelFolder) + "/" + entry->path().filename().string());
  return names;
}

Bundle assemble(const std::string &path, const std::vector<std::string> &names, const std::function<std::string(const std::string &)> &section) {
  const auto json = [&](const std::string &name) { return JsonSection(section(name), name, path); };
  Bundle bundle{json("manifest.json").value(), json("programs.json"), json("plan.json"), section("spec.peft")};
  for (const std::string &name : names)
    if (const std::string target = targetIn(name, kKernelSuffix); !target.empty())
      bundle.kernels[target] = section(name);
  bundle.gpuKernels = gpuKernelsOf(path, names, section);
  if (!bundle.gpuKernels.empty())
    bundle.gpuPlan = json(kGpuPlan);
  const int64_t version = bundle.manifest.value("format", int64_t{0});
  if (version > kFormatVersion)
    throw RuntimeError("R0101", "`" + path + "` is of bundle format " + std::to_string(version) + ", this runtime reads up to " + std::to_string(kFormatVersion),
                       "use the runtime of the peftc that wrote it");
  return bundle;
}

} // namespace

Bundle readBundle(const std::string &path) {
  if (std::filesystem::is_directory(path))
    return assemble(path, filesOf(path), [&](const std::string &name) { return readFile(std::filesystem::path(path) / name); });
  Archive archive(path);
  return assemble(path, archive.names(), [&](const std::string &name) { return archive.section(name); });
}

} // namespace peftrt
