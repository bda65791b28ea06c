// Dataset: the rows of one file, encoded as the manifest's `rows` say.
//
// A row has `input_ids`, or the text fields that its `tokens` encoder names; targets are read unless the caller has none.
// `targets`: each token's own id where it is to be predicted from those before it, kNoTarget elsewhere.
// An image is read as its patches: a row's tokens, each of so many numbers.
// Errs   those of Records, Labels, Tokenizer and Images, and R0133 a missing field, R0134 a field of the wrong type,
//        R0139 a token id outside the vocabulary
#pragma once
#include "runtime/data/Images.h"
#include "runtime/data/Labels.h"
#include "runtime/data/Tokenizer.h"
#include "runtime/plan/Executor.h"
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace peftrt {

enum class Encoder { Tokens, Class, Number, Targets, Image };
constexpr int64_t kNoTarget = -100;

/// One entry of the manifest's `rows`.
struct RowField {
  std::string name;
  Encoder encoder = Encoder::Tokens;
  std::string field; ///< of the data row
  std::string pair;  ///< second text, or empty
  int64_t classes = 0;
  std::string prompt, response; ///< two texts of which the second is to be predicted, or empty
  std::string end;              ///< appended to the response
  ImageShape image{};
};

/// Errs R0101 an encoder that this runtime does not know.
std::vector<RowField> rowFieldsOf(const nlohmann::json &manifest);

struct ReadOptions {
  int64_t maxLength = 0;
  int64_t vocab = 0;
  bool targets = true;
  std::string modelPath; ///< holds tokenizer.json, preprocessor_config.json
  HelperOptions helper;
};

struct Dataset {
  struct Column {
    RowField field;
    TokenTable tokens;
    std::vector<int64_t> classes;
    std::vector<float> numbers;
    std::vector<int64_t> targets; ///< one a token, rows one after the other
    ImageTable images;
    std::vector<float> patches;   ///< of rows that hold numbers instead of images, as they are packed
  };
  std::string path;
  std::vector<Column> columns;
  std::vector<int64_t> lengths;  ///< tokens of each row
  std::vector<int64_t> lines;    ///< where each row stands in the file
  int64_t truncated = 0;         ///< rows cut at max_length
  uint64_t contentHash = 0;      ///< of the file
  int64_t size() const { return static_cast<int64_t>(lengths.size()); }
  int64_t tokens() const;

  /// The packed batch of these rows.
  Batch pack(const std::vector<int64_t> &rows) const;
};

/// Reads a file. An empty `labels` is filled from its rows; a filled one must hold every label.
Dataset readDataset(const std::string &path, const std::vector<RowField> &fields, const ReadOptions &options, Labels &labels);

} // namespace peftrt
