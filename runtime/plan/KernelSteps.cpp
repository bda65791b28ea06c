// KernelSteps: see the header.
#include "runtime/plan/KernelSteps.h"
#include "runtime/bundle/Errors.h"
#include <ATen/Parallel.h>
#include <algorithm>

namespace peftrt::plan {
namespace {

constexpr int64_t kRowGrain = 16 * 1024;   ///< elements that are worth a thread
constexpr int64_t kFlatGrain = 64 * 1024;
constexpr int64_t kTokenCost = 16;         ///< what a head's token costs beside its scores, in scores
constexpr int64_t kScratchAlignment = 4096;

KernelStep::Space spaceOf(const std::string &name) {
  if (name == "rows")
    return KernelStep::Space::rows;
  if (name == "tiles")
    return KernelStep::Space::tiles;
  if (name == "flat")
    return KernelStep::Space::flat;
  failBundle("there is no space of kernels called `" + name + "`");
}

int64_t grainOf(const KernelStep &step) {
  switch (step.space) {
  case KernelStep::Space::rows:
    return std::max<int64_t>(1, kRowGrain / std::max<int64_t>(1, step.columns));
  case KernelStep::Space::tiles:
    return 1;
  default:
    return kFlatGrain;
  }
}

} // namespace

KernelStep kernelStepOf(const Op &op, const KernelLibrary &library) {
  try {
    KernelStep step;
    step.function = library.find(op.attrs.at("symbol"));
    step.space = spaceOf(op.attrs.at("space"));
    step.example = op.attrs.at("example");
    step.tasks = dimOf(op.attrs.at("tasks"));
    step.columns = op.attrs.at("columns");
    for (const nlohmann::json &site : op.attrs.at("sites"))
      step.sites.push_back(site.get<uint32_t>());
    step.scratch = dimOf(op.attrs.at("scratch"));
    if (op.attrs.contains("over"))
      step.over = pairOf(sequenceOf(op.attrs["over"].at(0)), sequenceOf(op.attrs["over"].at(1)));
    return step;
  } catch (const nlohmann::json::exception &error) {
    failBundle("a kernel step lacks something or has it in another form: " + std::string(error.what()));
  }
}

void KernelRunner::begin(const BatchSize &size, const RandomState &random) {
  random_ = random;
  examples_ = size.examples();
  elements_ = size.flatLength;
  offsets_.clear(), squares_.clear(), lengths_.clear(), longest_.clear();
  tokens_ = size.tokens;
  for (size_t sequence = 0; sequence < size.rooms.size(); ++sequence) {
    const std::vector<int64_t> &own = size.rooms[sequence];
    lengths_.insert(lengths_.end(), size.lengths[sequence].begin(), size.lengths[sequence].end());
    longest_.push_back(own.empty() ? 0 : *std::max_element(own.begin(), own.end()));
    offsets_.push_back(0);
    for (const int64_t room : own)
      offsets_.push_back(offsets_.back() + room);
    for (size_t other = 0; other <= sequence; ++other) { // in the order of `pairOf`
      squares_.push_back(0);
      for (size_t example = 0; example < own.size(); ++example)
        squares_.push_back(squares_.back() + own[example] * size.rooms[other][example]);
    }
  }
}

/// Room for every thread; grows only.
void KernelRunner::reserve(const KernelStep &step) {
  const int64_t bytes = step.scratch.at(longest_.at(static_cast<size_t>(step.scratch.sequence)));
  scratchOfThread_ = std::max(scratchOfThread_, (bytes + kScratchAlignment - 1) / kScratchAlignment * kScratchAlignment);
  const int64_t all = scratchOfThread_ * at::get_num_threads() + kScratchAlignment;
  if (all > static_cast<int64_t>(scratch_.size()))
    scratch_ = std::vector<char>(all);
}

int64_t KernelRunner::tasksOf(const KernelStep &step) const {
  if (step.space == KernelStep::Space::flat)
    return elements_;
  return step.example ? step.tasks.c * examples_ + step.tasks.k * tokens_.at(static_cast<size_t>(step.tasks.sequence)) : step.tasks.c;
}

void KernelRunner::runPart(const KernelStep &step, void *const *data, int64_t first, int64_t last) const {
  const auto begin = (reinterpret_cast<uintptr_t>(scratch_.data()) + kScratchAlignment - 1) / kScratchAlignment * kScratchAlignment;
  void *const scratch = reinterpret_cast<char *>(begin) + scratchOfThread_ * at::get_thread_num();
  const KernelCall call{data, offsets_.data(), squares_.data(), step.sites.data(), scratch, examples_, elements_, {static_cast<uint32_t>(random_.seed), static_cast<uint32_t>(random_.seed >> 32)},
                        static_cast<uint32_t>(random_.step), static_cast<uint32_t>(random_.pass), lengths_.data(), pairs_};
  step.function(&call, first, last);
}

/// Where each thread's heads begin, and the end: texts differ in length, and what a head costs grows with the square of it.
std::vector<int64_t> KernelRunner::headShares(const KernelStep &step) const {
  const int64_t threads = at::get_num_threads(), heads = step.tasks.c;
  const int64_t *squares = squares_.data() + step.over * (examples_ + 1);
  const auto costBefore = [&](int64_t example) { return static_cast<double>(squares[example] + kTokenCost * offsets_[example]); };
  std::vector<int64_t> shares = {0};
  int64_t example = 0;
  for (int64_t thread = 1; thread < threads; ++thread) {
    const double wanted = costBefore(examples_) * thread / threads;
    while (example < examples_ && costBefore(example + 1) <= wanted)
      ++example;
    const double own = example < examples_ ? costBefore(example + 1) - costBefore(example) : 1;
    const int64_t inside = static_cast<int64_t>(heads * (wanted - costBefore(example)) / own + 0.5);
    shares.push_back(std::min(heads * examples_, example * heads + inside));
  }
  shares.push_back(heads * examples_);
  return shares;
}

void KernelRunner::run(const KernelStep &step, void *const *data) {
  reserve(step);
  if (step.space == KernelStep::Space::tiles && step.example && tasksOf(step) > grainOf(step)) {
    const std::vector<int64_t> shares = headShares(step);
    return at::parallel_for(0, static_cast<int64_t>(shares.size()) - 1, 1, [&](int64_t begin, int64_t end) { runPart(step, data, shares[begin], shares[end]); });
  }
  runRows(step, data, 0, tasksOf(step));
}

void KernelRunner::runRows(const KernelStep &step, void *const *data, int64_t first, int64_t last) const {
  at::parallel_for(first, last, grainOf(step), [&](int64_t begin, int64_t end) { runPart(step, data, begin, end); });
}

} // namespace peftrt::plan
