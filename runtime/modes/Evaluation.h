// Evaluation: mean loss and metrics of a dataset: means over rows, or numbers made of all rows.
#pragma once
#include "runtime/modes/Session.h"
#include <map>
#include <string>

namespace peftrt {

struct Evaluation {
  std::map<std::string, double> values; ///< "loss" and every metric
  int64_t rows = 0, tokens = 0, truncated = 0;
  double seconds = 0;
};

/// Loss is averaged over targets (`count`), metrics over rows. Errs R0201 a loss that is not finite.
Evaluation evaluate(const Session &session, const Dataset &dataset);
/// The bundle's program of that name, if it has one.
std::optional<Program> programNamed(const Bundle &bundle, const std::string &name);
/// A metric that is made of all rows: `totals`, sums over them, and `rows`, one row's entries after the other's, both by their names in `eval`.
double metricOfAll(const Program &metric, Executor &executor, const std::map<std::string, at::Tensor> &totals, const std::map<std::string, at::Tensor> &rows, const RandomState &random);
/// "loss 0.4210  accuracy 0.8300"
std::string evaluationText(const Evaluation &evaluation);
/// Says on stderr how many rows were cut at max_length.
void reportTruncation(const Dataset &dataset, int64_t maxLength);

} // namespace peftrt
