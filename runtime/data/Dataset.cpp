// Dataset: see Dataset.h.
#include "runtime/data/Dataset.h"
#include "runtime/checkpoint/MappedFile.h"
#include "runtime/data/ReadRow.h"
#include "runtime/data/Records.h"
#include "runtime/bundle/Errors.h"
#include "runtime/bundle/Json.h"
#include <ATen/ATen.h>
#include <algorithm>
#include <filesystem>
#include <functional>
#include <numeric>
#include <set>

namespace peftrt {
namespace {

using nlohmann::json;

/// One target a token; each row has one behind its first token, where it must.
void makeTargets(const Dataset &dataset, const TokenTable &tokens, const RawRows &raw, const ReadOptions &options, Dataset::Column &column) {
  const int64_t maxLength = options.maxLength;
  for (int64_t row = 0; row < tokens.rows; ++row) {
    const std::vector<int64_t> &given = raw.targets[static_cast<size_t>(row)];
    const int64_t begin = tokens.offsets[row], length = tokens.offsets[row + 1] - begin;
    bool any = false;
    for (int64_t place = 0; place < length; ++place) {
      const bool learned = !tokens.learned || tokens.learned[begin + place];
      const int64_t own = given.empty() ? (learned ? tokens.ids[begin + place] : kNoTarget) : given[static_cast<size_t>(place)];
      column.targets.push_back(own);
      any |= place > 0 && own >= 0;
    }
    if (!any && options.targets)
      throw RuntimeError("R0134", at(dataset.path, dataset.lines[static_cast<size_t>(row)]) + "none of the row's " + (length == maxLength ? "first " : "") + std::to_string(length) + " tokens is to be predicted" +
                                      (length == maxLength ? ", and max_length = " + std::to_string(maxLength) + " cuts what is behind them" : ""),
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

TokenTable tableOf(RawTexts &raw) {
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

/// Second texts: their tokens count with the first ones', and are what is to be predicted.
void readAnswers(Dataset &dataset, RawRows &raw, const ReadOptions &options) {
  for (Dataset::Column &column : dataset.columns) {
    if (column.field.encoder != Encoder::Answer)
      continue;
    const bool isText = options.targets && raw.hasTexts;
    column.tokens = isText ? tokenize(raw.answers.texts, options.modelPath, options.maxLength, options.helper, dataset.truncated, [&](int64_t row) { return at(dataset.path, dataset.lines[static_cast<size_t>(row)]); }) : tableOf(raw.answers);
    checkIds(dataset, column.tokens, options);
    for (int64_t row = 0; row < dataset.size(); ++row) {
      if (options.targets && column.lengthOf(row) == 0)
        throw RuntimeError("R0134", at(dataset.path, dataset.lines[static_cast<size_t>(row)]) + "`" + column.field.field + "` has no tokens", "leave the row out");
      dataset.lengths[static_cast<size_t>(row)] += dataset.lengthOf(row, 0, 1);
    }
  }
  if (const Dataset::Column *answers = dataset.answers())
    for (Dataset::Column &column : dataset.columns)
      if (column.field.encoder == Encoder::Targets)
        column.targets.assign(answers->tokens.ids, answers->tokens.ids + answers->tokens.offsets[dataset.size()]);
}

void loadImages(Dataset &dataset, const RawRows &raw, const ReadOptions &options) {
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

/// The row whose words the `place`-th of all words is one of.
size_t rowOfEntry(const Dataset &dataset, int64_t place) {
  size_t row = 0;
  for (const Dataset::Column &column : dataset.columns)
    if (column.field.encoder == Encoder::Words)
      while (place >= column.words[row])
        place -= column.words[row++];
  return row;
}

void numberLabels(Dataset &dataset, const RawRows &raw, Labels &labels) {
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
      field.messages = name(5);
      field.tools = name(6);
    } else if (encoder == "image") {
      field.encoder = Encoder::Image;
      field.image = {args.at(1), args.at(2), args.at(3), args.at(4)};
    } else if (encoder == "answer") {
      field.encoder = Encoder::Answer;
      field.ofIds = args.at(1);
      field.start = args.at(2);
    } else if (encoder == "words") {
      field.encoder = Encoder::Words;
    } else if (encoder == "choices") {
      field.encoder = Encoder::Choices;
      field.choices = args.at(1);
      field.classes = args.at(2);
    } else if (encoder == "choice") {
      field.encoder = Encoder::Choice;
      field.classes = args.at(1);
    } else if (encoder == "index") {
      field.encoder = Encoder::Index;
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

/// Calls `visit` for every row of a file, or of a folder of images.
static void forEachRow(const std::string &path, const std::vector<RowField> &fields, const Visit &visit) {
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
    visit(++line, row, {});
  });
}

int64_t Dataset::tokens() const { return std::accumulate(lengths.begin(), lengths.end(), int64_t{0}); }

const Dataset::Column *Dataset::answers() const {
  for (const Column &column : columns)
    if (column.field.encoder == Encoder::Answer)
      return &column;
  return nullptr;
}

int64_t Dataset::lengthOf(int64_t row, int64_t example, int64_t sequence) const {
  if (sequence > 0) // of an answer that is not known the place before its first token
    return std::max<int64_t>(1, answers()->lengthOf(row));
  for (const Column &column : columns)
    if (isText(column.field.encoder))
      return column.lengthOf(row * examplesOfRow + example);
    else if (column.field.encoder == Encoder::Image)
      return column.field.image.patches();
  throw RuntimeError("R0102", "rows without text and image", "this is a bug of peftc");
}

Dataset readDataset(const std::string &path, const std::vector<RowField> &fields, const ReadOptions &options, Labels &labels) {
  Dataset dataset;
  dataset.path = path;
  std::error_code unreadable; // then opening it says why
  const bool isFolder = std::any_of(fields.begin(), fields.end(), [](const RowField &field) { return field.encoder == Encoder::Image; }) && std::filesystem::is_directory(path, unreadable);
  dataset.contentHash = isFolder ? fingerprint("folder") : fingerprint(MappedFile::open(path)->text());
  RawRows raw;
  raw.labels.resize(fields.size());
  for (const RowField &field : fields) {
    dataset.examplesOfRow = field.encoder == Encoder::Choices ? field.classes : dataset.examplesOfRow;
    if (isInput(field.encoder) || field.encoder == Encoder::Targets || options.targets)
      dataset.columns.push_back({field, {}, {}, {}, {}, {}, {}, {}});
  }
  forEachRow(path, fields, [&](int64_t line, const json &row, std::string_view text) {
    if (isFolder)
      dataset.contentHash = fingerprint(row.dump(), dataset.contentHash);
    dataset.lines.push_back(line);
    readRow(row, text, options, dataset, raw);
  });
  numberLabels(dataset, raw, labels);
  for (Dataset::Column &column : dataset.columns) {
    if (!isText(column.field.encoder))
      continue;
    dataset.fromText |= !raw.hasIds;
    column.tokens = raw.hasIds ? tableOf(raw) : tokenize(raw.texts, options.modelPath, options.maxLength, options.helper, dataset.truncated, [&](int64_t text) { return at(path, dataset.lines[static_cast<size_t>(text / dataset.examplesOfRow)]); });
    checkIds(dataset, column.tokens, options);
    dataset.lengths.clear();
    for (int64_t row = 0; row < column.tokens.rows / dataset.examplesOfRow; ++row)
      dataset.lengths.push_back(column.tokens.offsets[(row + 1) * dataset.examplesOfRow] - column.tokens.offsets[row * dataset.examplesOfRow]);
  }
  readAnswers(dataset, raw, options);
  loadImages(dataset, raw, options);
  for (const Dataset::Column &text : dataset.columns)
    for (Dataset::Column &column : dataset.columns)
      if (isText(text.field.encoder) && column.field.encoder == Encoder::Targets && !dataset.answers())
        makeTargets(dataset, text.tokens, raw, options, column);
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

/// What stands before each token of these rows' answers.
static at::Tensor packAnswers(const Dataset &dataset, const Dataset::Column &column, const std::vector<int64_t> &rows, int64_t total) {
  const at::Tensor packed = at::empty({total}, at::kLong);
  int64_t *next = packed.data_ptr<int64_t>();
  for (const int64_t row : rows) {
    *next++ = column.field.start;
    const int32_t *own = column.tokens.ids + column.tokens.offsets[row];
    next = std::copy(own, own + dataset.lengthOf(row, 0, 1) - 1, next);
  }
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
  const int64_t tokens = batch.tokens();
  const Column *second = answers();
  int64_t answered = 0;
  if (second) {
    Batch::Sequence &sequence = batch.others.emplace_back();
    for (const int64_t row : rows)
      answered += sequence.lengths.emplace_back(lengthOf(row, 0, 1));
  }
  for (const Column &column : columns) {
    at::Tensor &values = batch.columns[column.field.name];
    if (column.field.encoder == Encoder::Answer)
      values = packAnswers(*this, column, rows, answered);
    else if (column.field.encoder == Encoder::Targets && second)
      values = perToken(column.targets.data(), second->tokens.offsets, rows, examplesOfRow, answered);
    else if (column.field.encoder == Encoder::Image)
      values = packImages(column, rows);
    else if (isText(column.field.encoder))
      values = perToken(column.tokens.ids, offsets, rows, examplesOfRow, tokens);
    else if (column.field.encoder == Encoder::Targets || column.field.encoder == Encoder::Classes)
      values = perToken(column.targets.data(), offsets, rows, examplesOfRow, tokens);
    else if (column.field.encoder == Encoder::Number)
      values = perExample(column.numbers, rows, examplesOfRow, at::kFloat);
    else
      values = perExample(column.classes, rows, examplesOfRow, at::kLong);
  }
  return batch;
}

} // namespace peftrt
