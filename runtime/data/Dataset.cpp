// Dataset: see Dataset.h.
#include "runtime/data/Dataset.h"
#include "runtime/checkpoint/MappedFile.h"
#include "runtime/data/Records.h"
#include "runtime/bundle/Errors.h"
#include "runtime/bundle/Json.h"
#include <ATen/ATen.h>
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <numeric>
#include <sstream>

namespace peftrt {
namespace {

using nlohmann::json;

/// What has been read of a file before labels are numbered and texts are tokenised.
struct Raw {
  std::vector<std::string> texts; ///< a JSON list per row: what the helper reads
  std::vector<int64_t> offsets{0};
  std::vector<int32_t> ids;
  std::vector<std::vector<std::string>> labels; ///< by column
  std::vector<std::vector<int64_t>> targets;    ///< by row, as given; empty where they are not
  std::vector<std::string> images;              ///< files
  bool hasIds = false, hasTexts = false, hasPixels = false;
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

std::string labelOf(const std::string &where, const json &row, const std::string &field) {
  const json &value = fieldOf(where, row, field);
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

/// `input_ids` as a list, or as a table's cell holds it.
void appendIds(const std::string &where, const json &value, const ReadOptions &options, Raw &raw, int64_t &truncated) {
  std::vector<int64_t> ids;
  const json list = value.is_string() ? listOf(value.get<std::string>()) : value;
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

void readTokens(const std::string &where, const json &row, const RowField &field, const ReadOptions &options, Raw &raw, int64_t &truncated) {
  const bool hasIds = row.contains("input_ids");
  if ((hasIds && raw.hasTexts) || (!hasIds && raw.hasIds))
    throw RuntimeError("R0133", where + (hasIds ? "`input_ids`, but the rows before have text" : "no `input_ids`, but the rows before have them"), "give all rows the same fields");
  (hasIds ? raw.hasIds : raw.hasTexts) = true;
  if (hasIds) {
    appendIds(where, row["input_ids"], options, raw, truncated);
    return;
  }
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

/// Numbers of a list of lists, however nested; false where something else is among them.
bool appendNumbers(const json &value, std::vector<float> &numbers) {
  if (value.is_number())
    numbers.push_back(value.get<float>());
  else if (!value.is_array() || !std::all_of(value.begin(), value.end(), [&](const json &item) { return appendNumbers(item, numbers); }))
    return false;
  return true;
}

/// A file's name, as seen from the rows' folder, or `pixel_values` as the network reads them.
void readImage(const std::string &where, const std::string &path, const json &row, Dataset::Column &column, Raw &raw) {
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
  const json &ids = row["input_ids"];
  if (const size_t tokens = ids.is_string() ? listOf(ids.get<std::string>()).size() : ids.size(); tokens != targets.size())
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
        throw RuntimeError("R0139", at(dataset.path, dataset.lines[static_cast<size_t>(row)]) + "the tokenizer gives id " + std::to_string(id) + ", the model has a vocabulary of " + std::to_string(options.vocab),
                           "`" + options.modelPath + "/tokenizer.json` belongs to another model");
}

void loadImages(Dataset &dataset, const Raw &raw, const ReadOptions &options) {
  for (Dataset::Column &column : dataset.columns) {
    if (column.field.encoder != Encoder::Image)
      continue;
    dataset.lengths.assign(dataset.lines.size(), column.field.image.patches());
    if (raw.hasPixels)
      continue;
    column.images = readImages(raw.images, column.field.image, options.modelPath, options.helper, [&](int64_t row) { return at(dataset.path, dataset.lines[static_cast<size_t>(row)]); });
    dataset.contentHash = dataset.contentHash * 3 + column.images.contentHash;
  }
}

/// Patches of these rows, [tokens, features].
at::Tensor packImages(const Dataset::Column &column, const std::vector<int64_t> &rows) {
  const ImageShape &shape = column.field.image;
  const ImageTable &table = column.images;
  at::Tensor values = at::empty({static_cast<int64_t>(rows.size()) * shape.patches(), shape.features()}, at::kFloat);
  float *next = values.data_ptr<float>();
  for (const int64_t row : rows) {
    if (table.pixels) {
      const uint8_t *bytes = table.pixels + row * shape.pixels();
      toPatches(shape, [&](int64_t channel, int64_t place) { return (static_cast<float>(bytes[place]) * table.factor - table.mean[static_cast<size_t>(channel)]) / table.deviation[static_cast<size_t>(channel)]; }, next);
    } else {
      std::copy_n(column.patches.begin() + row * shape.pixels(), shape.pixels(), next);
    }
    next += shape.pixels();
  }
  return values;
}

void numberLabels(Dataset &dataset, const Raw &raw, Labels &labels) {
  for (size_t column = 0; column < dataset.columns.size(); ++column) {
    Dataset::Column &target = dataset.columns[column];
    if (target.field.encoder != Encoder::Class || raw.labels[column].empty())
      continue;
    if (labels.empty())
      labels = Labels::fromNames({raw.labels[column].begin(), raw.labels[column].end()}, target.field.classes, dataset.path);
    for (size_t row = 0; row < raw.labels[column].size(); ++row) {
      const int64_t index = labels.indexOf(raw.labels[column][row]);
      if (index < 0)
        throw RuntimeError("R0137", at(dataset.path, dataset.lines[row]) + "the label `" + raw.labels[column][row] + "` is not one of the run's", "it has " + labels.listed());
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
    } else if (encoder == "image") {
      field.encoder = Encoder::Image;
      field.image = {args.at(1), args.at(2), args.at(3), args.at(4)};
    } else if (encoder == "targets") {
      field.encoder = Encoder::Targets;
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

/// Calls `visit(line, row)` for every row of a file, or of a folder of images.
static void forEachRow(const std::string &path, const std::vector<RowField> &fields, const std::function<void(int64_t, const json &)> &visit) {
  const auto fieldOf = [&](Encoder encoder) {
    const auto found = std::find_if(fields.begin(), fields.end(), [&](const RowField &field) { return field.encoder == encoder; });
    return found == fields.end() ? std::string() : found->field;
  };
  const std::string image = fieldOf(Encoder::Image), label = fieldOf(Encoder::Class);
  if (image.empty() || !std::filesystem::is_directory(path))
    return forEachRecord(path, visit);
  int64_t line = 0;
  forEachImage(path, [&](const std::string &file, const std::string *name) {
    json row = {{image, std::filesystem::path(file).lexically_relative(path).string()}};
    if (name && !label.empty())
      row[label] = *name;
    visit(++line, row);
  });
}

int64_t Dataset::tokens() const { return std::accumulate(lengths.begin(), lengths.end(), int64_t{0}); }

Dataset readDataset(const std::string &path, const std::vector<RowField> &fields, const ReadOptions &options, Labels &labels) {
  Dataset dataset;
  dataset.path = path;
  const bool isFolder = std::filesystem::is_directory(path);
  dataset.contentHash = isFolder ? fingerprint("folder") : fingerprint(MappedFile::open(path)->text());
  Raw raw;
  raw.labels.resize(fields.size());
  for (const RowField &field : fields)
    if (field.encoder == Encoder::Tokens || field.encoder == Encoder::Image || options.targets)
      dataset.columns.push_back({field, {}, {}, {}, {}, {}, {}});
  forEachRow(path, fields, [&](int64_t line, const json &row) {
    if (isFolder)
      dataset.contentHash = fingerprint(row.dump(), dataset.contentHash);
    const std::string where = at(path, line);
    dataset.lines.push_back(line);
    for (size_t column = 0; column < dataset.columns.size(); ++column) {
      const RowField &field = dataset.columns[column].field;
      switch (field.encoder) {
      case Encoder::Tokens: readTokens(where, row, field, options, raw, dataset.truncated); break;
      case Encoder::Image: readImage(where, path, row, dataset.columns[column], raw); break;
      case Encoder::Targets: readTargets(where, row, field, options, raw); break;
      case Encoder::Class: raw.labels[column].push_back(labelOf(where, row, field.field)); break;
      case Encoder::Number: dataset.columns[column].numbers.push_back(numberOf(where, row, field.field)); break;
      }
    }
  });
  numberLabels(dataset, raw, labels);
  for (Dataset::Column &column : dataset.columns) {
    if (column.field.encoder != Encoder::Tokens)
      continue;
    column.tokens = raw.hasIds ? tableOf(raw) : tokenize(raw.texts, options.modelPath, options.maxLength, options.helper, dataset.truncated);
    checkIds(dataset, column.tokens, options);
    dataset.lengths.clear();
    for (int64_t row = 0; row < column.tokens.rows; ++row)
      dataset.lengths.push_back(column.tokens.offsets[row + 1] - column.tokens.offsets[row]);
  }
  loadImages(dataset, raw, options);
  for (const Dataset::Column &tokens : dataset.columns)
    for (Dataset::Column &column : dataset.columns)
      if (tokens.field.encoder == Encoder::Tokens && column.field.encoder == Encoder::Targets)
        makeTargets(dataset, tokens.tokens, raw, column);
  for (int64_t row = 0; row < dataset.size(); ++row)
    if (dataset.lengths[static_cast<size_t>(row)] == 0)
      throw RuntimeError("R0134", at(path, dataset.lines[static_cast<size_t>(row)]) + "the row has no tokens", "leave it out");
  return dataset;
}

Batch Dataset::pack(const std::vector<int64_t> &rows) const {
  Batch batch;
  int64_t total = 0;
  for (const int64_t row : rows) {
    batch.lengths.push_back(lengths[static_cast<size_t>(row)]);
    total += batch.lengths.back();
  }
  const auto count = static_cast<int64_t>(rows.size());
  const TokenTable *tokens = nullptr;
  for (const Column &column : columns)
    if (column.field.encoder == Encoder::Tokens)
      tokens = &column.tokens;
  for (const Column &column : columns) {
    at::Tensor values;
    if (column.field.encoder == Encoder::Image) {
      values = packImages(column, rows);
    } else if (column.field.encoder == Encoder::Targets) {
      values = at::empty({total}, at::kLong);
      int64_t *next = values.data_ptr<int64_t>();
      for (const int64_t row : rows)
        next = std::copy(column.targets.begin() + tokens->offsets[row], column.targets.begin() + tokens->offsets[row + 1], next);
    } else if (column.field.encoder == Encoder::Tokens) {
      values = at::empty({total}, at::kLong);
      int64_t *next = values.data_ptr<int64_t>();
      for (const int64_t row : rows)
        for (int64_t place = column.tokens.offsets[row]; place < column.tokens.offsets[row + 1]; ++place)
          *next++ = column.tokens.ids[place];
    } else if (column.field.encoder == Encoder::Class) {
      values = at::empty({count}, at::kLong);
      for (int64_t index = 0; index < count; ++index)
        values.data_ptr<int64_t>()[index] = column.classes[static_cast<size_t>(rows[static_cast<size_t>(index)])];
    } else {
      values = at::empty({count}, at::kFloat);
      for (int64_t index = 0; index < count; ++index)
        values.data_ptr<float>()[index] = column.numbers[static_cast<size_t>(rows[static_cast<size_t>(index)])];
    }
    batch.columns[column.field.name] = values;
  }
  return batch;
}

} // namespace peftrt
