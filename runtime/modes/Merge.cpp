// Merge: an ordinary Hugging Face checkpoint of the merged model, which transformers loads.
//
// Written to a temporary folder and renamed: the folder appears whole or not at all.
// Errs   R0202 the spec does not merge: site, operation and line; R0118 the folder exists; R0117 a write failed
#include "runtime/modes/Merged.h"
#include "runtime/checkpoint/AtomicFile.h"
#include "runtime/modes/Modes.h"
#include "runtime/modes/Output.h"
#include "runtime/bundle/Errors.h"
#include "runtime/plan/Device.h"
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

/// The merged checkpoint, written a tensor at a time: of all that is held in memory at once, a merged weight and what it is made of are the most.
class MergedCheckpoint {
public:
  explicit MergedCheckpoint(const Session &session) : session_(session), model_(*session.model), parameters_(session.manifest().at("parameters")), merged_(mergedNames(session)) {
    const std::string own = model_.prefix(), prefix = namesAreWhole(parameters_, own) ? "" : own;
    const bool headed = !prefix.empty() && model_.isHeaded(parameters_);
    for (const std::string &name : model_.unused(parameters_))
      if (!headed || name.rfind(prefix, 0) == 0) // else of a head that the merged class does not have
        plan(withPrefix(name, prefix), model_.loadStored(name)).stored = name;
    for (const json &parameter : parameters_) {
      if (!parameter.contains("checkpoint") || !parameter["checkpoint"].is_string())
        continue; // an adapter's own parameter: folded into the others
      const bool isBase = parameter.at("role") == "base";
      const std::string name = parameter.at("checkpoint"), stored = isBase ? model_.storedNameOf(name) : "";
      Written &tensor = isBase ? plan(withPrefix(name, prefix), model_.loadStored(stored)) : plan(name, session.parameters.get(parameter.at("name")));
      tensor.stored = stored; // of a new one none: the folder may have an unused tensor of its name
      tensor.parameter = parameter.at("name");
      if (merged_.count(parameter.at("name")))
        tensor.parts[parameter.at("name")] = &parameter;
    }
  }

  void write(const std::string &path) {
    SafetensorsWriter writer(path, planned_, {{"format", "pt"}});
    std::map<std::string, std::pair<const std::string, Written> *> places; // by merged parameter
    for (auto &entry : tensors_) {
      for (const auto &part : entry.second.parts)
        places[part.first] = &entry;
      if (entry.second.parts.empty())
        writer.put(entry.first, entry.second.stored.empty() ? session_.device().onHost(session_.parameters.get(entry.second.parameter)) : model_.loadStored(entry.second.stored));
    }
    eachMerged(session_, [&](const std::string &name, const at::Tensor &value) {
      const auto place = places.find(name);
      if (place != places.end())
        put(writer, place->second->first, place->second->second, name, value);
    });
    writer.commit();
  }

private:
  /// A tensor of the new file: the checkpoint's, or else a parameter's, with its merged parts.
  struct Written {
    std::string stored, parameter;
    std::map<std::string, const json *> parts; ///< that are still to come
    at::Tensor whole;                          ///< between its first part and its last
  };

  Written &plan(const std::string &name, const at::Tensor &like) {
    planned_[name] = {like.scalar_type(), like.sizes().vec()};
    return tensors_[name];
  }

  void put(SafetensorsWriter &writer, const std::string &name, Written &tensor, const std::string &part, const at::Tensor &value) {
    const json &parameter = *tensor.parts.at(part);
    tensor.parts.erase(part);
    if (!parameter.contains("stored"))
      return writer.put(name, value);
    if (!tensor.whole.defined())
      tensor.whole = model_.loadStored(tensor.stored).to(at::kFloat, /*non_blocking=*/false, /*copy=*/true);
    partOf(tensor.whole, parameter).copy_(value);
    if (!tensor.parts.empty())
      return;
    writer.put(name, tensor.whole);
    tensor.whole = at::Tensor();
  }

  const Session &session_;
  const ModelFolder &model_;
  const json &parameters_;
  std::set<std::string> merged_;
  std::map<std::string, Written> tensors_;
  std::map<std::string, SafetensorsWriter::Planned> planned_;
};

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
  SessionOptions options = trainedSessionOptions(arguments, surroundings);
  options.readsOnce = true;
  const auto session = openLoadedSession(std::move(bundle), options);
  reportUntrained(options);
  makeWholeFolder(out, [&](const std::string &folder) {
    MergedCheckpoint(*session).write(folder + "/model.safetensors");
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
