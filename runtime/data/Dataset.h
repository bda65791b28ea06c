// Dataset: the rows of one file, encoded as the manifest's `rows` say.
//
// A row has `input_ids`, or the text fields that its `tokens` encoder names, or the list of words that its `words` encoder does; targets are
// read unless the caller has none.
// `choices`: a text with each of several others, an example each; a row is as many successive examples of a batch, everywhere as many.
// `answer`: a second text, a sequence of its own: what is written in answer to the first. A batch holds what stands before each of its tokens: `start`, then
// all but the last; of a row without targets `start` alone.
// `targets`: each token's own id where it is to be predicted from those before it, kNoTarget elsewhere; of a conversation, where the assistant says it; of an answer
// what follows each place.
// An image is read as its patches: a row's tokens, each of so many numbers.
// `classes`: the class of each word at its first piece, or that of each of `input_ids`; kNoTarget elsewhere.
// Errs   those of Records, Labels, Tokenizer and Images, and R0133 a missing field, R0134 a field of the wrong type,
//        R0139 a token id outside the vocabulary, R0145 a conversation with an unknown role, or without anything that the assistant says
#pragma once
#include "runtime/data/Images.h"
#include "runtime/data/Labels.h"
#include "runtime/data/Tokenizer.h"
#include "runtime/plan/Executor.h"
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace peftrt {

enum class Encoder { Tokens, Words, Choices, Image, Answer, Index, Class, Choice, Number, Targets, Classes };
/// Whether a row of data says it with its text, not as what is to be learned.
constexpr bool isText(Encoder encoder) { return encoder == Encoder::Tokens || encoder == Encoder::Words || encoder == Encoder::Choices; }
/// Whether it is what the network reads: what is to be learned need not be there.
constexpr bool isInput(Encoder encoder) { return isText(encoder) || encoder == Encoder::Image || encoder == Encoder::Answer || encoder == Encoder::Index; }
constexpr int64_t kNoTarget = -100;

/// One entry of the manifest's `rows`.
struct RowField {
  std::string name;
  Encoder encoder = Encoder::Tokens;
  std::string field; ///< of the data row
  std::string pair;  ///< second text, or empty
  int64_t classes = 0;  ///< or choices, or how many an index tells apart
  std::string prompt, response; ///< two texts of which the second is to be predicted, or empty
  std::string end;              ///< appended to the response
  std::string ofIds;            ///< of `classes` and `answer`: what the field is called beside `input_ids`
  std::string choices;          ///< second texts, each of which makes an example with the first
  ImageShape image{};
  int64_t start = 0;            ///< of `answer`: the token that stands before all
  std::string messages, tools; ///< a conversation of which the assistant's turns are to be predicted, and what the assistant may call; or empty
};

/// Errs R0101 an encoder that this runtime does not know.
std::vector<RowField> rowFieldsOf(const nlohmann::json &manifest);

struct ReadOptions {
  int64_t maxLength = 0;
  int64_t vocab = 0;
  bool targets = true; ///< whether rows must say what is to be learned; what a text says of itself is read in any case
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
    std::vector<int64_t> words;   ///< of `words`: how many each row lists, or how many ids, whether they were cut or not
    int64_t lengthOf(int64_t example) const { return tokens.offsets[example + 1] - tokens.offsets[example]; }
    /// Which of its row's words, or ids, a token says the class of; negative: of none.
    int64_t wordOf(int64_t row, int64_t token) const { return tokens.words ? tokens.words[tokens.offsets[row] + token] : token; }
  };
  std::string path;
  std::vector<Column> columns;
  int64_t examplesOfRow = 1;     ///< which follow each other in every batch and in a column's tokens
  std::vector<int64_t> lengths;  ///< tokens of each row, of all its sequences
  std::vector<int64_t> lines;    ///< where each row stands in the file
  bool fromText = false;         ///< whether tokens were made of texts here
  int64_t truncated = 0;         ///< texts cut at max_length
  uint64_t contentHash = 0;      ///< of the file
  int64_t size() const { return static_cast<int64_t>(lengths.size()); }
  int64_t tokens() const;
  /// Tokens of one of the row's examples, in one of its sequences.
  int64_t lengthOf(int64_t row, int64_t example, int64_t sequence = 0) const;
  /// The column whose rows are the examples' second sequence, or null.
  const Column *answers() const;

  /// The packed batch of these rows.
  Batch pack(const std::vector<int64_t> &rows) const;
};

/// Reads a file. An empty `labels` is filled from its rows; a filled one must hold every label.
Dataset readDataset(const std::string &path, const std::vector<RowField> &fields, const ReadOptions &options, Labels &labels);

} // namespace peftrt
