// Merge: an ordinary Hugging Face checkpoint of the merged model, which transformers loads.
//
// Written to a temporary folder and renamed: the folder appears whole or not at all.
// Errs   R0202 the spec does not merge: site, operation and line; R0118 the folder exists; R0117 a write failed
#include "runtime/modes/Merged.h"
#include "runtime/checkpoint/AtomicFile.h"
#include "runtime/modes/Modes.h"
#include "runtime/modes/Output.h"
#include "runtime/bundle/Errors.h"
#include <ATen/ATen.h>
#include <algorithm>
#include <cstdio>
#include <filesystem>

namespace peftrt {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

const std::vector<std::string> kFilesBeside = {"preprocessor_config.json", "tokenizer.json", "tokenizer_config.json", "vocab.txt", "vocab.json", "merges.txt", "special_tokens_map.json", "added_tokens.json",
                                                  "tokenizer.model", "spiece.model", "sentencepiece.bpe.model", "chat_template.jinja", "generation_config.json"};

std::string withPrefix(const std::string &name, const std::string &prefix) { return name.compare(0, prefix.size(), prefix) == 0 ? name : prefix + name; }

/// Whether the architecture's names have the prefix where they need it: then it is nowhere added.
bool namesAreWhole(const json &parameters, const std::string &prefix) {
  return std::any_of(parameters.begin(), parameters.end(), [&](const json &parameter) {
    return parameter.at("role") == "base" && !prefix.empty() && parameter.at("checkpoint").get<std::string>().compare(0, prefix.size(), prefix) == 0;
  });
}

/// Every tensor of the merged checkpoint, under the names that the merged class reads.
std::map<std::string, at::Tensor> checkpointOf(const Session &session) {
  const ParameterStore merged = mergedStore(session);
  const std::string own = session.model->prefix(), prefix = namesAreWhole(session.manifest().at("parameters"), own) ? "" : own;
  std::map<std::string, at::Tensor> tensors;
  const bool headed = !prefix.empty() && session.model->isHeaded(session.manifest().at("parameters"));
  for (const std::string &name : session.model->unused(session.manifest().at("parameters")))
    if (!headed || name.rfind(prefix, 0) == 0) // else of a head that the merged class does not have
      tensors[withPrefix(name, prefix)] = session.model->loadStored(name);
  for (const json &parameter : session.manifest().at("parameters")) {
    if (!parameter.contains("checkpoint") || !parameter["checkpoint"].is_string())
      continue; // an adapter's own parameter: folded into the others
    const std::string stored = parameter["checkpoint"], written = parameter.at("role") == "base" ? withPrefix(stored, prefix) : stored;
    if (!parameter.contains("stored")) {
      tensors[written] = merged.get(parameter.at("name"));
      continue;
    }
    at::Tensor &whole = tensors[written]; // of which others may be parts too
    if (!whole.defined())
      whole = session.model->loadStored(session.model->storedNameOf(stored)).to(at::kFloat, /*non_blocking=*/false, /*copy=*/true);
    partOf(whole, parameter).copy_(merged.get(parameter.at("name")));
  }
  return tensors;
}

json configOf(const Session &session) {
  const json &model = session.manifest().at("model");
  json config = model.at("config");
  config["architectures"] = json::array({model.at("merged_class")});
  config["torch_dtype"] = "float32";
  for (const RowField &field : rowFieldsOf(session.manifest())) {
    if (isInput(field.encoder) || field.encoder == Encoder::Targets || field.encoder == Encoder::Choice)
      continue;
    const int64_t classes = field.encoder == Encoder::Number ? 1 : field.classes;
    json id2label = json::object(), label2id = json::object();
    for (int64_t index = 0; index < classes; ++index) {
      const std::string name = session.labels.empty() ? "LABEL_" + std::to_string(index) : session.labels.nameOf(index);
      id2label[std::to_string(index)] = name;
      label2id[name] = index;
    }
    config["id2label"] = id2label;
    config["label2id"] = label2id;
    config["num_labels"] = classes;
    if (field.encoder != Encoder::Classes) // a class a token has no name there
      config["problem_type"] = field.encoder == Encoder::Class ? "single_label_classification" : "regression";
  }
  return config;
}

int merge(Bundle bundle, const Arguments &arguments, const Surroundings &surroundings) {
  const std::string out = newFolderName(arguments.need("out"));
  if (const std::string why = whyNotMergeable(bundle.manifest); !why.empty())
    throw RuntimeError("R0202", why, "predict and eval run it unmerged");
  const SessionOptions options = trainedSessionOptions(arguments, surroundings);
  const auto session = openSession(std::move(bundle), options);
  reportUntrained(options);
  makeWholeFolder(out, [&](const std::string &folder) {
    writeSafetensors(folder + "/model.safetensors", checkpointOf(*session), {{"format", "pt"}});
    writeFileAtomically(folder + "/config.json", configOf(*session).dump(2) + "\n");
    for (const std::string &name : kFilesBeside)
      if (fs::exists(session->modelPath + "/" + name))
        writeFileAtomically(folder + "/" + name, MappedFile::open(session->modelPath + "/" + name)->text());
  });
  const std::string mergedClass = session->manifest().at("model").at("merged_class");
  if (arguments.has("json"))
    printJson({{"out", out}, {"class", mergedClass}});
  else
    std::fprintf(stderr, "merged checkpoint: %s (%s)\n", out.c_str(), mergedClass.c_str());
  return 0;
}

} // namespace

Mode mergeMode() {
  ModeSpec spec{"merge", "write an ordinary Hugging Face checkpoint with the adapters folded in", "[RUN]", {
      {"out", "DIR", "folder of the checkpoint"},
      {"init", "FILE", "an adapter file instead of RUN's"},
      {"json", "", "print a JSON report"}}};
  for (const auto &option : sessionOptions())
    spec.options.push_back(option);
  return {spec, merge};
}

} // namespace peftrt
