// Predict: a line per row, in the rows' order (Predictions.h says what it holds). To --out, or to standard output.
//
// Runs on merged weights where the spec merges; --unmerged and unmergeable specs run the
// adapters as they are. The report says which.
#include "runtime/modes/Evaluation.h"
#include "runtime/modes/Merged.h"
#include "runtime/modes/Modes.h"
#include "runtime/modes/Output.h"
#include "runtime/modes/Predictions.h"
#include "runtime/bundle/Errors.h"
#include <ATen/ATen.h>
#include <chrono>
#include <cstdio>
#include <numeric>

namespace peftrt {
namespace {

using nlohmann::json;

/// A batch's tokens, and the seconds that it took.
struct Turn {
  int64_t tokens;
  double seconds;
};

json reportOf(const std::vector<Turn> &turns) {
  json all = json::array();
  for (const Turn &turn : turns)
    all.push_back({{"tokens", turn.tokens}, {"seconds", turn.seconds}});
  return all;
}

std::vector<std::string> textOf(const std::vector<json> &lines) {
  std::vector<std::string> texts;
  for (const json &line : lines)
    texts.push_back(line.dump(-1, ' ', false, json::error_handler_t::replace) + "\n"); // a token may end within a character
  return texts;
}

/// Longest first, or as they lie in the file.
RowBatches batchesOf(const Dataset &dataset, BatchingOptions options, bool inOrder) {
  options.shuffle = false;
  return inOrder ? planEpoch(dataset.lengths, options, 0, 0) : planByLength(dataset.lengths, options);
}

int predict(Bundle bundle, const Arguments &arguments, const Surroundings &surroundings) {
  const std::string data = arguments.need("data"), out = arguments.get("out");
  if (arguments.has("json") && out.empty())
    throw UsageError{"--json needs --out", "without it the predictions themselves go to standard output"};
  const SessionOptions options = trainedSessionOptions(arguments, surroundings);
  const auto session = openSession(std::move(bundle), options);
  if (!out.empty())
    refuseInputAsOutput(out, data, options, session->modelPath);
  const Dataset dataset = session->read(data, /*targets=*/false);
  reportTruncation(dataset, session->options.maxLength);
  session->load();
  reportUntrained(options);
  const Inference inference(*session, arguments.has("unmerged"));
  const std::string program = inference.programOf("predict");
  const Predictions predictions(*session, program);
  const HeldParameters held(inference.executor());
  using Clock = std::chrono::steady_clock;
  const auto secondsSince = [](Clock::time_point when) { return std::chrono::duration<double>(Clock::now() - when).count(); };
  const Clock::time_point start = Clock::now();
  std::vector<Turn> turns;
  std::vector<json> lines(static_cast<size_t>(dataset.size()));
  for (const auto &batch : batchesOf(dataset, session->options.batching(), arguments.has("in-order"))) {
    const Clock::time_point began = Clock::now();
    const Batch packed = dataset.pack(batch);
    const Results results = inference.executor().run(program, packed, {}, {session->options.seed, 0, 0});
    std::vector<json> said = predictions.of(results, dataset, batch);
    for (size_t index = 0; index < batch.size(); ++index)
      lines[static_cast<size_t>(batch[index])] = std::move(said[index]);
    const int64_t tokens = std::accumulate(batch.begin(), batch.end(), int64_t{0}, [&](int64_t sum, int64_t row) { return sum + dataset.lengths[static_cast<size_t>(row)]; });
    turns.push_back({tokens, secondsSince(began)});
  }
  const double seconds = secondsSince(start);
  predictions.spellNext(lines, dataset);
  writeLines(out, textOf(lines));
  reportProfile(inference.executor());
  if (arguments.has("json"))
    printJson({{"rows", dataset.size()}, {"tokens", dataset.tokens()}, {"truncated", dataset.truncated}, {"merged", inference.merged()}, {"seconds", seconds}, {"batches", reportOf(turns)}, {"out", out}});
  else
    std::fprintf(stderr, "%lld rows to %s (%s weights, %.0f tokens/s)\n", static_cast<long long>(dataset.size()), out.empty() ? "standard output" : out.c_str(), inference.merged() ? "merged" : "unmerged",
                 static_cast<double>(dataset.tokens()) / seconds);
  return 0;
}

} // namespace

Mode predictMode() {
  ModeSpec spec{"predict", "labels or values for rows without targets", "[RUN]", {
      {"data", "FILE", "rows"},
      {"out", "FILE", "predictions, one JSON object a row (else to standard output)"},
      {"in-order", "", "batches of neighbours in the file, not of like lengths"},
      {"unmerged", "", "run the adapters even where they merge"},
      {"init", "FILE", "an adapter file instead of RUN's"},
      {"json", "", "print a JSON report"},
      {"set", "NAME=VALUE", "override a run option (run.batch, run.max_length)", true}}};
  for (const auto &option : sessionOptions())
    spec.options.push_back(option);
  return {spec, predict};
}

} // namespace peftrt
