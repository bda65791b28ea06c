// Merged: base weights with the adapters folded in, as the `merge` program computes them.
#pragma once
#include "runtime/modes/Session.h"

namespace peftrt {

/// Behind the name of a program: the network without its attaches, which merged weights are run by.
constexpr const char *kBase = "_base";
constexpr const char *kBasePredict = "predict_base";

/// Null, or why the run cannot be merged: the first site, the operation, its line.
std::string whyNotMergeable(const nlohmann::json &manifest);
/// New values of base parameters, by parameter name; fp32.
std::map<std::string, at::Tensor> mergedWeights(const Session &session);
/// The session's parameters with the merged ones in their place.
ParameterStore mergedStore(const Session &session);

/// What is run on what was trained: merged weights where the spec merges, unless the adapters are asked for as they are.
class Inference {
public:
  Inference(const Session &session, bool unmerged);
  bool merged() const { return own_ != nullptr; }
  /// The program of that name for these weights.
  std::string programOf(const std::string &name) const { return name + (merged() ? kBase : ""); }
  Executor &executor() const { return own_ ? *own_ : *session_.executor; }

private:
  const Session &session_;
  ParameterStore store_;
  std::unique_ptr<Executor> own_;
};

} // namespace peftrt
