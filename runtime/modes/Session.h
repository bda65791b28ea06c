// Session: an opened trainer: bundle, model weights, trainables in one flat buffer, executor.
//
// Every mode starts by opening one, which reads headers; then come rows, if the mode has any, and only then weights: a mistake in rows is said before gigabytes are
// read. Trainable parameters are views into `parameters.flat`.
#pragma once
#include "runtime/bundle/Format.h"
#include "runtime/checkpoint/ModelFolder.h"
#include "runtime/checkpoint/RunFolder.h"
#include "runtime/data/Dataset.h"
#include "runtime/modes/Arguments.h"
#include "runtime/modes/RunOptions.h"
#include "runtime/plan/Executor.h"
#include <memory>
#include <optional>

namespace peftrt {

/// What main() found out about the machine.
struct Surroundings {
  std::string python, cacheFolder;
  std::string products;  ///< whose matrix products are asked for, or empty
  std::string cpuTarget; ///< the variant of the generated code that is asked for, or empty
  std::string torchCuda; ///< LibTorch's library for CUDA, `none` for none; empty: the one beside libtorch_cpu.so
  std::string graphs;    ///< `on` (also where empty) or `off`
  std::string gemms;     ///< who chooses how a GPU's products are done: `own` (also where empty), or `library`: LibTorch's
  std::string cublasLt;  ///< cuBLASLt's library; empty: the one that LibTorch's for CUDA has loaded
  std::string gemmFolder; ///< where it is kept which algorithms were the fastest
};

struct SessionOptions {
  std::string model;      ///< --model, or empty
  std::string adapter;    ///< file to load over the initial parameters, or empty
  std::string run;        ///< run folder whose labels and options hold, or empty
  std::map<std::string, std::string> overrides;
  bool reference = false, referenceFp32 = false;
  bool readsOnce = false;   ///< the checkpoint's weights: none is kept that is not as the file has it
  bool sameWeights = false; ///< refuse an adapter of other base weights, rather than say so
  HelperOptions helper;
  PlanOptions plan;      ///< its device is chosen when the session opens
  std::string device = "cpu", torchCuda; ///< --device
  std::string cublasLt, gemmFolder;
  bool ownGemms = true;  ///< PEFT_GEMMS
};

struct Session {
  Bundle bundle;
  RunOptions options;
  std::string modelPath;
  std::optional<ModelFolder> model;
  ParameterStore parameters;
  std::unique_ptr<Executor> executor;
  Labels labels;
  HelperOptions helper;
  bool reference = false, referenceFp32 = false;
  PlanOptions plan;
  std::string weights;   ///< fingerprint of the checkpoint's tensors
  uint64_t initSeed = 0; ///< from which `init` made the parameters; frozen ones can be made again only from it
  std::optional<SafetensorsFile> adapter; ///< what `load` reads over the initial parameters
  bool readsOnce = false;                 ///< of SessionOptions

  Device &device() const { return *plan.device; }
  const nlohmann::json &manifest() const { return bundle.manifest; }
  bool hasProgram(const std::string &name) const;
  /// Whether it says what follows a token.
  bool writesOn() const { return hasProgram("prefill") || hasProgram("next"); }
  /// How many token ids there are, and how long a text may be; 0: the model does not say.
  int64_t vocabulary() const;
  int64_t positions() const;
  Dataset read(const std::string &path, bool targets = true);
  /// The checkpoint's weights, an executor, what `init` makes, the adapter.
  void load();
  /// What an adapter file holds: every parameter that is neither the checkpoint's nor re-made from the seed.
  std::map<std::string, at::Tensor> saved() const;
  std::map<std::string, std::string> adapterMetadata() const;
  /// What a run's record says of the trainer, the checkpoint and the options; a mode adds where its numbers come from.
  nlohmann::json runRecord() const;
  /// Copies a file's or checkpoint's tensors into the parameters. Errs R0116 names or shapes differ; `where` names the source.
  void restore(const std::map<std::string, at::Tensor> &tensors, const std::string &where);
  std::unique_ptr<Executor> makeExecutor(const ParameterStore &store) const;
};

/// All but weights: options, labels, and whether the checkpoint and the adapter are what the bundle and each other want, as far as headers say.
std::unique_ptr<Session> openSession(Bundle bundle, const SessionOptions &options);
/// For modes without rows.
std::unique_ptr<Session> openLoadedSession(Bundle bundle, const SessionOptions &options);

/// --model, --init, --reference, --threads: what the modes share.
std::vector<OptionSpec> sessionOptions();
SessionOptions sessionOptionsOf(const Arguments &arguments, const Surroundings &surroundings);
/// --profile's table on stderr.
void reportProfile(const Executor &executor);
/// Says on stderr that the parameters are not trained, if neither RUN nor --init was given.
void reportUntrained(const SessionOptions &options);
/// For modes that read what was trained: RUN's adapter, or --init FILE, or the initial parameters; with --set.
SessionOptions trainedSessionOptions(const Arguments &arguments, const Surroundings &surroundings);

/// The fewest tokens that a text may have: what joins or cuts at a fixed place needs that many.
int64_t leastLengthOf(const Bundle &bundle);
/// Of everything that decides what an adapter's numbers mean: parameters, attaches, rows.
std::string contractFingerprint(const nlohmann::json &manifest);
/// Of everything that decides the numbers of a run.
std::string bundleFingerprint(const Bundle &bundle);

} // namespace peftrt
