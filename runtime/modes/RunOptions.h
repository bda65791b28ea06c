// RunOptions: the manifest's `run` with a command line's overrides, validated once.
//
// Errs   R0150 an option that is unknown, of the wrong type, out of range, or compiled in
#pragma once
#include "runtime/data/Batching.h"
#include "runtime/modes/Arguments.h"
#include <nlohmann/json.hpp>
#include <string>

namespace peftrt {

struct RunOptions {
  int64_t epochs = 1;
  int64_t batch = 32;          ///< examples of a micro-batch
  int64_t tokensPerBatch = 0;  ///< 0: count examples
  int64_t maxLength = 0;
  int64_t accumulate = 1;      ///< micro-batches of an optimizer step
  uint64_t seed = 0;
  double clip = 0;             ///< 0: no clipping
  int64_t evalEvery = 0;       ///< steps; 0: at the end of each epoch
  int64_t saveEvery = 0;       ///< steps; 0: every 20 seconds
  int64_t patience = 0;        ///< evaluations without improvement; 0: never stop early
  bool shuffle = true;
  std::string best = "loss:min"; ///< which evaluation decides what is best

  BatchingOptions batching() const { return {batch, tokensPerBatch, shuffle}; }
  nlohmann::json toJson() const;
};

/// `overrides`: name → text, without `run.`.
RunOptions runOptionsOf(const nlohmann::json &manifest, const std::map<std::string, std::string> &overrides);
/// --set run.X=Y and the short forms (--epochs, --batch, --seed, …).
std::map<std::string, std::string> overridesOf(const Arguments &arguments);
/// The options for ModeSpec that `overridesOf` reads.
std::vector<OptionSpec> overrideOptions();

} // namespace peftrt
