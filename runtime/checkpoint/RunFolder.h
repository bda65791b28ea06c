// RunFolder: what a training run leaves on disk, consistent whenever the process is killed.
//
//   RUN/run.json              resolved options, label map, fingerprints, model and data paths
//   RUN/adapter.safetensors   the best parameters so far, by parameter name
//   RUN/last -> step-N        adapter, optimizer states and state.json: what --resume reads
//   RUN/metrics.jsonl         one line a step and an evaluation; cut back to `last` on resume
//
// `last` is a symbolic link, swapped only after all of step-N is on disk, so it always names a whole checkpoint.
// Errs   R0118 the folder exists, R0119 not a run or broken, R0121 another process trains in it, R0117 a write failed
#pragma once
#include "runtime/checkpoint/Safetensors.h"
#include <map>
#include <nlohmann/json.hpp>
#include <string>

namespace peftrt {

/// Where training stands: after `step` optimizer steps.
struct Progress {
  int64_t step = 0;
  int64_t epoch = 0;      ///< from 0
  int64_t batch = 0;      ///< micro-batches of this epoch that are done
  double best = 0;        ///< best value of the watched metric; meaningful if hasBest
  bool hasBest = false;
  int64_t bestStep = 0;
  int64_t worseEvals = 0; ///< evaluations since the best one
  int64_t tokens = 0;     ///< trained on so far
  double seconds = 0;     ///< of training so far
  int64_t metricsBytes = 0;
  bool finished = false;
};

struct LastCheckpoint {
  Progress progress;
  std::map<std::string, at::Tensor> parameters;
  std::map<std::string, at::Tensor> states; ///< optimizer state by name, [trainable_size]
};

class RunFolder {
public:
  explicit RunFolder(std::string path);
  RunFolder(RunFolder &&other) noexcept : path_(std::move(other.path_)), lock_(other.lock_) { other.lock_ = -1; }
  RunFolder(const RunFolder &) = delete;
  ~RunFolder();

  bool exists() const;     ///< something is at this path (a folder with nothing but dot files does not count)
  bool isRun() const;      ///< it has a run.json
  bool isOurs() const;     ///< a run, or what was left where one was being replaced
  bool hasLast() const;    ///< there is a checkpoint to resume from
  void lock();             ///< for writing; makes the folder; released when this object goes
  /// Starts anew: locks, removes what an earlier run left, writes run.json last.
  void create(const nlohmann::json &run);
  nlohmann::json readRun() const;

  void writeBest(const std::map<std::string, at::Tensor> &parameters, const std::map<std::string, std::string> &metadata) const;
  void writeLast(const LastCheckpoint &checkpoint, const std::map<std::string, std::string> &metadata) const;
  LastCheckpoint readLast() const;
  /// Appends to metrics.jsonl and returns its size afterwards.
  int64_t appendMetrics(const std::string &lines) const;
  void cutMetrics(int64_t bytes) const;

  std::string adapterPath() const { return path_ + "/adapter.safetensors"; }
  const std::string &path() const { return path_; }

private:
  void removeStale(const std::string &keep) const;
  std::string path_;
  int lock_ = -1;
};

} // namespace peftrt
