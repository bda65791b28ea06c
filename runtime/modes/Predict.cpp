// Predict: a line per row, in the rows' order: label and probabilities, or a value. To --out, or to standard output.
//
// Runs on merged weights where the spec merges; --unmerged and unmergeable specs run the
// adapters as they are. The report says which.
#include "runtime/modes/Evaluation.h"
#include "runtime/modes/Merged.h"
#include "runtime/modes/Modes.h"
#include "runtime/modes/Output.h"
#include "runtime/bundle/Errors.h"
#include <ATen/ATen.h>
#include <chrono>
#include <cstdio>
#include <numeric>

namespace peftrt {
namespace {

using nlohmann::json;

/// One output row, from one row of logits.
json describe(const at::Tensor &logits, const RowField *target, const Labels &labels) {
  if (!target || target->encoder != Encoder::Class) {
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
    all[labels.nameOf(index)] = data[index];
  }
  return {{"label", labels.nameOf(best)}, {"probability", data[best]}, {"probabilities", all}};
}

Value typeOfLogits(const Bundle &bundle, const std::string &name) {
  for (const Program &program : programsOf(bundle.programs))
    if (program.name == name)
      for (const NamedValue &result : program.results)
        if (result.name == "logits")
          return program.values.at(static_cast<size_t>(result.value));
  throw RuntimeError("R0102", "the program `" + name + "` gives no logits", "this is a bug of peftc");
}

/// [rows, …]: each row's logits, or, where each token has some, those of its last one.
at::Tensor ofRows(const at::Tensor &logits, const Value &type, const Batch &batch) {
  if (!type.ragged())
    return logits.reshape({batch.examples(), -1});
  if (type.dims.size() != 2 || !type.dims[0].ragged() || type.dims[1].ragged())
    throw RuntimeError("R0102", "logits are neither a row's nor a token's", "this is a bug of peftc");
  const at::Tensor table = logits.reshape({-1, type.dims[1].c});
  std::vector<int64_t> last;
  int64_t end = 0;
  for (const int64_t length : batch.lengths)
    last.push_back((end += type.dims[0].at(length)) - 1);
  return table.index_select(0, at::tensor(last, at::kLong));
}

/// A row whose tokens each have logits: what is most probable after the last one.
json describeLast(const at::Tensor &logits) {
  const at::Tensor probabilities = at::softmax(logits, 0);
  const int64_t best = probabilities.argmax().item<int64_t>();
  return {{"next", best}, {"probability", probabilities[best].item<double>()}};
}

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
  reportUntrained(options);
  const bool merged = !arguments.has("unmerged") && whyNotMergeable(session->manifest()).empty();
  std::optional<ParameterStore> store;
  std::unique_ptr<Executor> executor;
  if (merged) {
    store.emplace(mergedStore(*session));
    executor = session->makeExecutor(*store);
  }
  const std::vector<RowField> fields = rowFieldsOf(session->manifest());
  const RowField *target = nullptr;
  for (const RowField &field : fields)
    if (field.encoder == Encoder::Class || field.encoder == Encoder::Number)
      target = &field;
  const Value type = typeOfLogits(session->bundle, merged ? kBasePredict : "predict");
  using Clock = std::chrono::steady_clock;
  const auto secondsSince = [](Clock::time_point when) { return std::chrono::duration<double>(Clock::now() - when).count(); };
  const Clock::time_point start = Clock::now();
  std::vector<Turn> turns;
  std::vector<std::string> lines(static_cast<size_t>(dataset.size()));
  for (const auto &batch : batchesOf(dataset, session->options.batching(), arguments.has("in-order"))) {
    const Clock::time_point began = Clock::now();
    const Batch packed = dataset.pack(batch);
    const Results results = (executor ? *executor : *session->executor).run(merged ? kBasePredict : "predict", packed, {}, {session->options.seed, 0, 0});
    const at::Tensor logits = ofRows(results.at("logits"), type, packed).to(at::kDouble).contiguous();
    if (!logits.isfinite().all().item<bool>())
      throw RuntimeError("R0201", "the logits of rows of `" + data + "` are not finite", "the run has diverged: train again with a lower lr");
    for (size_t index = 0; index < batch.size(); ++index)
      lines[static_cast<size_t>(batch[index])] = (type.ragged() ? describeLast(logits[static_cast<int64_t>(index)]) : describe(logits[static_cast<int64_t>(index)], target, session->labels)).dump() + "\n";
    const int64_t tokens = std::accumulate(batch.begin(), batch.end(), int64_t{0}, [&](int64_t sum, int64_t row) { return sum + dataset.lengths[static_cast<size_t>(row)]; });
    turns.push_back({tokens, secondsSince(began)});
  }
  const double seconds = secondsSince(start);
  writeLines(out, lines);
  reportProfile(executor ? *executor : *session->executor);
  if (arguments.has("json"))
    printJson({{"rows", dataset.size()}, {"tokens", dataset.tokens()}, {"truncated", dataset.truncated}, {"merged", merged}, {"seconds", seconds}, {"batches", reportOf(turns)}, {"out", out}});
  else
    std::fprintf(stderr, "%lld rows to %s (%s weights, %.0f tokens/s)\n", static_cast<long long>(dataset.size()), out.empty() ? "standard output" : out.c_str(), merged ? "merged" : "unmerged",
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
