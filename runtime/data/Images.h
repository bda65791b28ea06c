// Images: files to pixels, by Pillow in a helper process; pixels to what a network reads: patches, one a token.
//
// The checkpoint's preprocessor_config.json says to which size an image is brought and how its numbers are shifted and scaled; it is understood whole or refused.
// Pixels are cached as bytes, as the helper made them; they become numbers when a batch is packed.
// Errs   R0112 no preprocessor_config.json; R0140, R0141 the helper; R0142 a file that is no image; R0143 an image of other channels or another size than
//        the network reads; R0144 preprocessor_config.json says what is not described here
#pragma once
#include "runtime/data/Helper.h"
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace peftrt {

struct ImageShape {
  int64_t channels = 0, height = 0, width = 0;
  int64_t patch = 0; ///< side of a square patch
  int64_t pixels() const { return channels * height * width; }
  int64_t patches() const { return height / patch * (width / patch); }
  int64_t features() const { return channels * patch * patch; }
};

/// Pixels of all rows, [rows, channels, height, width]; as a number: (byte * factor - mean) / deviation.
struct ImageTable {
  int64_t rows = 0;
  const uint8_t *pixels = nullptr;
  float factor = 1;
  std::vector<float> mean, deviation; ///< by channel
  uint64_t contentHash = 0;           ///< of the files
  std::shared_ptr<const void> keep;
};

/// `where(row)` begins a message about a row: "train.jsonl:12: ".
ImageTable readImages(const std::vector<std::string> &paths, const ImageShape &shape, const std::string &modelPath, const HelperOptions &options, const std::function<std::string(int64_t)> &where);

/// [channels, height, width] to [patches, channels · patch · patch], rows of patches from the top, each channel after channel. `number(place)` of the former.
template <typename Number> void toPatches(const ImageShape &shape, const Number &number, float *out) {
  for (int64_t top = 0; top < shape.height; top += shape.patch)
    for (int64_t left = 0; left < shape.width; left += shape.patch)
      for (int64_t channel = 0; channel < shape.channels; ++channel)
        for (int64_t y = top; y < top + shape.patch; ++y)
          for (int64_t x = left; x < left + shape.patch; ++x)
            *out++ = number(channel, (channel * shape.height + y) * shape.width + x);
}

/// A folder's rows: a folder of images for each label, or images without labels; in the order of names. `label` is null for the latter.
void forEachImage(const std::string &folder, const std::function<void(const std::string &path, const std::string *label)> &visit);

} // namespace peftrt
