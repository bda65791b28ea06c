// Inspect: loss, logits and gradients of one batch, for whoever debugs a method.
//
// All rows of the file are one batch in file order; the programs `train_step` and `inspect` run once as in step 0 of training, dropout
// included. Writes `loss` (mean), `logits`, `grad.<parameter>` of the mean loss, and `frozen.<parameter>`, which no file holds.
#include "runtime/modes/Evaluation.h"
#include "runtime/plan/Device.h"
#include "runtime/modes/Modes.h"
#include "runtime/modes/Output.h"
#include <ATen/ATen.h>
#include <cstdio>
#include <numeric>

namespace peftrt {
namespace {

int inspect(Bundle bundle, const Arguments &arguments, const Surroundings &surroundings) {
  const std::string data = arguments.need("data"), out = arguments.need("out");
  const SessionOptions options = trainedSessionOptions(arguments, surroundings);
  const auto session = openSession(std::move(bundle), options);
  refuseInputAsOutput(out, data, options, session->modelPath);
  const Dataset dataset = session->read(data);
  reportTruncation(dataset, session->options.maxLength);
  session->load();
  std::vector<int64_t> rows(static_cast<size_t>(dataset.size()));
  std::iota(rows.begin(), rows.end(), int64_t{0});
  const Batch batch = dataset.pack(rows);
  const RandomState random{session->options.seed, 0, 0};
  std::map<std::string, at::Tensor> written;
  written["logits"] = session->executor->run("inspect", batch, {}, random).at("logits").clone(); // results are valid until the next run
  const Results results = session->executor->run("train_step", batch, {}, random);
  const auto count = results.find("count");
  const double targets = count == results.end() ? static_cast<double>(batch.examples()) : count->second.sum().item<double>();
  written["loss"] = (results.at("loss").to(at::kDouble).sum() / targets).reshape({});
  for (const auto &[name, value] : results)
    if (name.rfind("grad.", 0) == 0)
      written[name] = (value.to(at::kDouble) / targets).reshape(session->parameters.get(name.substr(5)).sizes());
  for (const auto &parameter : session->manifest().at("parameters")) {
    const std::string name = parameter.at("name");
    if (parameter.at("role") == "frozen")
      written["frozen." + name] = session->device().onHost(session->parameters.get(name));
    if (parameter.value("trainable", false) && !written.count("grad." + name))
      written["grad." + name] = at::zeros(session->parameters.get(name).sizes(), at::kFloat); // the loss does not depend on it
  }
  writeSafetensors(out, written, {{"format", "pt"}});
  if (arguments.has("json"))
    printJson({{"loss", written["loss"].item<double>()}, {"rows", batch.examples()}, {"tokens", batch.tokens()}, {"truncated", dataset.truncated}, {"out", out}});
  else
    std::printf("loss %.9g  (%lld rows, %lld tokens) to `%s`\n", written["loss"].item<double>(), static_cast<long long>(batch.examples()), static_cast<long long>(batch.tokens()), out.c_str());
  return 0;
}

} // namespace

Mode inspectMode() {
  ModeSpec spec{"inspect", "loss, logits and gradients of one batch, as safetensors", "[RUN]", {
      {"data", "FILE", "rows with labels: one batch, in file order"},
      {"out", "FILE", "safetensors file: loss, logits, grad.<parameter>, frozen.<parameter>"},
      {"init", "FILE", "an adapter file instead of RUN's"},
      {"json", "", "print a JSON report"},
      {"set", "NAME=VALUE", "override a run option (run.seed, run.max_length)", true}}};
  for (const auto &option : sessionOptions())
    spec.options.push_back(option);
  return {spec, inspect};
}

} // namespace peftrt
