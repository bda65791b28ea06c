// Memory: what an emulated kernel reads and writes: named buffers with their bounds, what of them was written, and who touched it last.
//
// An address is a buffer's number (from bit 32 on) and a place inside it, so that nothing lies beside a buffer: what leaves it is found, however far it goes.
// Errs  Fault: out of bounds, misaligned, not writable, never written, a race. The sentence says what; the caller says where (kernel, line, thread).
//
// Races: each byte knows its last writer and reader. Two accesses by different threads, one of them a write, are ordered by a barrier between them, or by the
// end of a launch; else they are a race, in whatever order they came here. Strong accesses (atomic, relaxed, volatile) do not race with each other.
#pragma once
#include "tests/gpu/emulator/Text.h"
#include <memory>
#include <unordered_map>

namespace emulator {

constexpr int kBufferBits = 32; ///< few enough that an address can be one of this process, where `next` is asked for it
constexpr uint64_t kInside = (uint64_t{1} << kBufferBits) - 1;
/// Numbers of the windows that are a thread's own view; buffers in global memory have greater ones. 0 is none, so that a null pointer points nowhere.
enum Window : uint64_t { kSharedWindow = 1, kLocalWindow, kParamWindow, kConstWindow, kFirstBuffer };

/// Who touches memory.
struct Actor {
  uint32_t thread = 0; ///< in the grid
  uint32_t clock = 0;  ///< grows with every barrier it goes through
  int line = 0;
};

/// Whether what `thread` did when its clock was `clock` is over for the one who asks.
class Order {
public:
  virtual bool isBefore(uint32_t thread, uint32_t clock) const = 0;

protected:
  ~Order() = default;
};

enum class Touch { read, write, atomic };

class Buffer {
public:
  /// `bytes` stay the caller's, where there are some. `written`: whether they mean something already.
  Buffer(std::string name, uint64_t size, bool written, bool writable, char *bytes = nullptr);

  /// The place of `count` bytes; first it must be inside and aligned to `count`.
  char *at(uint64_t place, uint64_t count, uint64_t align) const;
  /// What the access finds: never written, or a race. `order` is null where nobody else can come.
  void touch(uint64_t place, uint64_t count, Touch how, bool strong, const Actor &actor, const Order *order);
  void markWritten(uint64_t place, uint64_t count);
  /// The first place that nothing wrote, or the size.
  uint64_t firstUnwritten() const;
  void makeUnwritten();

  const std::string name;
  const uint64_t size;
  const bool writable;
  uint64_t shift = 0; ///< added to places: how a buffer is misaligned where it lies really

private:
  struct Past {
    uint32_t thread = 0, clock = 0;
    int line = 0;
    bool strong = false;
  };
  struct Mark {
    Past write, read;
  };
  void check(const Past &past, const char *what, Touch how, bool strong, const Actor &actor, const Order &order, uint64_t place) const;
  void noteRead(uint64_t index, const Past &now, const Actor &actor, const Order &order);
  void refine(uint64_t granule);

  std::unique_ptr<char[]> own_;
  char *bytes_;
  std::vector<bool> written_; ///< by byte; empty: all
  std::vector<Mark> marks_;   ///< by granule
  std::unordered_map<uint64_t, std::vector<Past>> readers_; ///< by granule: readers beside the last that no write followed
  uint64_t granule_ = 0; ///< bytes that a mark is of: as few as any access had
};

/// Global memory: buffers by their addresses.
class Memory {
public:
  uint64_t add(std::unique_ptr<Buffer> buffer);
  /// The address that the next buffer gets.
  uint64_t next() const;
  void remove(uint64_t address);
  /// The buffer of an address in global memory.
  Buffer &bufferAt(uint64_t address) const;
  bool holds(uint64_t address) const { return (address >> kBufferBits) >= kFirstBuffer && (address >> kBufferBits) - kFirstBuffer < buffers_.size() && buffers_[(address >> kBufferBits) - kFirstBuffer]; }
  uint32_t clock = 1; ///< no launch's threads begin with a clock that an earlier one's had

private:
  std::vector<std::unique_ptr<Buffer>> buffers_;
};

} // namespace emulator
