// Predictions: see Predictions.h.
#include "runtime/modes/Predictions.h"
#include "runtime/bundle/Errors.h"
#include "runtime/data/TextHelper.h"
#include "runtime/modes/Evaluation.h"
#include <ATen/ATen.h>

namespace peftrt {
namespace {

using nlohmann::json;

/// None where the program gives what follows instead.
std::optional<Value> typeOfLogits(const Bundle &bundle, const std::string &name) {
  bool next = false;
  if (const std::optional<Program> program = programNamed(bundle, name))
    for (const NamedValue &result : program->results) {
      if (result.name == "logits")
        return program->values.at(static_cast<size_t>(result.value));
      next |= result.name == "next";
    }
  if (!next)
    throw RuntimeError("R0102", "the program `" + name + "` gives no logits", "this is a bug of peftc");
  return std::nullopt;
}

void checkFinite(const at::Tensor &values, const Dataset &dataset) {
  if (!values.isfinite().all().item<bool>())
    throw RuntimeError("R0201", "the logits of rows of `" + dataset.path + "` are not finite", "the run has diverged: train again with a lower lr");
}

/// Of each text what follows it, and how well its own tokens were predicted, where any is to be.
std::vector<json> ofTexts(const Results &results, const Dataset &dataset, int64_t rows) {
  const at::Tensor next = results.at("next").reshape({rows, -1}).to(at::kDouble), losses = results.at("loss").reshape({rows}).to(at::kDouble);
  checkFinite(next, dataset);
  checkFinite(losses, dataset);
  const auto [most, best] = at::softmax(next, 1).max(1);
  const auto counted = results.find("count"); // else each row is one target
  std::vector<json> said;
  for (int64_t row = 0; row < rows; ++row) {
    const double count = counted == results.end() ? 1 : counted->second.reshape({rows}).to(at::kDouble)[row].item<double>();
    json line = {{"tokens", static_cast<int64_t>(count)}, {"next", best[row].item<int64_t>()}, {"probability", most[row].item<double>()}};
    if (count > 0) {
      const double loss = losses[row].item<double>() / count;
      line["loss"] = loss;
      line["perplexity"] = std::exp(loss);
    }
    said.push_back(line);
  }
  return said;
}

} // namespace

Predictions::Predictions(const Session &session, const std::string &program) : session_(session), type_(typeOfLogits(session.bundle, program)) {
  for (const RowField &field : rowFieldsOf(session.manifest())) {
    classes_ = classes_ || field.encoder == Encoder::Class;
    choices_ = choices_ || field.encoder == Encoder::Choice;
  }
  if (type_ && type_->ragged() && (type_->dims.size() != 2 || !type_->dims[0].ragged() || type_->dims[1].ragged()))
    throw RuntimeError("R0102", "logits are neither a row's nor a token's", "this is a bug of peftc");
}

std::vector<json> Predictions::of(const Results &results, const Dataset &dataset, const std::vector<int64_t> &rows) const {
  if (!type_)
    return ofTexts(results, dataset, static_cast<int64_t>(rows.size()));
  const Value &type = *type_;
  const at::Tensor all = results.at("logits").to(at::kDouble).contiguous();
  checkFinite(all, dataset);
  const auto token = results.find("token");
  const Dataset::Column *text = nullptr;
  for (const Dataset::Column &column : dataset.columns)
    text = isText(column.field.encoder) ? &column : text;
  const int64_t examples = dataset.examplesOfRow; // of which the first one speaks for all
  const at::Tensor table = type.ragged() ? all.reshape({-1, type.dims[1].c}) : all.reshape({static_cast<int64_t>(rows.size()) * examples, -1});
  std::vector<json> said;
  int64_t begin = 0;
  for (const int64_t row : rows)
    for (int64_t example = 0; example < examples; ++example) {
      const int64_t tokens = dataset.lengthOf(row, example, type.ragged() ? type.dims[0].sequence : 0), length = type.ragged() ? type.dims[0].at(tokens) : 1;
      const at::Tensor own = table.narrow(0, begin, length);
      if (example == 0)
        said.push_back(!type.ragged() ? ofRow(own[0]) : ofWords(own, token->second.reshape({-1}).narrow(0, begin, length), *text, row, tokens));
      begin += length;
    }
  return said;
}

/// Beside the token before it: many tokenizers write a word's space only where it is not the first.
void Predictions::spellNext(std::vector<json> &lines, const Dataset &dataset) const {
  if (type_ || !dataset.fromText || lines.empty())
    return;
  const Dataset::Column *text = dataset.answers();
  for (const Dataset::Column &column : dataset.columns)
    text = !text && isText(column.field.encoder) ? &column : text;
  std::vector<TokenIds> ids;
  for (int64_t row = 0; row < dataset.size(); ++row) {
    const int64_t next = lines[static_cast<size_t>(row)].at("next"), begin = text->tokens.offsets[row], end = text->tokens.offsets[row + 1];
    const TokenIds before = end > begin ? TokenIds{text->tokens.ids[end - 1]} : TokenIds{};
    ids.push_back(before);
    ids.push_back(before);
    ids.back().push_back(next);
    ids.push_back({next});
  }
  const std::vector<std::string> texts = TextHelper(session_.helper, session_.modelPath).decode(ids);
  for (size_t row = 0; row < lines.size(); ++row) {
    const std::string &before = texts[3 * row], &both = texts[3 * row + 1], &alone = texts[3 * row + 2];
    const bool goesOn = both.compare(0, before.size(), before) == 0; // else the two are parts of one character
    lines[row]["next_text"] = goesOn ? both.substr(before.size()) : alone;
  }
}

json Predictions::ofRow(const at::Tensor &logits) const {
  if (choices_) {
    const at::Tensor probabilities = at::softmax(logits, 0);
    const int64_t best = probabilities.argmax().item<int64_t>();
    const double *data = probabilities.data_ptr<double>();
    return {{"choice", best}, {"probability", data[best]}, {"probabilities", std::vector<double>(data, data + probabilities.numel())}};
  }
  if (!classes_) {
    if (logits.numel() == 1)
      return {{"value", logits.data_ptr<double>()[0]}};
    json values = json::array();
    for (int64_t index = 0; index < logits.numel(); ++index)
      values.push_back(logits.data_ptr<double>()[index]);
    return {{"values", values}};
  }
  const at::Tensor probabilities = at::softmax(logits, 0);
  const double *data = probabilities.data_ptr<double>();
  int64_t best = 0;
  json all = json::object();
  for (int64_t index = 0; index < probabilities.numel(); ++index) {
    best = data[index] > data[best] ? index : best;
    all[session_.labels.nameOf(index)] = data[index];
  }
  return {{"label", session_.labels.nameOf(best)}, {"probability", data[best]}, {"probabilities", all}};
}

/// A label for each word, or id; null for those that were cut.
json Predictions::ofWords(const at::Tensor &logits, const at::Tensor &tokens, const Dataset::Column &text, int64_t row, int64_t length) const {
  const auto [most, best] = at::softmax(logits, 1).max(1);
  const auto words = static_cast<size_t>(text.words.empty() ? length : text.words[static_cast<size_t>(row)]);
  std::vector<json> names(words), probabilities(words);
  for (int64_t place = 0; place < tokens.numel(); ++place) {
    const int64_t token = tokens[place].item<int64_t>(), word = token < 0 ? -1 : text.wordOf(row, token);
    if (word < 0)
      continue;
    names[static_cast<size_t>(word)] = session_.labels.nameOf(best[place].item<int64_t>());
    probabilities[static_cast<size_t>(word)] = most[place].item<double>();
  }
  return {{"labels", names}, {"probabilities", probabilities}};
}

} // namespace peftrt
