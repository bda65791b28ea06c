// Evaluation: see Evaluation.h.
#include "runtime/modes/Evaluation.h"
#include "runtime/bundle/Errors.h"
#include <ATen/ATen.h>
#include <chrono>
#include <cmath>
#include <cstdio>

namespace peftrt {

/// Metrics that are made of sums over all rows: each is a program of its own.
static void addMetricsOfTotals(const Session &session, const std::map<std::string, at::Tensor> &totals, Evaluation &evaluation) {
  for (const auto &metric : session.manifest().at("metrics")) {
    const std::string name = metric, program = "metric." + name, prefix = "total." + name + ".";
    if (!session.hasProgram(program))
      continue;
    std::map<std::string, at::Tensor> inputs;
    for (const auto &[total, value] : totals)
      if (total.rfind(prefix, 0) == 0)
        inputs[total] = value;
    evaluation.values[name] = session.executor->run(program, Batch{}, inputs, {session.options.seed, 0, 0}).at(name).item<double>();
  }
}

Evaluation evaluate(const Session &session, const Dataset &dataset) {
  const auto start = std::chrono::steady_clock::now();
  const auto rows = static_cast<size_t>(dataset.size());
  std::map<std::string, std::vector<double>> columns; // in row order, so that the sums do not depend on the batches
  std::vector<double> counts(rows, 1.0);
  for (const auto &batch : planByLength(dataset.lengths, session.options.batching())) {
    RandomState random;
    random.seed = session.options.seed;
    const Results results = session.executor->run("eval", dataset.pack(batch), {}, random);
    for (const auto &[name, value] : results) {
      const bool metric = name.rfind("metric.", 0) == 0, total = name.rfind("total.", 0) == 0;
      if (!metric && !total && name != "loss" && name != "count")
        continue;
      const at::Tensor column = value.to(at::kDouble).contiguous();
      if (column.numel() != static_cast<int64_t>(batch.size()))
        throw RuntimeError("R0102", "the program `eval` gives " + std::to_string(column.numel()) + " numbers of `" + name + "` for " + std::to_string(batch.size()) + " rows", "this is a bug of peftc");
      std::vector<double> &target = name == "count" ? counts : columns[metric ? name.substr(7) : name];
      target.resize(rows);
      for (size_t index = 0; index < batch.size(); ++index)
        target[static_cast<size_t>(batch[index])] = column.data_ptr<double>()[index];
    }
  }
  for (size_t row = 0; row < columns["loss"].size(); ++row)
    if (!std::isfinite(columns["loss"][row]))
      throw RuntimeError("R0201", "the loss of " + dataset.path + ":" + std::to_string(dataset.lines[row]) + " is " + (std::isnan(columns["loss"][row]) ? "nan" : std::to_string(columns["loss"][row])), "the run has diverged: a lower lr, a longer warm-up or clip = 1.0 usually helps");
  Evaluation evaluation;
  double targets = 0;
  for (const double count : counts)
    targets += count;
  std::map<std::string, at::Tensor> totals;
  for (const auto &[name, column] : columns) {
    double sum = 0;
    for (const double value : column)
      sum += value;
    if (name.rfind("total.", 0) == 0)
      totals[name] = at::full({}, sum, at::kFloat);
    else
      evaluation.values[name] = sum / (name == "loss" ? targets : static_cast<double>(rows));
  }
  addMetricsOfTotals(session, totals, evaluation);
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
    std::fprintf(stderr, "note: %lld of %lld rows of `%s` are longer than max_length = %lld tokens and were cut\n", static_cast<long long>(dataset.truncated),
                 static_cast<long long>(dataset.size()), dataset.path.c_str(), static_cast<long long>(maxLength));
}

} // namespace peftrt
