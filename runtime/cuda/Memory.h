// Memory: of a GPU, as tensors, and what is on its way there.
//
// Why blocks are kept  the driver's allocation stops everything that the GPU does; a batch's inputs come and go with every step
// Errs  R0205 no memory, R0206
#pragma once
#include "runtime/cuda/Gpu.h"
#include <ATen/core/Tensor.h>
#include <map>
#include <memory>

namespace peftrt::cuda {

/// Blocks of a GPU's memory.
class Pool {
public:
  explicit Pool(std::shared_ptr<const Gpu> gpu) : gpu_(std::move(gpu)) {}
  ~Pool();
  Pool(const Pool &) = delete;
  Pool &operator=(const Pool &) = delete;
  /// Of at least so many bytes; freed ones first, which the stream may still use.
  Address take(size_t bytes);
  void give(Address block);
  /// As large as the block of so many bytes may be.
  static int64_t sizeFor(int64_t bytes);
  size_t bytesLeft();
  /// Whether the address is in a block.
  bool holds(const void *address) const;

private:
  size_t freeAll();

  std::shared_ptr<const Gpu> gpu_;
  std::map<Address, size_t> blocks_;          ///< all, with their sizes
  std::multimap<size_t, Address> free_;
};

/// Pinned memory of the host, from which the GPU fetches what it is sent while the host goes on.
class Staging {
public:
  explicit Staging(std::shared_ptr<const Gpu> gpu) : gpu_(std::move(gpu)) {}
  ~Staging();
  Staging(const Staging &) = delete;
  Staging &operator=(const Staging &) = delete;
  /// Sends the bytes, behind everything that the stream does; they may be changed at once.
  void send(Address to, const void *bytes, size_t size);
  /// Room to write `size` bytes into, and then to send.
  char *room(size_t size);
  void sendRoom(Address to, const char *room, size_t size);

private:
  std::shared_ptr<const Gpu> gpu_;
  char *begin_ = nullptr;
  size_t size_ = 0, next_ = 0;
};

/// Tensors in a pool's blocks, which go back when the last one is gone.
at::Tensor tensorIn(const std::shared_ptr<Pool> &pool, const Gpu &gpu, at::IntArrayRef shape, at::ScalarType type);

} // namespace peftrt::cuda
