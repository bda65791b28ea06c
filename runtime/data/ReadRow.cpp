// ReadRow: see ReadRow.h.
#include "runtime/data/ReadRow.h"
#include "runtime/data/Conversation.h"
#include "runtime/data/Records.h"
#include "runtime/bundle/Errors.h"
#include "runtime/bundle/Json.h"
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <sstream>

namespace peftrt {
namespace {

using nlohmann::json;

[[noreturn]] void failMissing(const std::string &where, const std::string &field, const json &row) {
  std::string present;
  for (const auto &[name, value] : row.items())
    present += (present.empty() ? "" : ", ") + name;
  throw RuntimeError("R0133", where + "no field `" + field + "`", "the row has " + (present.empty() ? "no field" : present) + "; the spec's task says which fields are read");
}

const json &fieldOf(const std::string &where, const json &row, const std::string &field) {
  const auto found = row.find(field);
  if (found == row.end() || found->is_null())
    failMissing(where, field, row);
  return *found;
}

std::string textOf(const std::string &where, const json &row, const std::string &field) {
  const json &value = fieldOf(where, row, field);
  if (!value.is_string())
    throw RuntimeError("R0134", where + "`" + field + "` is a " + value.type_name() + ", a string is needed", "");
  return value.get<std::string>();
}

std::string labelOf(const std::string &where, const std::string &field, const json &value) {
  if (value.is_string() && value.get_ref<const std::string &>().empty())
    throw RuntimeError("R0134", where + "`" + field + "` is empty", "every row needs a label");
  if (value.is_string())
    return value.get<std::string>();
  if (value.is_number_integer() || value.is_boolean())
    return value.dump();
  throw RuntimeError("R0134", where + "`" + field + "` is " + value.dump().substr(0, 40) + "; a label is a string or an integer", "");
}

float numberOf(const std::string &where, const json &row, const std::string &field) {
  const json &value = fieldOf(where, row, field);
  double number = NAN;
  if (value.is_number())
    number = value.get<double>();
  else if (value.is_string()) {
    const std::string text = value.get<std::string>();
    char *end = nullptr;
    number = std::strtod(text.c_str(), &end);
    if (text.empty() || *end != '\0')
      number = NAN;
  }
  if (!std::isfinite(static_cast<float>(number)))
    throw RuntimeError("R0134", where + "`" + field + "` is " + value.dump().substr(0, 40) + ", a finite number is needed", "");
  return static_cast<float>(number);
}

/// A table's cell: `[101, 2023, 102]` or `101 2023 102`.
json listOf(const std::string &cell) {
  if (cell.find('[') != std::string::npos)
    return parseJson(cell);
  json list = json::array();
  std::istringstream words(cell);
  for (std::string word; words >> word;)
    list.push_back(parseJson(word));
  return list;
}

/// A list, or a table's cell: `["a", "b"]` or `a b`.
json entriesOf(const std::string &where, const json &row, const std::string &field) {
  const json &value = fieldOf(where, row, field);
  json list = value;
  if (value.is_string()) {
    const std::string &cell = value.get_ref<const std::string &>();
    list = cell.rfind("[", 0) == 0 ? parseJson(cell) : json();
    if (!list.is_array()) {
      list = json::array();
      std::istringstream words(cell);
      for (std::string word; words >> word;)
        list.push_back(word);
    }
  }
  if (!list.is_array() || list.empty())
    throw RuntimeError("R0134", where + "`" + field + "` is not a list, or an empty one", "write it as [\"a\", \"b\"]");
  return list;
}

/// A field's ids as a list.
void appendIds(const std::string &where, const json &list, const ReadOptions &options, RawTexts &raw, int64_t &truncated, const std::string &field = "input_ids") {
  std::vector<int64_t> ids;
  if (!list.is_array() || list.empty())
    throw RuntimeError("R0134", where + "`" + field + "` is not a list of token ids", "write it as [101, 2023, 102]");
  for (const json &id : list) {
    if (!id.is_number_integer())
      throw RuntimeError("R0134", where + "`" + field + "` holds " + id.dump().substr(0, 40) + ", which is no token id", "write it as [101, 2023, 102]");
    const int64_t number = id.get<int64_t>();
    if (number < 0 || (options.vocab > 0 && number >= options.vocab))
      throw RuntimeError("R0139", where + "token id " + std::to_string(number) + " is outside the vocabulary of " + std::to_string(options.vocab), "the ids come from another tokenizer");
    ids.push_back(number);
  }
  if (options.maxLength > 0 && static_cast<int64_t>(ids.size()) > options.maxLength) {
    ids.resize(static_cast<size_t>(options.maxLength));
    ++truncated;
  }
  raw.ids.insert(raw.ids.end(), ids.begin(), ids.end());
  raw.offsets.push_back(static_cast<int64_t>(raw.ids.size()));
}

/// A row's `input_ids`, or null; all rows of a file have them, or none.
json idsOf(const std::string &where, const json &row, RawRows &raw) {
  const bool hasIds = row.contains("input_ids");
  if ((hasIds && raw.hasTexts) || (!hasIds && raw.hasIds))
    throw RuntimeError("R0133", where + (hasIds ? "`input_ids`, but the rows before have text" : "no `input_ids`, but the rows before have them"), "give all rows the same fields");
  (hasIds ? raw.hasIds : raw.hasTexts) = true;
  if (!hasIds)
    return nullptr;
  const json &value = row["input_ids"];
  return value.is_string() ? listOf(value.get<std::string>()) : value;
}

bool readIds(const std::string &where, const json &row, const ReadOptions &options, RawRows &raw, int64_t &truncated) {
  const json ids = idsOf(where, row, raw);
  if (!row.contains("input_ids"))
    return false;
  appendIds(where, ids, options, raw, truncated);
  return true;
}

/// As many examples as the task has choices: of the text with each, or of each list of ids.
void readChoices(const std::string &where, const json &row, const RowField &field, const ReadOptions &options, RawRows &raw, int64_t &truncated) {
  const json ids = idsOf(where, row, raw);
  const bool hasIds = row.contains("input_ids");
  const std::string &name = hasIds ? "input_ids" : field.choices;
  const json choices = hasIds ? ids : entriesOf(where, row, field.choices);
  if (!choices.is_array() || static_cast<int64_t>(choices.size()) != field.classes)
    throw RuntimeError("R0134", where + "`" + name + "` has " + std::to_string(choices.is_array() ? choices.size() : 0) + " entries, the task has " + std::to_string(field.classes) + " choices",
                       "every row needs as many: write the task's number as they have");
  const std::string text = hasIds ? "" : textOf(where, row, field.field);
  for (const json &choice : choices) {
    if (hasIds) {
      appendIds(where, choice, options, raw, truncated);
      continue;
    }
    if (!choice.is_string())
      throw RuntimeError("R0134", where + "`" + name + "` holds " + choice.dump().substr(0, 40) + ", a string is needed", "");
    raw.texts.push_back(json::array({text, choice}).dump());
  }
}

/// A whole number below as many as the field tells apart: which of the row's choices is right, or which of a method's parts is the row's.
int64_t placeOf(const std::string &where, const json &row, const RowField &field) {
  const bool choice = field.encoder == Encoder::Choice;
  const json &value = fieldOf(where, row, field.field);
  const std::string text = value.is_string() ? value.get<std::string>() : value.dump();
  if (text.empty() || text.size() > 6 || text.find_first_not_of("0123456789") != std::string::npos || std::stoll(text) >= field.classes)
    throw RuntimeError("R0134", where + "`" + field.field + "` is " + value.dump().substr(0, 40) + ", which is none of " + (choice ? "the choices " : "") + "0 to " + std::to_string(field.classes - 1),
                       choice ? "it says the place of the right one" : "the spec's method tells so many apart, counted from 0");
  return std::stoll(text);
}

void readConversation(const std::string &where, const json &row, std::string_view text, const RowField &field, const ReadOptions &options, RawRows &raw) {
  const nlohmann::ordered_json conversation = conversationOf(where, row, text, field);
  if (options.targets && turnsOf(conversation) == 0)
    throw RuntimeError("R0145", where + "none of the " + std::to_string(conversation["messages"].size()) + " messages of `" + field.messages + "` is the assistant's", "nothing is learned from it: leave it out");
  raw.texts.push_back(conversation.dump());
}

void readTokens(const std::string &where, const json &row, std::string_view text, const RowField &field, const ReadOptions &options, RawRows &raw, int64_t &truncated) {
  if (readIds(where, row, options, raw, truncated))
    return;
  if (!field.messages.empty() && row.contains(field.messages))
    return readConversation(where, row, text, field, options, raw);
  const bool answers = !field.response.empty() && (row.contains(field.response) || row.contains(field.prompt)) && !row.contains(field.field);
  if (answers) {
    const bool asks = !options.targets && !row.contains(field.response);
    raw.texts.push_back(json({{"prompt", textOf(where, row, field.prompt)}, {"response", asks ? "" : textOf(where, row, field.response) + field.end}}).dump());
    return;
  }
  json texts = json::array({textOf(where, row, field.field)});
  if (!field.pair.empty())
    texts.push_back(textOf(where, row, field.pair));
  raw.texts.push_back(texts.dump());
}

/// The row's second text, or its ids where the first one is ids. Of rows without targets nothing is known of it.
void readAnswer(const std::string &where, const json &row, const RowField &field, const ReadOptions &options, RawRows &raw, int64_t &truncated) {
  if (!options.targets) {
    raw.answers.offsets.push_back(0);
    return;
  }
  if (!row.contains("input_ids")) {
    raw.answers.texts.push_back(json::array({textOf(where, row, field.field)}).dump());
    return;
  }
  const json &value = fieldOf(where, row, field.ofIds);
  const json list = value.is_string() ? listOf(value.get<std::string>()) : value;
  for (size_t place = 0; list.is_array() && place < list.size(); ++place)
    if (list[place].is_number_integer() && list[place].get<int64_t>() < 0)
      throw RuntimeError("R0139", where + "`" + field.ofIds + "` holds " + list[place].dump() + ", which is no token that could be read", "rows are not padded here: leave out what is not to be learned");
  appendIds(where, list, options, raw.answers, truncated, field.ofIds);
}

/// Numbers of a list of lists, however nested; false where something else is among them.
bool appendNumbers(const json &value, std::vector<float> &numbers) {
  if (value.is_number())
    numbers.push_back(value.get<float>());
  else if (!value.is_array() || !std::all_of(value.begin(), value.end(), [&](const json &item) { return appendNumbers(item, numbers); }))
    return false;
  return true;
}

/// A file's name, as seen from the rows' folder, or `pixel_values` as the network reads them.
void readImage(const std::string &where, const std::string &path, const json &row, Dataset::Column &column, RawRows &raw) {
  const bool hasPixels = row.contains("pixel_values");
  if ((hasPixels && !raw.images.empty()) || (!hasPixels && raw.hasPixels))
    throw RuntimeError("R0133", where + (hasPixels ? "`pixel_values`, but the rows before have images" : "no `pixel_values`, but the rows before have them"), "give all rows the same fields");
  raw.hasPixels = hasPixels;
  if (!hasPixels) {
    const std::filesystem::path given(path), folder = std::filesystem::is_directory(given) ? given : given.parent_path();
    raw.images.push_back((folder / textOf(where, row, column.field.field)).string());
    return;
  }
  const ImageShape &shape = column.field.image;
  std::vector<float> numbers;
  if (!appendNumbers(row["pixel_values"], numbers) || std::any_of(numbers.begin(), numbers.end(), [](float number) { return !std::isfinite(number); }))
    throw RuntimeError("R0134", where + "`pixel_values` holds something that is no finite number", "write it as [[[0.5, 0.1], [0.2, 0.9]]]: channels of rows of pixels");
  if (static_cast<int64_t>(numbers.size()) != shape.pixels())
    throw RuntimeError("R0143", where + "`pixel_values` has " + std::to_string(numbers.size()) + " numbers, the model reads " + std::to_string(shape.channels) + " channels of " +
                                    std::to_string(shape.height) + " by " + std::to_string(shape.width), "");
  column.patches.resize(column.patches.size() + numbers.size());
  toPatches(shape, [&](int64_t, int64_t place) { return numbers[static_cast<size_t>(place)]; }, column.patches.data() + column.patches.size() - numbers.size());
}

/// How many ids a row lists, before any is cut.
int64_t countIds(const json &row) {
  const json &ids = row["input_ids"];
  return static_cast<int64_t>(ids.is_string() ? listOf(ids.get<std::string>()).size() : ids.size());
}

void readWords(const std::string &where, const json &row, const ReadOptions &options, RawRows &raw, Dataset::Column &column, int64_t &truncated) {
  if (readIds(where, row, options, raw, truncated)) {
    column.words.push_back(countIds(row));
    return;
  }
  const json words = entriesOf(where, row, column.field.field);
  for (const json &word : words)
    if (!word.is_string() || word.get_ref<const std::string &>().empty())
      throw RuntimeError("R0134", where + "`" + column.field.field + "` holds " + word.dump().substr(0, 40) + ", which is no word", "write it as [\"a\", \"b\"]");
  column.words.push_back(static_cast<int64_t>(words.size()));
  raw.texts.push_back(json({{"words", words}}).dump());
}

/// A label for each of the row's words, or of its ids; negative numbers stand where nothing is to be learned.
void readClasses(const std::string &where, const json &row, const RowField &field, int64_t words, std::vector<std::string> &labels) {
  const bool ofIds = row.contains("input_ids");
  const std::string &name = ofIds ? field.ofIds : field.field;
  const json list = entriesOf(where, row, name);
  if (static_cast<int64_t>(list.size()) != words)
    throw RuntimeError("R0134", where + "`" + name + "` has " + std::to_string(list.size()) + " entries for " + std::to_string(words) + (ofIds ? " tokens" : " words"), ofIds ? "give one a token" : "give one a word");
  for (const json &label : list) {
    const std::string text = labelOf(where, name, label);
    const bool negative = text.size() > 1 && text[0] == '-' && text.find_first_not_of("0123456789", 1) == std::string::npos;
    labels.push_back(negative ? "" : text);
  }
}

/// The row's own list of targets, if it has one.
void readTargets(const std::string &where, const json &row, const RowField &field, const ReadOptions &options, RawRows &raw) {
  std::vector<int64_t> &targets = raw.targets.emplace_back();
  const auto found = row.find(field.field);
  if (found == row.end() || found->is_null())
    return;
  if (!row.contains("input_ids"))
    throw RuntimeError("R0134", where + "`" + field.field + "` beside text", "which tokens are targets is said of `input_ids`, or by fields for prompt and response");
  const json list = found->is_string() ? listOf(found->get<std::string>()) : *found;
  for (const json &target : list) {
    if (!target.is_number_integer())
      throw RuntimeError("R0134", where + "`" + field.field + "` holds " + target.dump().substr(0, 40) + ", which is no token id", "negative numbers stand where nothing is to be learned");
    const int64_t number = target.get<int64_t>();
    if (options.vocab > 0 && number >= options.vocab)
      throw RuntimeError("R0139", where + "target " + std::to_string(number) + " is outside the vocabulary of " + std::to_string(options.vocab), "the ids come from another tokenizer");
    targets.push_back(number < 0 ? kNoTarget : number);
  }
  if (const int64_t tokens = countIds(row); tokens != static_cast<int64_t>(targets.size()))
    throw RuntimeError("R0134", where + "`" + field.field + "` has " + std::to_string(targets.size()) + " entries for " + std::to_string(tokens) + " tokens", "give one a token");
}

/// How many words, or ids, the row lists that was read last.
int64_t wordsOf(const Dataset &dataset) {
  for (const Dataset::Column &column : dataset.columns)
    if (column.field.encoder == Encoder::Words)
      return column.words.back();
  throw RuntimeError("R0102", "a class a word, and no words before it", "this is a bug of the trainer's task: `row ids: words(…)` comes first");
}

} // namespace

void readRow(const json &row, std::string_view text, const ReadOptions &options, Dataset &dataset, RawRows &raw) {
  const std::string where = at(dataset.path, dataset.lines.back());
  for (size_t column = 0; column < dataset.columns.size(); ++column) {
    const RowField &field = dataset.columns[column].field;
    switch (field.encoder) {
    case Encoder::Tokens: readTokens(where, row, text, field, options, raw, dataset.truncated); break;
    case Encoder::Image: readImage(where, dataset.path, row, dataset.columns[column], raw); break;
    case Encoder::Words: readWords(where, row, options, raw, dataset.columns[column], dataset.truncated); break;
    case Encoder::Choices: readChoices(where, row, field, options, raw, dataset.truncated); break;
    case Encoder::Choice:
    case Encoder::Index: dataset.columns[column].classes.push_back(placeOf(where, row, field)); break;
    case Encoder::Answer: readAnswer(where, row, field, options, raw, dataset.truncated); break;
    case Encoder::Targets:
      if (!dataset.answers()) // whose targets are its own tokens
        readTargets(where, row, field, options, raw);
      break;
    case Encoder::Class: raw.labels[column].push_back(labelOf(where, field.field, fieldOf(where, row, field.field))); break;
    case Encoder::Classes: readClasses(where, row, field, wordsOf(dataset), raw.labels[column]); break;
    case Encoder::Number: dataset.columns[column].numbers.push_back(numberOf(where, row, field.field)); break;
    }
  }
}

} // namespace peftrt
