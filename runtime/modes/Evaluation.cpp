// Evaluation: see Evaluation.h.
#include "runtime/modes/Evaluation.h"
#include "runtime/bundle/Errors.h"
#include <ATen/ATen.h>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <functional>

namespace peftrt {

namespace {

/// What `eval` gives of each row under one name; whole numbers too.
using Column = std::vector<std::vector<double>>;

/// Elements of one example's block, its sequences being as long as `length` says.
int64_t elementsOf(const Value &value, const std::function<int64_t(int64_t)> &length) {
  int64_t elements = 1;
  for (const Dim &dim : value.dims)
    elements *= dim.ragged() ? dim.at(length(dim.sequence)) : dim.c;
  return elements;
}

bool begins(const std::string &name, const char *word) { return name.rfind(word, 0) == 0; }

/// In the rows' order, so that no sum depends on the batches.
double sumOf(const Column &column) {
  double sum = 0;
  for (const std::vector<double> &row : column)
    for (const double value : row)
      sum += value;
  return sum;
}

at::Tensor joined(const Column &column) {
  std::vector<double> values;
  for (const std::vector<double> &row : column)
    values.insert(values.end(), row.begin(), row.end());
  return at::tensor(values, at::kDouble);
}

void keep(const at::Tensor &value, const Value &type, const Dataset &dataset, const std::vector<int64_t> &batch, const std::string &name, Column &column) {
  column.resize(static_cast<size_t>(dataset.size()));
  const at::Tensor flat = value.reshape({-1}).to(at::kDouble).contiguous();
  const double *next = flat.data_ptr<double>(), *end = next + flat.numel();
  for (const int64_t row : batch) {
    int64_t count = 0;
    for (int64_t example = 0; example < dataset.examplesOfRow; ++example)
      count += elementsOf(type, [&](int64_t sequence) { return dataset.lengthOf(row, example, sequence); });
    if (end - next < count)
      throw RuntimeError("R0102", "the program `eval` gives " + std::to_string(flat.numel()) + " numbers of `" + name + "` for " + std::to_string(batch.size()) + " rows", "this is a bug of peftc");
    column[static_cast<size_t>(row)].assign(next, next + count);
    next += count;
  }
}

/// What `eval` gives of all rows, by name; of logits nothing is kept.
std::map<std::string, Column> columnsOf(const Session &session, const Dataset &dataset) {
  std::map<std::string, Column> columns;
  const std::optional<Program> program = programNamed(session.bundle, "eval");
  const HeldParameters held(*session.executor);
  for (const auto &batch : planByLength(dataset.lengths, session.options.batching())) {
    RandomState random;
    random.seed = session.options.seed;
    const Results results = session.executor->run("eval", dataset.pack(batch), {}, random);
    for (const NamedValue &result : program->results)
      if (const std::string &name = result.name; name == "loss" || name == "count" || begins(name, "metric.") || begins(name, "total.") || begins(name, "rows."))
        keep(results.at(name), program->values[static_cast<size_t>(result.value)], dataset, batch, name, columns[name]);
  }
  return columns;
}

} // namespace

std::optional<Program> programNamed(const Bundle &bundle, const std::string &name) {
  nlohmann::json found = {{"programs", nlohmann::json::array()}}; // the others need not be parsed
  for (const nlohmann::json &program : bundle.programs.value().at("programs"))
    if (program.at("name") == name)
      found["programs"].push_back(program);
  const std::vector<Program> programs = programsOf(found);
  return programs.empty() ? std::nullopt : std::optional(programs.front());
}

double metricOfAll(const Program &metric, Executor &executor, const std::map<std::string, at::Tensor> &totals, const std::map<std::string, at::Tensor> &rows, const RandomState &random) {
  Batch all; // as if it were one example, of as many tokens as there are entries
  for (const NamedValue &input : metric.inputs)
    if (const Value &type = metric.values[static_cast<size_t>(input.value)]; type.perExample) {
      all.columns[input.name] = rows.at(input.name);
      all.lengths = {rows.at(input.name).numel() / elementsOf(type, [](int64_t) { return 1; })};
    }
  return executor.run(metric.name, all, totals, random).begin()->second.item<double>();
}

Evaluation evaluate(const Session &session, const Dataset &dataset) {
  const auto start = std::chrono::steady_clock::now();
  std::map<std::string, Column> columns = columnsOf(session, dataset);
  const Column &losses = columns["loss"];
  for (size_t row = 0; row < losses.size(); ++row)
    if (const double loss = losses[row][0]; !std::isfinite(loss))
      throw RuntimeError("R0201", "the loss of " + dataset.path + ":" + std::to_string(dataset.lines[row]) + " is " + (std::isnan(loss) ? "nan" : std::to_string(loss)), "the run has diverged: a lower lr, a longer warm-up or clip = 1.0 usually helps");
  Evaluation evaluation;
  const auto examples = static_cast<double>(dataset.size() * dataset.examplesOfRow);
  evaluation.values["loss"] = sumOf(losses) / (columns.count("count") ? sumOf(columns["count"]) : examples);
  std::map<std::string, at::Tensor> totals, all;
  for (const auto &[name, column] : columns)
    if (begins(name, "metric."))
      evaluation.values[name.substr(7)] = sumOf(column) / examples;
    else if (begins(name, "total."))
      totals[name] = at::full({}, sumOf(column), at::kFloat);
    else if (begins(name, "rows."))
      all[name] = joined(column);
  for (const auto &name : session.manifest().at("metrics"))
    if (const auto program = programNamed(session.bundle, "metric." + name.get<std::string>()))
      evaluation.values[name.get<std::string>()] = metricOfAll(*program, *session.executor, totals, all, {session.options.seed, 0, 0});
  evaluation.rows = dataset.size();
  evaluation.tokens = dataset.tokens();
  evaluation.truncated = dataset.truncated;
  evaluation.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return evaluation;
}

std::string evaluationText(const Evaluation &evaluation) {
  std::string text;
  for (const auto &[name, value] : evaluation.values) {
    char number[64];
    std::snprintf(number, sizeof number, "%s %.4f", name.c_str(), value);
    text = name == "loss" ? number + std::string(text.empty() ? "" : "  ") + text : text + (text.empty() ? "" : "  ") + number;
  }
  return text;
}

void reportTruncation(const Dataset &dataset, int64_t maxLength) {
  if (dataset.truncated > 0)
    std::fprintf(stderr, "note: %lld of %lld %s of `%s` are longer than max_length = %lld tokens and were cut\n", static_cast<long long>(dataset.truncated),
                 static_cast<long long>(dataset.size() * dataset.examplesOfRow), dataset.examplesOfRow > 1 ? "texts" : "rows", dataset.path.c_str(), static_cast<long long>(maxLength));
}

} // namespace peftrt
