// Launches: see the header.
#include "runtime/cuda/Launches.h"
#include <algorithm>
#include <bit>
#include <cstring>

namespace peftrt::cuda {
namespace {

constexpr int64_t kThreads = 128; ///< of a block, where each does what it does alone
constexpr int64_t kThreadsPerMultiprocessor = 2048;
constexpr int64_t kMostScratch = int64_t{1} << 30; ///< of all teams; more of them than that allows wait for the others' end
constexpr int64_t kScratchAlignment = 256;

int64_t parts(int64_t whole, int64_t part) { return (whole + part - 1) / part; }
/// The power of two that is not less, of nothing nothing: what is nearly alike is alike.
int64_t ceilingOf(int64_t count) { return count == 0 ? 0 : static_cast<int64_t>(std::bit_ceil(static_cast<uint64_t>(count))); }

} // namespace

/// Bytes of a table as they are put together; places are multiples of 8.
class Launches::Table {
public:
  template <typename T> size_t add(const std::vector<T> &values) {
    const size_t place = bytes_.size();
    bytes_.append(reinterpret_cast<const char *>(values.data()), values.size() * sizeof(T));
    bytes_.resize((bytes_.size() + 7) / 8 * 8);
    return place;
  }
  const std::string &bytes() const { return bytes_; }

private:
  std::string bytes_;
};

Launches::Launches(std::shared_ptr<const Gpu> gpu, std::shared_ptr<Pool> pool, std::shared_ptr<Staging> staging, const Bundle &bundle)
    : gpu_(gpu), pool_(std::move(pool)), staging_(std::move(staging)), code_(gpu, bundle), mover_(gpu) {}

Launches::~Launches() {
  for (const Block &block : {table_, scratch_, sums_})
    if (block.size)
      pool_->give(block.address);
}

void Launches::growTo(Block &block, size_t size) {
  if (size <= block.size)
    return;
  if (block.size)
    pool_->give(block.address);
  block = {};
  block.address = pool_->take(size);
  block.size = static_cast<size_t>(Pool::sizeFor(static_cast<int64_t>(size)));
}

/// `teams` of a block of `threads`.
Launches::Shape Launches::shapeFor(int64_t tasks, int64_t share, int64_t teams, int64_t threads, int64_t scratch) const {
  int64_t blocks = std::min(ceilingOf(parts(parts(tasks, share), teams)), kThreadsPerMultiprocessor / threads * gpu_->facts.multiprocessors);
  if (scratch > 0)
    blocks = std::min(blocks, std::max<int64_t>(1, kMostScratch / (ceilingOf(scratch) * teams)));
  return {static_cast<unsigned>(blocks), static_cast<unsigned>(threads), blocks * teams, 0, tasks, scratch};
}

/// A team takes as many tasks at a time as the entry has it (compiler/conversion/Kernels.cpp). Of a band's rows there are as many blocks as for all that may be there.
Launches::Shape Launches::shapeOf(const plan::KernelUse &use) const {
  const plan::KernelStep &step = *use.step;
  const int64_t share = step.space == plan::KernelStep::Space::flat ? code_.flatShare() : step.stretch, all = tables_.tasksOf(step);
  Shape shape = shapeFor(use.rows ? use.rows->last - use.rows->first : all, share, step.block / step.team, step.block, parts(tables_.scratchOf(step), kScratchAlignment) * kScratchAlignment);
  if (use.rows)
    shape.first = std::min(all, use.rows->first), shape.tasks = std::min(all, use.rows->last);
  return shape;
}

void Launches::list(const plan::KernelUse &use, Table &table, std::vector<Told> &told) {
  const plan::KernelStep &step = *use.step;
  std::vector<void *> data = use.data, added; // the tables follow a kernel's results, and come before their sums
  const std::vector<int64_t> places = tables_.placesOfSums(step);
  const int64_t begin = use.rows ? bandTables_.at(&step) : 0;
  for (size_t sum = 0; sum < step.sums.size(); ++sum)
    added.push_back(reinterpret_cast<void *>(sums_.address + static_cast<Address>(begin + places[sum]) * sizeof(float)));
  data.insert(data.end(), added.begin(), added.end());
  for (const plan::RowSum &sum : step.sums)
    added.push_back(use.data[use.data.size() - step.results + sum.result]);
  const size_t sites = table.add(step.sites);
  add(step.function, shapeOf(use));
  told.push_back({table.add(data), sites, tables_.elements});
  if (!step.sums.empty() && (!use.rows || use.rows->isEnd)) {
    add(step.addUp, shapeFor(step.columnsOfSums(), code_.flatShare(), kThreads, kThreads, 0));
    told.push_back({table.add(added), sites, tables_.stretchesOf(step)});
  }
  ends_.push_back(launches_.size());
}

/// One use's tables at a time: on one stream the next one's may take their place. Those of a band's steps stay until it ends: each step has its own, behind them.
void Launches::placeTables(const std::vector<plan::KernelUse> &uses) {
  int64_t floats = 0;
  for (const plan::KernelUse &use : uses)
    floats = std::max(floats, use.rows ? 0 : tables_.placesOfSums(*use.step).back());
  bandTables_.clear();
  for (const plan::KernelUse &use : uses)
    if (use.rows && bandTables_.emplace(use.step, floats).second)
      floats += tables_.placesOfSums(*use.step).back();
  growTo(sums_, static_cast<size_t>(floats) * sizeof(float));
}

/// Calls come first, then moves, so that a program's are always at the same places while the table is.
void Launches::begin(const BatchSize &size, const RandomState &random, const std::vector<plan::KernelUse> &uses, const std::vector<plan::Move> &moves) {
  tables_.fill(size);
  launches_.clear(), ends_.clear();
  int64_t scratch = 0;
  placeTables(uses);
  Table table;
  const std::array<size_t, 4> places = {table.add(moves), table.add(tables_.offsets), table.add(tables_.squares), table.add(tables_.lengths)};
  std::vector<Told> told;
  for (const plan::KernelUse &use : uses)
    list(use, table, told);
  for (const Launch &launch : launches_)
    scratch = std::max(scratch, launch.shape.teams * launch.shape.scratch);
  try {
    growTo(scratch_, static_cast<size_t>(scratch));
  } catch (const RuntimeError &error) {
    throw RuntimeError(error.code, "the scratch of kernels: " + error.message, error.help);
  }
  const size_t bytes = told.size() * sizeof(KernelCall) + table.bytes().size();
  growTo(table_, bytes);
  char *room = staging_->room(bytes);
  const std::string calls = callsOf(told, random, places);
  std::memcpy(room, calls.data(), calls.size());
  std::memcpy(room + calls.size(), table.bytes().data(), table.bytes().size());
  staging_->sendRoom(table_.address, room, bytes);
}

std::string Launches::callsOf(const std::vector<Told> &told, const RandomState &random, const std::array<size_t, 4> &places) {
  const Address behind = table_.address + told.size() * sizeof(KernelCall);
  const auto at = [&](size_t place) { return reinterpret_cast<void *>(behind + place); };
  moves_ = behind + places[0];
  const auto wholes = [&](size_t place) { return static_cast<const int64_t *>(at(place)); };
  std::string calls;
  for (size_t index = 0; index < told.size(); ++index) {
    const KernelCall call{static_cast<void *const *>(at(told[index].data)), wholes(places[1]), wholes(places[2]), static_cast<const uint32_t *>(at(told[index].sites)), reinterpret_cast<void *>(scratch_.address), tables_.examples,
                          told[index].elements, {static_cast<uint32_t>(random.seed), static_cast<uint32_t>(random.seed >> 32)}, static_cast<uint32_t>(random.step), static_cast<uint32_t>(random.pass), wholes(places[3]), nullptr, launches_[index].shape.tasks, launches_[index].shape.scratch, launches_[index].shape.first};
    launches_[index].call = table_.address + index * sizeof(KernelCall);
    calls.append(reinterpret_cast<const char *>(&call), sizeof call);
  }
  return calls;
}

void Launches::tell(size_t place, plan::Given &given) const {
  for (size_t index = place ? ends_.at(place - 1) : 0; index < ends_.at(place); ++index) {
    const Launch &launch = launches_[index];
    given.insert(given.end(), {static_cast<uint64_t>(plan::Asked::kernel), reinterpret_cast<uint64_t>(launch.entry->function), launch.shape.blocks, launch.call}); // an entry has one size of blocks
  }
}

void Launches::tellMove(size_t first, size_t count, plan::Given &given) const { given.insert(given.end(), {static_cast<uint64_t>(plan::Asked::move), moves_ + first * sizeof(plan::Move), count}); }

void Launches::run(const plan::KernelUse &, size_t place) {
  for (size_t index = place ? ends_.at(place - 1) : 0; index < ends_.at(place); ++index)
    start(launches_[index]);
}

void Launches::start(const Launch &launch) const {
  if (launch.shape.blocks == 0)
    return;
  Address call = launch.call;
  void *parameters[] = {&call};
  gpu_->driver.check(gpu_->driver.launch(launch.entry->function, launch.shape.blocks, 1, 1, launch.shape.threads, 1, 1, 0, gpu_->stream(), parameters, nullptr), "starting the kernel `" + launch.entry->name + "`");
}

} // namespace peftrt::cuda
