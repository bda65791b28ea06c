// Eval: loss and metrics of a run (or of the initial parameters) on a file.
#include "runtime/modes/Evaluation.h"
#include "runtime/modes/Modes.h"
#include "runtime/modes/Output.h"
#include <cstdio>

namespace peftrt {
namespace {

int eval(Bundle bundle, const Arguments &arguments, const Surroundings &surroundings) {
  const std::string data = arguments.need("data");
  const SessionOptions options = trainedSessionOptions(arguments, surroundings);
  const auto session = openSession(std::move(bundle), options);
  const Dataset dataset = session->read(data);
  reportTruncation(dataset, session->options.maxLength);
  session->load();
  reportUntrained(options);
  const Evaluation evaluation = evaluate(*session, dataset);
  reportProfile(*session->executor);
  if (arguments.has("json")) {
    nlohmann::json report = {{"rows", evaluation.rows}, {"tokens", evaluation.tokens}, {"truncated", evaluation.truncated}, {"seconds", evaluation.seconds}};
    for (const auto &[name, value] : evaluation.values)
      report[name] = value;
    printJson(report);
  } else {
    std::printf("%s  (%lld rows, %.0f tokens/s)\n", evaluationText(evaluation).c_str(), static_cast<long long>(evaluation.rows),
                static_cast<double>(evaluation.tokens) / evaluation.seconds);
  }
  return 0;
}

} // namespace

Mode evalMode() {
  ModeSpec spec{"eval", "loss and metrics on labelled rows", "[RUN]", {
      {"data", "FILE", "rows with labels"},
      {"init", "FILE", "an adapter file instead of RUN's"},
      {"json", "", "print one JSON object"},
      {"set", "NAME=VALUE", "override a run option (run.batch, run.max_length)", true}}};
  for (const auto &option : sessionOptions())
    spec.options.push_back(option);
  return {spec, eval};
}

} // namespace peftrt
