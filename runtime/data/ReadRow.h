// ReadRow: what a row of data says, checked and taken apart as its encoders ask; Dataset makes columns of it.
//
// Errs   R0133 a missing field, R0134 a field of the wrong type, R0139 a token id outside the vocabulary, R0143 an image of another shape, R0145 a conversation
//        that nothing is learned from, or with unknown roles
#pragma once
#include "runtime/data/Dataset.h"
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace peftrt {

/// A text a row: as the helper reads it, or its ids.
struct RawTexts {
  std::vector<std::string> texts; ///< a JSON list per row
  std::vector<int64_t> offsets{0};
  std::vector<int32_t> ids;
};

/// What has been read of a file before labels are numbered and texts are tokenised.
struct RawRows : RawTexts {
  RawTexts answers; ///< to those texts
  std::vector<std::vector<std::string>> labels; ///< by column; of `classes` row after row, empty where nothing is to be learned
  std::vector<std::vector<int64_t>> targets;    ///< by row, as given; empty where they are not
  std::vector<std::string> images;              ///< files
  bool hasIds = false, hasTexts = false, hasPixels = false;
};

/// The row that stands in the last of `dataset.lines`, as `text` (Records.h): into the columns what needs no other row, into `raw` what does.
void readRow(const nlohmann::json &row, std::string_view text, const ReadOptions &options, Dataset &dataset, RawRows &raw);

} // namespace peftrt
