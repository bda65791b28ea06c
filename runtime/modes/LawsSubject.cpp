// LawsSubject: a trainer with parameters away from where most laws hold for nothing, and rows made of the manifest.
#include "runtime/cpu/Philox.h"
#include "runtime/modes/Laws.h"
#include "runtime/bundle/Errors.h"
#include <ATen/ATen.h>
#include <algorithm>
#include <cmath>
#include <fstream>

namespace peftrt::laws {
namespace {

using nlohmann::json;

const std::vector<int64_t> kLengths = {5, 1, 8, 3}; ///< no two alike, and the shortest there is

enum Stream : uint32_t { kParameters = 1u << 16, kTokens = 2u << 16, kTargets = 3u << 16 };

double uniformNumber(uint64_t seed, uint32_t stream, uint64_t place) {
  float number = 0;
  fillRandom({seed, stream, 0, 0, RandomRate::init, Distribution::uniform}, place, 1, &number);
  return number;
}

int64_t naturalBelow(uint64_t seed, uint32_t stream, uint64_t place, int64_t end) {
  return std::min<int64_t>(static_cast<int64_t>(uniformNumber(seed, stream, place) * static_cast<double>(end)), end - 1);
}

json idsOf(const Subject &subject, uint32_t stream, uint64_t place, int64_t least) {
  const int64_t vocab = subject.session->manifest().at("model").at("vocab").get<int64_t>();
  json ids = json::array();
  for (int64_t token = 0; token < std::max(least, kLengths[place % kLengths.size()]); ++token)
    ids.push_back(naturalBelow(subject.seed, stream, place * 64 + static_cast<uint64_t>(token), vocab));
  return ids;
}

/// One row of data as `train` would read it, of at least so many tokens, and as many as the network needs.
json rowOf(const Subject &subject, int64_t row, int64_t least = 1) {
  least = std::max(least, leastLengthOf(subject.bundle));
  json line = json::object();
  uint32_t column = 0;
  for (const RowField &field : rowFieldsOf(subject.session->manifest())) {
    const auto place = static_cast<uint64_t>(row);
    ++column;
    if (field.encoder == Encoder::Targets)
      continue; // a row that says nothing of them: all its tokens
    if (field.encoder == Encoder::Answer) {
      line[field.ofIds] = idsOf(subject, kTokens + column, place + 1, least); // as long as another row's text
      continue;
    }
    if (field.encoder == Encoder::Choices) {
      for (int64_t choice = 0; choice < field.classes; ++choice)
        line["input_ids"].push_back(idsOf(subject, kTokens + column, place * static_cast<uint64_t>(field.classes) + static_cast<uint64_t>(choice), least));
    } else if (isText(field.encoder)) {
      line["input_ids"] = idsOf(subject, kTokens + column, place, least);
    } else if (field.encoder == Encoder::Image) {
      for (int64_t pixel = 0; pixel < field.image.pixels(); ++pixel)
        line["pixel_values"].push_back(4 * uniformNumber(subject.seed, kTokens + column, place * static_cast<uint64_t>(field.image.pixels()) + static_cast<uint64_t>(pixel)) - 2);
    } else if (field.encoder == Encoder::Classes) {
      json classes = json::array(); // the second of them, and every fourth behind it, is not to be learned
      for (uint64_t token = 0; token < line.at("input_ids").size(); ++token)
        classes.push_back(token % 4 == 1 ? kNoTarget : naturalBelow(subject.seed, kTargets + column, place * 64 + token, field.classes));
      line[field.ofIds] = classes;
    } else if (field.encoder == Encoder::Class || field.encoder == Encoder::Choice || field.encoder == Encoder::Index) {
      line[field.field] = naturalBelow(subject.seed, kTargets + column, place, field.classes);
    } else {
      line[field.field] = 4 * uniformNumber(subject.seed, kTargets + column, place) - 2;
    }
  }
  return line;
}

/// The numbers of a list, or of the lists in it, or the number itself.
void appendNumbers(const json &value, std::vector<double> &numbers) {
  if (!value.is_array())
    return numbers.push_back(value.get<double>());
  for (const json &entry : value)
    appendNumbers(entry, numbers);
}

/// How many tokens each of the row's examples has.
void appendLengths(const std::vector<RowField> &fields, const json &row, std::vector<int64_t> &lengths) {
  for (const RowField &field : fields)
    if (field.encoder == Encoder::Image)
      lengths.push_back(field.image.patches());
    else if (field.encoder == Encoder::Choices)
      for (const json &ids : row.at("input_ids"))
        lengths.push_back(static_cast<int64_t>(ids.size()));
    else if (isText(field.encoder))
      lengths.push_back(static_cast<int64_t>(row.at("input_ids").size()));
}

/// A second text, which targets are then of.
const RowField *answerIn(const std::vector<RowField> &fields) {
  const auto found = std::find_if(fields.begin(), fields.end(), [](const RowField &field) { return field.encoder == Encoder::Answer; });
  return found == fields.end() ? nullptr : &*found;
}

/// What a batch holds of a row: as it is read, or its patches, or what stands before each token of an answer.
void appendRow(const RowField &field, const RowField *answer, const json &row, int64_t examples, std::vector<double> &values) {
  if (answer && (field.encoder == Encoder::Answer || field.encoder == Encoder::Targets)) {
    std::vector<double> ids = row.at(answer->ofIds).get<std::vector<double>>();
    if (field.encoder == Encoder::Answer) {
      ids.insert(ids.begin(), static_cast<double>(field.start));
      ids.pop_back();
    }
    values.insert(values.end(), ids.begin(), ids.end());
    return;
  }
  if (field.encoder == Encoder::Image) {
    std::vector<float> patches(static_cast<size_t>(field.image.pixels()));
    toPatches(field.image, [&](int64_t, int64_t place) { return row.at("pixel_values").at(static_cast<size_t>(place)).get<float>(); }, patches.data());
    values.insert(values.end(), patches.begin(), patches.end());
    return;
  }
  const bool ids = isText(field.encoder) || field.encoder == Encoder::Targets, classes = field.encoder == Encoder::Classes;
  for (int64_t example = 0; example < (ids || classes ? 1 : examples); ++example)
    appendNumbers(row.at(ids ? "input_ids" : classes ? field.ofIds : field.field), values);
}

Batch batchOf(const Subject &subject) {
  const std::vector<RowField> fields = rowFieldsOf(subject.session->manifest());
  int64_t examples = 1; // of a row
  for (const RowField &field : fields)
    examples = field.encoder == Encoder::Choices ? field.classes : examples;
  Batch batch;
  const RowField *answer = answerIn(fields);
  if (answer)
    batch.others.resize(1);
  std::vector<json> rows;
  for (int64_t row = 0; row < std::max<int64_t>(2, static_cast<int64_t>(kLengths.size()) / examples); ++row) {
    rows.push_back(rowOf(subject, row));
    appendLengths(fields, rows.back(), batch.lengths);
    if (answer)
      batch.others[0].lengths.push_back(static_cast<int64_t>(rows.back().at(answer->ofIds).size()));
  }
  for (const RowField &field : fields) {
    std::vector<double> values;
    for (const json &row : rows)
      appendRow(field, answer, row, examples, values);
    batch.columns[field.name] = at::tensor(values, at::kDouble).to(field.encoder == Encoder::Number || field.encoder == Encoder::Image ? at::kFloat : at::kLong);
  }
  return batch;
}

/// Far enough from the start that every path carries numbers, and small enough that none saturates.
void randomise(Subject &subject) {
  uint32_t stream = kParameters;
  for (const std::string &name : subject.trainables()) {
    const at::Tensor value = subject.session->parameters.get(name);
    const double spread = value.dim() < 2 ? 0.3 : 1 / std::sqrt(static_cast<double>(value.size(-1)));
    const double size = value.numel() == 0 ? 0 : value.to(at::kDouble).pow(2).mean().sqrt().item<double>();
    value.add_((normalNumbers(subject.seed, ++stream, value.sizes()) * std::max(spread, 0.3 * size)).to(at::kFloat));
  }
}

} // namespace

at::Tensor normalNumbers(uint64_t seed, uint32_t stream, at::IntArrayRef shape) {
  const at::Tensor numbers = at::empty(shape, at::kFloat);
  fillRandom({seed, stream, 0, 0, RandomRate::init, Distribution::normal}, 0, numbers.numel(), numbers.data_ptr<float>());
  return numbers.to(at::kDouble);
}

ParameterStore Subject::exact(bool atStart) const {
  ParameterStore store;
  for (const json &parameter : session->manifest().at("parameters")) {
    const std::string name = parameter.at("name");
    store.set(name, (atStart ? initial.at(name) : session->parameters.get(name)).to(at::kCPU, at::kDouble).clone());
  }
  return store;
}

std::vector<std::string> Subject::trainables() const {
  std::vector<std::string> names;
  for (const json &parameter : session->manifest().at("parameters"))
    if (parameter.value("trainable", false))
      names.push_back(parameter.at("name"));
  return names;
}

json Subject::parameter(const std::string &name) const {
  for (const json &parameter : session->manifest().at("parameters"))
    if (parameter.at("name") == name)
      return parameter;
  throw RuntimeError("R0102", "the manifest has no parameter `" + name + "`", "");
}

Results Subject::run(Executor &executor, const std::string &program, const std::map<std::string, at::Tensor> &tensors) const {
  Results copies;
  for (const auto &[name, value] : executor.run(program, batch, tensors, random))
    copies[name] = value.to(at::kDouble).clone();
  return copies;
}

Subject makeSubject(Bundle bundle, const SessionOptions &options, const Surroundings &surroundings, uint64_t seed, const std::string &scratch) {
  Subject subject{std::move(bundle), options, surroundings, seed, scratch, nullptr, {}, {}, {}};
  subject.options.overrides["max_length"] = std::to_string(std::max(leastLengthOf(subject.bundle), *std::max_element(kLengths.begin(), kLengths.end())));
  subject.options.overrides["seed"] = std::to_string(seed);
  subject.random.seed = seed;
  subject.session = openLoadedSession(subject.bundle, subject.options);
  for (const json &parameter : subject.session->manifest().at("parameters"))
    subject.initial[parameter.at("name")] = subject.session->parameters.get(parameter.at("name")).clone();
  randomise(subject);
  subject.batch = batchOf(subject);
  return subject;
}

std::string writeRows(const Subject &subject, int64_t count) {
  const std::string path = subject.scratch + "/rows.jsonl";
  std::ofstream file(path);
  for (int64_t row = 0; row < count; ++row)
    file << rowOf(subject, row, /*least=*/2).dump() << "\n"; // a lone token may have nothing to be predicted from
  if (!file.flush())
    throw RuntimeError("R0117", "cannot write `" + path + "`", "");
  return path;
}

} // namespace peftrt::laws
