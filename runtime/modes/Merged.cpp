// Merged: see Merged.h.
#include "runtime/modes/Merged.h"
#include "runtime/modes/Evaluation.h"
#include "runtime/plan/Device.h"
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

std::set<std::string> mergedNames(const Session &session) {
  std::set<std::string> names;
  if (const std::optional<Program> program = programNamed(session.bundle, "merge"))
    for (const NamedValue &result : program->results)
      names.insert(result.name);
  return names;
}

void eachMerged(const Session &session, const Taker &take) {
  std::map<std::string, std::vector<int64_t>> shapes;
  for (const json &parameter : session.manifest().at("parameters"))
    shapes[parameter.at("name")] = parameter.at("shape").get<std::vector<int64_t>>();
  RandomState random;
  random.seed = session.initSeed;
  session.executor->stream("merge", random, [&](const std::string &name, const at::Tensor &value) { take(name, value.to(at::kFloat).reshape(shapes.at(name))); });
}

/// Merged weights take their bases' places. The program reads a weight before it gives the merged one, and no weight twice: the store may be the session's own.
static void mergeInto(ParameterStore &store, const Session &session) {
  eachMerged(session, [&](const std::string &name, const at::Tensor &value) { store.set(name, session.device().here(value.clone())); });
}

ParameterStore mergedStore(const Session &session) {
  ParameterStore store = session.parameters;
  mergeInto(store, session);
  return store;
}

Inference::Inference(Session &session, bool unmerged) : session_(session), merged_(!unmerged && whyNotMergeable(session.manifest()).empty()) {
  if (!merged_)
    return;
  mergeInto(session.parameters, session);
  session.executor = session.makeExecutor(session.parameters); // which has made nothing of the weights as they were
}

} // namespace peftrt
