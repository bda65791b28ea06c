// Merged: base weights with the adapters folded in, as the `merge` program computes them.
#pragma once
#include "runtime/modes/Session.h"
#include <set>

namespace peftrt {

/// Behind the name of a program: the network without its attaches, which merged weights are run by.
constexpr const char *kBase = "_base";
constexpr const char *kBasePredict = "predict_base";

/// Null, or why the run cannot be merged: the first site, the operation, its line.
std::string whyNotMergeable(const nlohmann::json &manifest);
/// Names of the base parameters that merging changes.
std::set<std::string> mergedNames(const Session &session);
/// Their new values, one after another: fp32, in the parameter's shape, valid until `take` returns.
void eachMerged(const Session &session, const Taker &take);
/// The session's parameters with the merged ones in their place.
ParameterStore mergedStore(const Session &session);

/// What is run on what was trained: merged weights where the spec merges, unless the adapters are asked for as they are.
class Inference {
public:
  /// Merged weights take the place of the session's: nothing holds both.
  Inference(Session &session, bool unmerged);
  bool merged() const { return merged_; }
  /// The program of that name for these weights.
  std::string programOf(const std::string &name) const { return name + (merged() ? kBase : ""); }
  Executor &executor() const { return *session_.executor; }

private:
  Session &session_;
  bool merged_ = false;
};

} // namespace peftrt
