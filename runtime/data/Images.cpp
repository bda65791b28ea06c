// Images: see Images.h.
//
// File    "PEFTIMG1", i64 rows, channels, height, width, f64 factor, f64 mean[channels], f64 deviation[channels], u8 pixels[]; little endian
#include "runtime/data/Images.h"
#include "runtime/bundle/Errors.h"
#include "runtime/checkpoint/MappedFile.h"
#include "runtime/data/ImageHelper.h"
#include <algorithm>
#include <cstring>
#include <filesystem>

namespace peftrt {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
constexpr Helper kImages = {"PIL", "pillow", kImageHelper, "pixel_values"};

uint64_t contentOf(const std::vector<std::string> &paths, const std::function<std::string(int64_t)> &where) {
  uint64_t hash = fingerprint("images");
  for (size_t row = 0; row < paths.size(); ++row) {
    std::error_code ignored;
    if (!fs::is_regular_file(paths[row], ignored))
      throw RuntimeError("R0142", where(static_cast<int64_t>(row)) + "there is no file `" + paths[row] + "`", "an image is named as seen from its rows' file");
    hash = fingerprint(MappedFile::open(paths[row])->text(), hash) * 3 + 1;
  }
  return hash;
}

bool openTable(const std::string &path, const ImageShape &shape, int64_t rows, ImageTable &table) {
  if (!fs::exists(path))
    return false;
  const auto file = MappedFile::open(path);
  const auto channels = static_cast<size_t>(shape.channels);
  const size_t head = 8 + 4 * 8 + 8 + 2 * channels * 8;
  const int64_t expected[4] = {rows, shape.channels, shape.height, shape.width};
  if (file->size() != head + static_cast<uint64_t>(rows * shape.pixels()) || std::memcmp(file->begin(), "PEFTIMG1", 8) != 0 || std::memcmp(file->begin() + 8, expected, sizeof expected) != 0)
    return false;
  std::vector<double> numbers(1 + 2 * channels);
  std::memcpy(numbers.data(), file->begin() + 8 + sizeof expected, numbers.size() * sizeof(double));
  table.rows = rows;
  table.factor = static_cast<float>(numbers[0]);
  table.mean.assign(numbers.begin() + 1, numbers.begin() + 1 + static_cast<int64_t>(channels));
  table.deviation.assign(numbers.begin() + 1 + static_cast<int64_t>(channels), numbers.end());
  table.pixels = file->begin() + head;
  table.keep = file;
  return true;
}

[[noreturn]] void fail(const HelperRefusal &refusal, const std::string &image, const std::string &where, const std::string &preprocessor) {
  if (refusal.status == 4)
    throw RuntimeError("R0142", where + "`" + image + "` is no image that can be read: " + refusal.why, "leave it out, or save it again");
  if (refusal.status == 5)
    throw RuntimeError("R0143", where + "`" + image + "` " + refusal.why, "convert it, or say `\"do_convert_rgb\": true` in `" + preprocessor + "`");
  throw RuntimeError("R0144", "`" + preprocessor + "` " + refusal.why, "rows of `pixel_values` hold what the network reads, made by the checkpoint's own code");
}

} // namespace

ImageTable readImages(const std::vector<std::string> &paths, const ImageShape &shape, const std::string &modelPath, const HelperOptions &options, const std::function<std::string(int64_t)> &where) {
  const std::string preprocessor = modelPath + "/preprocessor_config.json";
  if (!fs::exists(preprocessor))
    throw RuntimeError("R0112", "the model folder `" + modelPath + "` has no preprocessor_config.json", "save it: AutoImageProcessor.from_pretrained(…).save_pretrained(DIR), or give rows of `pixel_values`");
  ImageTable table;
  const uint64_t content = contentOf(paths, where);
  const std::vector<std::string> sizes = {std::to_string(shape.channels), std::to_string(shape.height), std::to_string(shape.width)};
  const std::string salt = sizes[0] + " " + sizes[1] + " " + sizes[2] + " " + std::to_string(paths.size()) + kImageHelper;
  const uint64_t key = fingerprint(MappedFile::open(preprocessor)->text(), fingerprint(salt));
  const std::string path = options.cacheFolder + "/" + hex(content) + hex(key) + ".img";
  const auto rows = static_cast<int64_t>(paths.size());
  if (!openTable(path, shape, rows, table)) {
    std::vector<std::string> lines;
    for (const std::string &image : paths)
      lines.push_back(json(image).dump());
    std::vector<std::string> arguments = {preprocessor};
    arguments.insert(arguments.end(), sizes.begin(), sizes.end());
    if (const HelperRefusal refusal = runHelper(kImages, options, arguments, lines, path); refusal.status != 0)
      fail(refusal, refusal.row < rows ? paths[static_cast<size_t>(refusal.row)] : "", where(refusal.row), preprocessor);
    if (!openTable(path, shape, rows, table))
      throw RuntimeError("R0141", "the PIL helper wrote a file of the wrong form", "this is a bug of peftc");
  }
  table.contentHash = content;
  return table;
}

void forEachImage(const std::string &folder, const std::function<void(const std::string &path, const std::string *label)> &visit) {
  const auto entriesOf = [](const fs::path &place) {
    std::vector<fs::path> entries;
    for (const fs::directory_entry &entry : fs::directory_iterator(place))
      if (entry.path().filename().string()[0] != '.')
        entries.push_back(entry.path());
    std::sort(entries.begin(), entries.end());
    return entries;
  };
  int64_t rows = 0;
  for (const fs::path &entry : entriesOf(folder)) {
    const std::string label = entry.filename().string();
    for (const fs::path &image : fs::is_directory(entry) ? entriesOf(entry) : std::vector<fs::path>{entry}) {
      visit(image.string(), fs::is_directory(entry) ? &label : nullptr);
      ++rows;
    }
  }
  if (rows == 0)
    throw RuntimeError("R0135", "`" + folder + "` has no images", "it holds a folder of images for each label");
}

} // namespace peftrt
