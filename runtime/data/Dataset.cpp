// Dataset: see Dataset.h.
#include "runtime/data/Dataset.h"
#include "runtime/checkpoint/MappedFile.h"
#include "runtime/data/Records.h"
#include "runtime/bundle/Errors.h"
#include "runtime/bundle/Json.h"
#include <ATen/ATen.h>
#include <cmath>
#include <numeric>
#include <set>
#include <sstream>

namespace peftrt {
namespace {

using nlohmann::json;

/// What has been read of a file before labels are numbered and texts are tokenised.
struct Raw {
  std::vector<std::string> texts; ///< a JSON list per row: what the helper reads
  std::vector<int64_t> offsets{0};
  std::vector<int32_t> ids;
  std::vector<std::vector<std::string>> labels; ///< by column; of `classes` row after row, empty where nothing is to be learned
  std::vector<std::vector<int64_t>> targets;    ///< by row, as given; empty where they are not
  bool hasIds = false, hasTexts = false;
};

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

/// `input_ids` as a list.
void appendIds(const std::string &where, const json &list, const ReadOptions &options, Raw &raw, int64_t &truncated) {
  std::vector<int64_t> ids;
  if (!list.is_array() || list.empty())
    throw RuntimeError("R0134", where + "`input_ids` is not a list of token ids", "write it as [101, 2023, 102]");
  for (const json &id : list) {
    if (!id.is_number_integer())
      throw RuntimeError("R0134", where + "`input_ids` holds " + id.dump().substr(0, 40) + ", which is no token id", "write it as [101, 2023, 102]");
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
json idsOf(const std::string &where, const json &row, Raw &raw) {
  const bool hasIds = row.contains("input_ids");
  if ((hasIds && raw.hasTexts) || (!hasIds && raw.hasIds))
    throw RuntimeError("R0133", where + (hasIds ? "`input_ids`, but the rows before have text" : "no `input_ids`, but the rows before have them"), "give all rows the same fields");
  (hasIds ? raw.hasIds : raw.hasTexts) = true;
  if (!hasIds)
    return nullptr;
  const json &value = row["input_ids"];
  return value.is_string() ? listOf(value.get<std::string>()) : value;
}

bool readIds(const std::string &where, const json &row, const ReadOptions &options, Raw &raw, int64_t &truncated) {
  const json ids = idsOf(where, row, raw);
  if (!row.contains("input_ids"))
    return false;
  appendIds(where, ids, options, raw, truncated);
  return true;
}

/// As many examples as the task has choices: of the text with each, or of each list of ids.
void readChoices(const std::string &where, const json &row, const RowField &field, const ReadOptions &options, Raw &raw, int64_t &truncated) {
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

/// Which of the row's choices is right, counted from 0.
int64_t choiceOf(const std::string &where, const json &row, const RowField &field) {
  const json &value = fieldOf(where, row, field.field);
  const std::string text = value.is_string() ? value.get<std::string>() : value.dump();
  if (text.empty() || text.size() > 6 || text.find_first_not_of("0123456789") != std::string::npos || std::stoll(text) >= field.classes)
    throw RuntimeError("R0134", where + "`" + field.field + "` is " + value.dump().substr(0, 40) + ", which is none of the choices 0 to " + std::to_string(field.classes - 1), "it says the place of the right one");
  return std::stoll(text);
}

void readTokens(const std::string &where, const json &row, const RowField &field, const ReadOptions &options, Raw &raw, int64_t &truncated) {
  if (readIds(where, row, options, raw, truncated))
    return;
  const bool answers = !field.response.empty() && (row.contains(field.response) || row.contains(field.prompt)) && !row.contains(field.field);
  if (answers) {
    raw.texts.push_back(json({{"prompt", textOf(where, row, field.prompt)}, {"response", textOf(where, row, field.response) + field.end}}).dump());
    return;
  }
  json texts = json::array({textOf(where, row, field.field)});
  if (!field.pair.empty())
    texts.push_back(textOf(where, row, field.pair));
  raw.texts.push_back(texts.dump());
}

/// How many ids a row lists, before any is cut.
int64_t countIds(const json &row) {
  const json &ids = row["input_ids"];
  return static_cast<int64_t>(ids.is_string() ? listOf(ids.get<std::string>()).size() : ids.size());
}

void readWords(const std::string &where, const json &row, const ReadOptions &options, Raw &raw, Dataset::Column &column, int64_t &truncated) {
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
void readTargets(const std::string &where, const json &row, const RowField &field, const ReadOptions &options, Raw &raw) {
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

/// One target a token; each row has one behind its first token.
void makeTargets(const Dataset &dataset, const TokenTable &tokens, const Raw &raw, Dataset::Column &column) {
  for (int64_t row = 0; row < tokens.rows; ++row) {
    const std::vector<int64_t> &given = raw.targets[static_cast<size_t>(row)];
    const int64_t length = tokens.offsets[row + 1] - tokens.offsets[row], first = tokens.starts ? tokens.starts[row] : 0;
    bool any = false;
    for (int64_t place = 0; place < length; ++place) {
      const int64_t own = given.empty() ? (place < first ? kNoTarget : tokens.ids[tokens.offsets[row] + place]) : given[static_cast<size_t>(place)];
      column.targets.push_back(own);
      any |= place > 0 && own >= 0;
    }
    if (!any)
      throw RuntimeError("R0134", at(dataset.path, dataset.lines[static_cast<size_t>(row)]) + "none of the row's " + std::to_string(length) + " tokens is to be predicted",
                         "leave it out, or give more room with max_length: a prompt that fills it leaves no response");
  }
}

/// One class a token; each row has one at least.
void makeClasses(const Dataset &dataset, const Dataset::Column &text, Dataset::Column &column) {
  const TokenTable &tokens = text.tokens;
  int64_t first = 0; // of the row's entries
  for (int64_t row = 0; row < tokens.rows; ++row) {
    const int64_t length = text.lengthOf(row);
    bool any = false;
    for (int64_t token = 0; token < length; ++token) {
      const int64_t word = text.wordOf(row, token);
      column.targets.push_back(word < 0 ? kNoTarget : column.classes[static_cast<size_t>(first + word)]);
      any |= column.targets.back() >= 0;
    }
    if (!any)
      throw RuntimeError("R0134", at(dataset.path, dataset.lines[static_cast<size_t>(row)]) + "none of the row's " + std::to_string(length) + " tokens has a label", "leave it out");
    first += text.words[static_cast<size_t>(row)];
  }
}

TokenTable tableOf(Raw &raw) {
  struct Owned {
    std::vector<int64_t> offsets;
    std::vector<int32_t> ids;
  };
  auto owned = std::make_shared<Owned>(Owned{std::move(raw.offsets), std::move(raw.ids)});
  TokenTable table;
  table.rows = static_cast<int64_t>(owned->offsets.size()) - 1;
  table.offsets = owned->offsets.data();
  table.ids = owned->ids.data();
  table.keep = owned;
  return table;
}

/// A tokenizer may know words that the model's table has no row for.
void checkIds(const Dataset &dataset, const TokenTable &tokens, const ReadOptions &options) {
  for (int64_t row = 0; row < tokens.rows; ++row)
    for (int64_t place = tokens.offsets[row]; place < tokens.offsets[row + 1]; ++place)
      if (const int64_t id = tokens.ids[place]; id < 0 || (options.vocab > 0 && id >= options.vocab))
        throw RuntimeError("R0139", at(dataset.path, dataset.lines[static_cast<size_t>(row / dataset.examplesOfRow)]) + "the tokenizer gives id " + std::to_string(id) + ", the model has a vocabulary of " + std::to_string(options.vocab),
                           "`" + options.modelPath + "/tokenizer.json` belongs to another model");
}

/// The row whose words the `place`-th of all words is one of.
size_t rowOfEntry(const Dataset &dataset, int64_t place) {
  size_t row = 0;
  for (const Dataset::Column &column : dataset.columns)
    if (column.field.encoder == Encoder::Words)
      while (place >= column.words[row])
        place -= column.words[row++];
  return row;
}

void numberLabels(Dataset &dataset, const Raw &raw, Labels &labels) {
  for (size_t column = 0; column < dataset.columns.size(); ++column) {
    Dataset::Column &target = dataset.columns[column];
    const bool each = target.field.encoder == Encoder::Classes;
    if ((target.field.encoder != Encoder::Class && !each) || raw.labels[column].empty())
      continue;
    if (labels.empty()) {
      std::set<std::string> names(raw.labels[column].begin(), raw.labels[column].end());
      names.erase(""); // of what is not to be learned
      labels = Labels::fromNames(names, target.field.classes, dataset.path);
    }
    for (size_t place = 0; place < raw.labels[column].size(); ++place) {
      const std::string &name = raw.labels[column][place];
      const int64_t index = name.empty() ? kNoTarget : labels.indexOf(name);
      if (index < 0 && !name.empty())
        throw RuntimeError("R0137", at(dataset.path, dataset.lines[each ? rowOfEntry(dataset, static_cast<int64_t>(place)) : place]) + "the label `" + name + "` is not one of the run's", "it has " + labels.listed());
      target.classes.push_back(index);
    }
  }
}

} // namespace

std::vector<RowField> rowFieldsOf(const json &manifest) {
  std::vector<RowField> fields;
  for (const json &row : manifest.at("rows")) {
    RowField field;
    field.name = row.at("name");
    const json &args = row.at("args");
    field.field = args.at(0);
    const std::string encoder = row.at("encoder");
    if (encoder == "tokens") {
      field.encoder = Encoder::Tokens;
      const auto name = [&](size_t index) { return args.size() > index && args[index].is_string() ? args[index].get<std::string>() : std::string(); };
      field.pair = name(1);
      field.prompt = name(2);
      field.response = name(3);
      field.end = name(4);
    } else if (encoder == "words") {
      field.encoder = Encoder::Words;
    } else if (encoder == "choices") {
      field.encoder = Encoder::Choices;
      field.choices = args.at(1);
      field.classes = args.at(2);
    } else if (encoder == "choice") {
      field.encoder = Encoder::Choice;
      field.classes = args.at(1);
    } else if (encoder == "targets") {
      field.encoder = Encoder::Targets;
    } else if (encoder == "classes") {
      field.encoder = Encoder::Classes;
      field.classes = args.at(1);
      field.ofIds = args.at(2);
    } else if (encoder == "class") {
      field.encoder = Encoder::Class;
      field.classes = args.at(1);
    } else if (encoder == "number") {
      field.encoder = Encoder::Number;
    } else {
      throw RuntimeError("R0101", "the trainer needs the row encoder `" + encoder + "`, which this runtime does not have", "compile the spec with this version of peftc");
    }
    fields.push_back(field);
  }
  return fields;
}

/// How many words, or ids, the row lists that was read last.
static int64_t wordsOf(const Dataset &dataset) {
  for (const Dataset::Column &column : dataset.columns)
    if (column.field.encoder == Encoder::Words)
      return column.words.back();
  throw RuntimeError("R0102", "a class a word, and no words before it", "this is a bug of the trainer's task: `row ids: words(…)` comes first");
}

int64_t Dataset::tokens() const { return std::accumulate(lengths.begin(), lengths.end(), int64_t{0}); }

int64_t Dataset::lengthOf(int64_t row, int64_t example) const {
  for (const Column &column : columns)
    if (isText(column.field.encoder))
      return column.lengthOf(row * examplesOfRow + example);
  throw RuntimeError("R0102", "rows without text", "this is a bug of peftc");
}

Dataset readDataset(const std::string &path, const std::vector<RowField> &fields, const ReadOptions &options, Labels &labels) {
  Dataset dataset;
  dataset.path = path;
  dataset.contentHash = fingerprint(MappedFile::open(path)->text());
  Raw raw;
  raw.labels.resize(fields.size());
  for (const RowField &field : fields) {
    dataset.examplesOfRow = field.encoder == Encoder::Choices ? field.classes : dataset.examplesOfRow;
    if (isText(field.encoder) || options.targets)
      dataset.columns.push_back({field, {}, {}, {}, {}, {}});
  }
  forEachRecord(path, [&](int64_t line, const json &row) {
    const std::string where = at(path, line);
    dataset.lines.push_back(line);
    for (size_t column = 0; column < dataset.columns.size(); ++column) {
      const RowField &field = dataset.columns[column].field;
      switch (field.encoder) {
      case Encoder::Tokens: readTokens(where, row, field, options, raw, dataset.truncated); break;
      case Encoder::Words: readWords(where, row, options, raw, dataset.columns[column], dataset.truncated); break;
      case Encoder::Choices: readChoices(where, row, field, options, raw, dataset.truncated); break;
      case Encoder::Choice: dataset.columns[column].classes.push_back(choiceOf(where, row, field)); break;
      case Encoder::Targets: readTargets(where, row, field, options, raw); break;
      case Encoder::Class: raw.labels[column].push_back(labelOf(where, field.field, fieldOf(where, row, field.field))); break;
      case Encoder::Classes: readClasses(where, row, field, wordsOf(dataset), raw.labels[column]); break;
      case Encoder::Number: dataset.columns[column].numbers.push_back(numberOf(where, row, field.field)); break;
      }
    }
  });
  numberLabels(dataset, raw, labels);
  for (Dataset::Column &column : dataset.columns) {
    if (!isText(column.field.encoder))
      continue;
    column.tokens = raw.hasIds ? tableOf(raw) : tokenize(raw.texts, options.modelPath, options.maxLength, options.tokenizer, dataset.truncated);
    checkIds(dataset, column.tokens, options);
    dataset.lengths.clear();
    for (int64_t row = 0; row < column.tokens.rows / dataset.examplesOfRow; ++row)
      dataset.lengths.push_back(column.tokens.offsets[(row + 1) * dataset.examplesOfRow] - column.tokens.offsets[row * dataset.examplesOfRow]);
  }
  for (const Dataset::Column &text : dataset.columns)
    for (Dataset::Column &column : dataset.columns)
      if (isText(text.field.encoder) && column.field.encoder == Encoder::Targets)
        makeTargets(dataset, text.tokens, raw, column);
      else if (isText(text.field.encoder) && column.field.encoder == Encoder::Classes)
        makeClasses(dataset, text, column);
  for (int64_t row = 0; row < dataset.size(); ++row)
    for (int64_t example = 0; example < dataset.examplesOfRow; ++example)
      if (dataset.lengthOf(row, example) == 0)
        throw RuntimeError("R0134", at(path, dataset.lines[static_cast<size_t>(row)]) + "the row has no tokens", "leave it out");
  return dataset;
}

/// Of each row one number, for each of its examples.
template <typename T> static at::Tensor perExample(const std::vector<T> &values, const std::vector<int64_t> &rows, int64_t examples, at::ScalarType type) {
  const at::Tensor packed = at::empty({static_cast<int64_t>(rows.size()) * examples}, type);
  T *next = packed.data_ptr<T>();
  for (const int64_t row : rows)
    next = std::fill_n(next, examples, values[static_cast<size_t>(row)]);
  return packed;
}

/// Of each row's tokens one number.
template <typename T> static at::Tensor perToken(const T *values, const int64_t *offsets, const std::vector<int64_t> &rows, int64_t examples, int64_t total) {
  const at::Tensor packed = at::empty({total}, at::kLong);
  int64_t *next = packed.data_ptr<int64_t>();
  for (const int64_t row : rows)
    next = std::copy(values + offsets[row * examples], values + offsets[(row + 1) * examples], next);
  return packed;
}

Batch Dataset::pack(const std::vector<int64_t> &rows) const {
  Batch batch;
  for (const int64_t row : rows)
    for (int64_t example = 0; example < examplesOfRow; ++example)
      batch.lengths.push_back(lengthOf(row, example));
  const int64_t *offsets = nullptr;
  for (const Column &column : columns)
    if (isText(column.field.encoder))
      offsets = column.tokens.offsets;
  for (const Column &column : columns) {
    at::Tensor &values = batch.columns[column.field.name];
    if (isText(column.field.encoder))
      values = perToken(column.tokens.ids, offsets, rows, examplesOfRow, batch.tokens());
    else if (column.field.encoder == Encoder::Targets || column.field.encoder == Encoder::Classes)
      values = perToken(column.targets.data(), offsets, rows, examplesOfRow, batch.tokens());
    else if (column.field.encoder == Encoder::Number)
      values = perExample(column.numbers, rows, examplesOfRow, at::kFloat);
    else
      values = perExample(column.classes, rows, examplesOfRow, at::kLong);
  }
  return batch;
}

} // namespace peftrt
