// Memory: see the header.
#include "runtime/cuda/Memory.h"
#include <ATen/ATen.h>
#include <algorithm>
#include <cstring>

namespace peftrt::cuda {
namespace {

constexpr size_t kSmall = size_t{1} << 20, kLeast = 512; ///< below kSmall sizes are rounded to powers of two, so that batches of many lengths find each other's blocks
constexpr size_t kStaging = size_t{8} << 20, kAlignment = 256;

size_t rounded(size_t bytes) {
  if (bytes >= kSmall)
    return bytes;
  size_t size = kLeast;
  while (size < bytes)
    size *= 2;
  return size;
}

} // namespace

Pool::~Pool() {
  for (const auto &[address, size] : blocks_)
    gpu_->driver.release(address);
}

size_t Pool::freeAll() {
  gpu_->synchronize("freeing memory");
  size_t bytes = 0;
  for (const auto &[size, address] : free_) {
    gpu_->driver.release(address);
    blocks_.erase(address);
    bytes += size;
  }
  free_.clear();
  return bytes;
}

Address Pool::take(size_t bytes) {
  const size_t size = rounded(bytes);
  if (const auto found = free_.lower_bound(size); found != free_.end() && found->first <= size + size / 8) {
    const Address block = found->second;
    free_.erase(found);
    return block;
  }
  const auto allocate = [&](Address *block) {
    return gpu_->facts.integrated && gpu_->tensors().is_cpu() ? gpu_->driver.allocateManaged(block, size, kAttachGlobal) : gpu_->driver.allocate(block, size);
  };
  Address block = 0;
  Status status = allocate(&block);
  if (status == kOutOfMemory && freeAll() > 0)
    status = allocate(&block);
  if (status == kOutOfMemory)
    throw RuntimeError("R0205", "the GPU has no " + std::to_string(size) + " bytes left (" + std::to_string(bytesLeft()) + " of " + std::to_string(gpu_->facts.memory) + " are free)", kLessMemoryHelp);
  gpu_->driver.check(status, "allocating memory");
  blocks_[block] = size;
  return block;
}

size_t Pool::bytesLeft() {
  size_t left = gpu_->bytesLeft();
  for (const auto &[size, address] : free_)
    left += size;
  return left;
}

int64_t Pool::sizeFor(int64_t bytes) { return static_cast<int64_t>(rounded(static_cast<size_t>(bytes))); }

void Pool::give(Address block) {
  if (const auto found = blocks_.find(block); found != blocks_.end())
    free_.emplace(found->second, block);
}

bool Pool::holds(const void *address) const {
  const auto place = reinterpret_cast<Address>(address);
  auto next = blocks_.upper_bound(place);
  return next != blocks_.begin() && place - std::prev(next)->first < std::prev(next)->second;
}

/// What is on its way is read from here until it has arrived.
Staging::~Staging() {
  if (!begin_)
    return;
  gpu_->driver.streamSynchronize(gpu_->stream());
  gpu_->driver.releasePinned(begin_);
}

char *Staging::room(size_t size) {
  if (next_ + size > size_) { // all of it again, when what is on its way has arrived
    gpu_->synchronize("sending a batch");
    next_ = 0;
  }
  if (size > size_) {
    if (begin_)
      gpu_->driver.releasePinned(begin_);
    begin_ = nullptr, size_ = std::max(size, kStaging);
    void *made = nullptr;
    gpu_->driver.check(gpu_->driver.allocatePinned(&made, size_), "allocating memory of the host that it reaches");
    begin_ = static_cast<char *>(made);
  }
  char *room = begin_ + next_;
  next_ += (size + kAlignment - 1) / kAlignment * kAlignment;
  return room;
}

void Staging::sendRoom(Address to, const char *room, size_t size) {
  if (size > 0)
    gpu_->driver.check(gpu_->driver.copyIn(to, room, size, gpu_->stream()), "sending a batch");
}

void Staging::send(Address to, const void *bytes, size_t size) {
  if (size > kSmall) { // weights: once
    gpu_->synchronize("sending weights");
    gpu_->driver.check(gpu_->driver.copyInNow(to, bytes, size), "sending weights");
    return;
  }
  char *copy = room(size);
  std::memcpy(copy, bytes, size);
  sendRoom(to, copy, size);
}

at::Tensor tensorIn(const std::shared_ptr<Pool> &pool, const Gpu &gpu, at::IntArrayRef shape, at::ScalarType type) {
  size_t bytes = at::elementSize(type);
  for (const int64_t length : shape)
    bytes *= static_cast<size_t>(length);
  const at::TensorOptions options = at::TensorOptions().dtype(type).device(gpu.tensors());
  if (bytes == 0)
    return at::empty(shape, options);
  const Address block = pool->take(bytes);
  return at::from_blob(reinterpret_cast<void *>(block), shape, [pool, block](void *) { pool->give(block); }, options, gpu.tensors());
}

} // namespace peftrt::cuda
