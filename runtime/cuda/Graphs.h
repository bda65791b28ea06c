// Graphs: stretches of steps as CUDA graphs: what the stream was given for one is captured, and launched from then on where the same would be given again.
//
// A stretch is asked for step by step the first time, which also makes what LibTorch makes once; captured the second time; a graph after that. What is given
// (Launches.h, plan/Stretches.h) holds every address that is in a graph, so a graph is launched only while all of its memory is what it was for these very steps.
// Not in it: what the run's table says, which is sent before.
// Errs  R0206 the GPU failed, with the stretch. A capture that fails is said once on stderr, and from then on steps are asked for one by one.
#pragma once
#include "runtime/cuda/Gpu.h"
#include "runtime/plan/Stretches.h"
#include <deque>
#include <list>
#include <unordered_map>
#include <unordered_set>

namespace peftrt::cuda {

class Graphs final : public plan::Recorder {
public:
  explicit Graphs(std::shared_ptr<const Gpu> gpu) : gpu_(std::move(gpu)) {}
  ~Graphs() override;
  Graphs(const Graphs &) = delete;
  Graphs &operator=(const Graphs &) = delete;
  void run(const std::string &name, int64_t steps, plan::Given given, const std::function<void()> &ask) override;
  void library(std::function<void()> step) override;
  RecordedUse use() const override { return use_; }

private:
  struct Recorded {
    plan::Given given;
    GraphExec graph = nullptr;
    std::list<std::function<void()>> hostSteps{}; ///< which it calls, at their places
  };
  using Place = std::list<Recorded>::iterator;
  Recorded *find(uint64_t hash, const plan::Given &given);
  bool isSeen(uint64_t hash);
  Recorded *record(uint64_t hash, plan::Given given, const std::function<void()> &ask, std::string &why);
  std::string capture(Recorded &recorded, const std::function<void()> &ask);
  void drop(Place place);
  void waitForHostSteps(const Recorded &recorded) const;

  std::shared_ptr<const Gpu> gpu_;
  std::list<Recorded> graphs_; ///< the last one used first
  std::unordered_map<uint64_t, Place> byHash_;
  std::unordered_set<uint64_t> seen_; ///< hashes of what was asked for, not captured yet
  std::deque<uint64_t> order_;        ///< of those, the oldest first
  Recorded *recording_ = nullptr;
  bool isOff_ = false;
  RecordedUse use_;
};

} // namespace peftrt::cuda
