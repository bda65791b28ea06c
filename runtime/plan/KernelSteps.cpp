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
constexpr int64_t kTableAlignment = 16; ///< f32
constexpr int64_t kWarp = 32, kMostThreads = 1024; ///< of a GPU's block

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

KernelStep kernelStepOf(const Op &op, Kernels &kernels) {
  try {
    KernelStep step;
    step.function = kernels.find(op.attrs.at("symbol"));
    step.space = spaceOf(op.attrs.at("space"));
    step.example = op.attrs.at("example");
    step.tasks = dimOf(op.attrs.at("tasks"));
    step.columns = op.attrs.at("columns");
    for (const nlohmann::json &site : op.attrs.at("sites"))
      step.sites.push_back(site.get<uint32_t>());
    step.scratch = dimOf(op.attrs.at("scratch"));
    step.team = op.attrs.at("team");
    step.block = op.attrs.at("block");
    if (step.team < 1 || (step.team & (step.team - 1)) != 0 || step.block < 1 || step.block > kMostThreads || step.block % std::max(kWarp, step.team) != 0)
      failBundle("a kernel step has a team of " + std::to_string(step.team) + " threads and a block of " + std::to_string(step.block));
    step.results = op.out.size();
    if (op.attrs.contains("sums")) {
      for (const nlohmann::json &sum : op.attrs["sums"])
        step.sums.push_back({sum.at("result"), sum.at("columns"), sum.at("pitch")});
      step.stretch = op.attrs.at("stretch");
      const auto isWrong = [&](const RowSum &sum) { return sum.result >= step.results || sum.columns < 1 || sum.pitch < sum.columns; };
      if (step.space != KernelStep::Space::rows || step.stretch < 1 || std::any_of(step.sums.begin(), step.sums.end(), isWrong))
        failBundle("a kernel step sums over rows in a way that there is not");
      step.addUp = kernels.find(op.attrs.at("symbol").get<std::string>() + "__sums");
    }
    if (op.attrs.contains("over"))
      step.over = pairOf(sequenceOf(op.attrs["over"].at(0)), sequenceOf(op.attrs["over"].at(1)));
    return step;
  } catch (const nlohmann::json::exception &error) {
    failBundle("a kernel step lacks something or has it in another form: " + std::string(error.what()));
  }
}

void BatchTables::fill(const BatchSize &size) {
  examples = size.examples();
  elements = size.flatLength;
  offsets.clear(), squares.clear(), lengths.clear(), longest.clear();
  tokens = size.tokens;
  for (size_t sequence = 0; sequence < size.rooms.size(); ++sequence) {
    const std::vector<int64_t> &own = size.rooms[sequence];
    lengths.insert(lengths.end(), size.lengths[sequence].begin(), size.lengths[sequence].end());
    longest.push_back(own.empty() ? 0 : *std::max_element(own.begin(), own.end()));
    offsets.push_back(0);
    for (const int64_t room : own)
      offsets.push_back(offsets.back() + room);
    for (size_t other = 0; other <= sequence; ++other) { // in the order of `pairOf`
      squares.push_back(0);
      for (size_t example = 0; example < own.size(); ++example)
        squares.push_back(squares.back() + own[example] * size.rooms[other][example]);
    }
  }
}

int64_t BatchTables::tasksOf(const KernelStep &step) const {
  if (step.space == KernelStep::Space::flat)
    return elements;
  return step.example ? step.tasks.c * examples + step.tasks.k * tokens.at(static_cast<size_t>(step.tasks.sequence)) : step.tasks.c;
}

std::vector<int64_t> BatchTables::placesOfSums(const KernelStep &step) const {
  std::vector<int64_t> places = {0};
  for (const RowSum &sum : step.sums)
    places.push_back(places.back() + sum.pitch * stretchesOf(step));
  return places;
}

int64_t KernelStep::columnsOfSums() const {
  int64_t columns = 0;
  for (const RowSum &sum : sums)
    columns = std::max(columns, sum.columns);
  return columns;
}

void KernelRunner::begin(const BatchSize &size, const RandomState &random, const std::vector<KernelUse> &, const std::vector<Move> &) {
  tables_.fill(size);
  random_ = random;
}

/// Room for every thread; grows only.
void KernelRunner::reserve(const KernelStep &step) {
  const int64_t bytes = tables_.scratchOf(step);
  scratchOfThread_ = std::max(scratchOfThread_, (bytes + kScratchAlignment - 1) / kScratchAlignment * kScratchAlignment);
  const int64_t all = scratchOfThread_ * at::get_num_threads() + kScratchAlignment;
  if (all > static_cast<int64_t>(scratch_.size()))
    scratch_ = std::vector<char>(all);
}

/// By the calling thread.
KernelCall KernelRunner::callOf(const KernelStep &step, void *const *data) const {
  const auto begin = (reinterpret_cast<uintptr_t>(scratch_.data()) + kScratchAlignment - 1) / kScratchAlignment * kScratchAlignment;
  void *const scratch = reinterpret_cast<char *>(begin) + scratchOfThread_ * at::get_thread_num();
  return {data, tables_.offsets.data(), tables_.squares.data(), step.sites.data(), scratch, tables_.examples, tables_.elements, {static_cast<uint32_t>(random_.seed), static_cast<uint32_t>(random_.seed >> 32)},
          static_cast<uint32_t>(random_.step), static_cast<uint32_t>(random_.pass), tables_.lengths.data(), pairs_, 0, 0, 0};
}

void KernelRunner::runPart(const KernelStep &step, void *const *data, int64_t first, int64_t last) const {
  const KernelCall call = callOf(step, data);
  reinterpret_cast<KernelFunction>(step.function)(&call, first, last);
}

/// Where each thread's heads begin, and the end: texts differ in length, and what a head costs grows with the square of it.
std::vector<int64_t> KernelRunner::headShares(const KernelStep &step) const {
  const int64_t threads = at::get_num_threads(), heads = step.tasks.c, examples = tables_.examples;
  const int64_t *squares = tables_.squares.data() + step.over * (examples + 1);
  const auto costBefore = [&](int64_t example) { return static_cast<double>(squares[example] + kTokenCost * tables_.offsets[example]); };
  std::vector<int64_t> shares = {0};
  int64_t example = 0;
  for (int64_t thread = 1; thread < threads; ++thread) {
    const double wanted = costBefore(examples) * thread / threads;
    while (example < examples && costBefore(example + 1) <= wanted)
      ++example;
    const double own = example < examples ? costBefore(example + 1) - costBefore(example) : 1;
    const int64_t inside = static_cast<int64_t>(heads * (wanted - costBefore(example)) / own + 0.5);
    shares.push_back(std::min(heads * examples, example * heads + inside));
  }
  shares.push_back(heads * examples);
  return shares;
}

int64_t KernelRunner::scratchBytes() const {
  size_t bytes = scratch_.size();
  for (const std::vector<float> &tables : sums_)
    bytes += tables.size() * sizeof(float);
  return static_cast<int64_t>(bytes);
}

std::vector<void *> KernelRunner::tablesFor(const KernelStep &step, size_t place) {
  const std::vector<int64_t> places = tables_.placesOfSums(step);
  const int64_t floats = places.back() + kTableAlignment;
  sums_.resize(std::max(sums_.size(), place + 1));
  std::vector<float> &own = sums_[place];
  if (static_cast<int64_t>(own.size()) < floats)
    own = std::vector<float>(static_cast<size_t>(floats));
  std::vector<void *> tables;
  const auto first = (reinterpret_cast<uintptr_t>(own.data()) + sizeof(float) * kTableAlignment - 1) / (sizeof(float) * kTableAlignment) * (sizeof(float) * kTableAlignment);
  for (size_t sum = 0; sum < step.sums.size(); ++sum)
    tables.push_back(reinterpret_cast<void *>(first + sizeof(float) * static_cast<uintptr_t>(places[sum])));
  return tables;
}

void KernelRunner::addUp(const KernelStep &step, const std::vector<void *> &tables, void *const *results) const {
  std::vector<void *> data = tables;
  for (const RowSum &sum : step.sums)
    data.push_back(results[sum.result]);
  const int64_t stretches = tables_.stretchesOf(step);
  at::parallel_for(0, step.columnsOfSums(), std::max<int64_t>(1, kFlatGrain / std::max<int64_t>(1, stretches)), [&](int64_t begin, int64_t end) {
    KernelCall call = callOf(step, data.data());
    call.elements = stretches;
    reinterpret_cast<KernelFunction>(step.addUp)(&call, begin, end);
  });
}

void KernelRunner::run(const KernelUse &use, size_t) {
  const KernelStep &step = *use.step;
  void *const *data = use.data.data();
  reserve(step);
  if (!step.sums.empty()) {
    const std::vector<void *> tables = tablesFor(step, 0);
    std::vector<void *> given = use.data;
    given.insert(given.end(), tables.begin(), tables.end());
    runRows(step, given.data(), 0, tasksOf(step));
    return addUp(step, tables, data + use.data.size() - step.results);
  }
  if (step.space == KernelStep::Space::tiles && step.example && tasksOf(step) > grainOf(step)) {
    const std::vector<int64_t> shares = headShares(step);
    return at::parallel_for(0, static_cast<int64_t>(shares.size()) - 1, 1, [&](int64_t begin, int64_t end) { runPart(step, data, shares[begin], shares[end]); });
  }
  runRows(step, data, 0, tasksOf(step));
}

void KernelRunner::runRows(const KernelStep &step, void *const *data, int64_t first, int64_t last) const {
  const int64_t stretch = step.stretch, grain = std::max<int64_t>(1, grainOf(step) / stretch);
  at::parallel_for(first / stretch, (last + stretch - 1) / stretch, grain, [&](int64_t begin, int64_t end) { runPart(step, data, begin * stretch, std::min(last, end * stretch)); });
}

} // namespace peftrt::plan
