// Merged: see Merged.h.
#include "runtime/modes/Merged.h"
#include <ATen/ATen.h>

namespace peftrt {

using nlohmann::json;

std::string whyNotMergeable(const json &manifest) {
  const json &merge = manifest.at("merge");
  if (merge.at("possible").get<bool>())
    return {};
  for (const json &site : merge.value("sites", json::array()))
    if (!site.value("reason", "").empty())
      return "`" + site.value("site", "?") + "` cannot be merged: " + site.value("reason", "");
  return merge.value("reason", std::string("an attach has no merge"));
}

std::map<std::string, at::Tensor> mergedWeights(const Session &session) {
  RandomState random;
  random.seed = session.initSeed;
  std::map<std::string, at::Tensor> merged;
  for (const auto &[name, value] : session.executor->run("merge", Batch{}, {}, random))
    merged[name] = value.to(at::kFloat).reshape(session.parameters.get(name).sizes()).clone();
  return merged;
}

ParameterStore mergedStore(const Session &session) {
  const auto merged = mergedWeights(session);
  ParameterStore store;
  store.flat = session.parameters.flat;
  for (const json &parameter : session.manifest().at("parameters")) {
    const std::string name = parameter.at("name");
    const auto found = merged.find(name);
    store.set(name, found == merged.end() ? session.parameters.get(name) : found->second);
  }
  return store;
}

Inference::Inference(const Session &session, bool unmerged) : session_(session) {
  if (unmerged || !whyNotMergeable(session.manifest()).empty())
    return;
  store_ = mergedStore(session);
  own_ = session.makeExecutor(store_);
}

} // namespace peftrt
