// Merged: base weights with the adapters folded in, as the `merge` program computes them.
#pragma once
#include "runtime/modes/Session.h"

namespace peftrt {

/// Program of the network without its attaches: what merged weights are run by.
constexpr const char *kBasePredict = "predict_base";

/// Null, or why the run cannot be merged: the first site, the operation, its line.
std::string whyNotMergeable(const nlohmann::json &manifest);
/// New values of base parameters, by parameter name; fp32.
std::map<std::string, at::Tensor> mergedWeights(const Session &session);
/// The session's parameters with the merged ones in their place.
ParameterStore mergedStore(const Session &session);

} // namespace peftrt
