// Launches: see the header.
#include "runtime/cuda/Launches.h"
#include <algorithm>
#include <cstring>

namespace peftrt::cuda {
namespace {

constexpr int64_t kThreads = 128;               ///< of a block: whole teams
constexpr int64_t kBlocksPerMultiprocessor = 16;
constexpr int64_t kMostScratch = int64_t{1} << 30; ///< of all teams; more of them than that allows wait for the others' end
constexpr int64_t kScratchAlignment = 256;

int64_t parts(int64_t whole, int64_t part) { return (whole + part - 1) / part; }

/// Bytes of a table as they are put together; places are multiples of 8.
class Table {
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

} // namespace

Launches::Launches(std::shared_ptr<const Gpu> gpu, std::shared_ptr<Pool> pool, std::shared_ptr<Staging> staging, const Bundle &bundle)
    : gpu_(gpu), pool_(std::move(pool)), staging_(std::move(staging)), code_(gpu, bundle) {}

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
  block.size = size;
}

Launches::Shape Launches::shapeFor(int64_t tasks, int64_t share, int64_t team, int64_t scratch) const {
  const int64_t teams = kThreads / team; // of a block
  int64_t blocks = std::min(parts(parts(tasks, share), teams), kBlocksPerMultiprocessor * gpu_->facts.multiprocessors);
  if (scratch > 0)
    blocks = std::min(blocks, std::max<int64_t>(1, kMostScratch / (scratch * teams)));
  return {static_cast<unsigned>(blocks), blocks * teams, tasks, scratch};
}

/// A team takes as many tasks at a time as the entry has it (compiler/conversion/Kernels.cpp).
Launches::Shape Launches::shapeOf(const plan::KernelStep &step) const {
  const int64_t share = step.space == plan::KernelStep::Space::flat ? code_.flatShare() : step.stretch;
  return shapeFor(tables_.tasksOf(step), share, step.team, parts(tables_.scratchOf(step), kScratchAlignment) * kScratchAlignment);
}

void Launches::begin(const BatchSize &size, const RandomState &random, const std::vector<plan::KernelUse> &uses) {
  tables_.fill(size);
  random_ = random;
  told_.clear();
  next_ = 0;
  Table table;
  const size_t offsets = table.add(tables_.offsets), squares = table.add(tables_.squares), lengths = table.add(tables_.lengths);
  int64_t scratch = 0, sums = 0;
  for (const plan::KernelUse &use : uses) // one use's tables at a time: on one stream the next one's may take their place
    sums = std::max(sums, tables_.placesOfSums(*use.step).back());
  growTo(sums_, static_cast<size_t>(sums) * sizeof(float));
  for (const plan::KernelUse &use : uses) {
    const Shape shape = shapeOf(*use.step);
    scratch = std::max(scratch, shape.teams * shape.scratch);
    std::vector<void *> data = use.data, added; // the tables follow a kernel's results, and come before their sums
    const std::vector<int64_t> places = tables_.placesOfSums(*use.step);
    for (size_t sum = 0; sum < use.step->sums.size(); ++sum)
      added.push_back(reinterpret_cast<void *>(sums_.address + static_cast<Address>(places[sum]) * sizeof(float)));
    data.insert(data.end(), added.begin(), added.end());
    for (const plan::RowSum &sum : use.step->sums)
      added.push_back(use.data[use.data.size() - use.step->results + sum.result]);
    told_.push_back({table.add(data), table.add(use.step->sites), table.add(added)}); // from the table's begin, until it has a place
  }
  try {
    growTo(scratch_, static_cast<size_t>(scratch));
  } catch (const RuntimeError &error) {
    throw RuntimeError(error.code, "the scratch of kernels: " + error.message, error.help);
  }
  growTo(table_, table.bytes().size());
  char *room = staging_->room(table.bytes().size());
  std::memcpy(room, table.bytes().data(), table.bytes().size());
  staging_->sendRoom(table_.address, room, table.bytes().size());
  offsets_ = table_.address + offsets, squares_ = table_.address + squares, lengths_ = table_.address + lengths;
  for (Told &told : told_)
    told.data += table_.address, told.sites += table_.address, told.sums += table_.address;
}

void Launches::run(const plan::KernelUse &use) {
  const Told &told = told_.at(next_++);
  const plan::KernelStep &step = *use.step;
  start(step.function, shapeOf(step), told, told.data, tables_.elements);
  if (step.sums.empty())
    return;
  start(step.addUp, shapeFor(step.columnsOfSums(), code_.flatShare(), 1, 0), told, told.sums, tables_.stretchesOf(step));
}

void Launches::start(const void *function, const Shape &shape, const Told &told, Address data, int64_t elements) {
  if (shape.tasks == 0)
    return;
  const auto pointer = [](Address address) { return reinterpret_cast<void *>(address); };
  KernelCall call{static_cast<void *const *>(pointer(data)), static_cast<const int64_t *>(pointer(offsets_)), static_cast<const int64_t *>(pointer(squares_)),
                  static_cast<const uint32_t *>(pointer(told.sites)), pointer(scratch_.address), tables_.examples, elements,
                  {static_cast<uint32_t>(random_.seed), static_cast<uint32_t>(random_.seed >> 32)}, static_cast<uint32_t>(random_.step), static_cast<uint32_t>(random_.pass),
                  static_cast<const int64_t *>(pointer(lengths_)), nullptr};
  int64_t tasks = shape.tasks, scratch = shape.scratch;
  void *parameters[] = {&call, &tasks, &scratch};
  const auto &entry = *static_cast<const Code::Entry *>(function);
  gpu_->driver.check(gpu_->driver.launch(entry.function, shape.blocks, 1, 1, kThreads, 1, 1, 0, gpu_->stream(), parameters, nullptr), "starting the kernel `" + entry.name + "`");
}

} // namespace peftrt::cuda
