// Memory: see the header.
#include "tests/gpu/emulator/Memory.h"
#include "tests/gpu/emulator/Fault.h"
#include <algorithm>
#include <cstdio>

namespace emulator {
namespace {

/// Where a buffer in global memory begins: what lies before it is in no other one.
constexpr uint64_t kOrigin = uint64_t{1} << (kBufferBits - 1);

std::string hex(uint64_t value) {
  char text[24];
  std::snprintf(text, sizeof text, "0x%llx", static_cast<unsigned long long>(value));
  return text;
}

} // namespace

Buffer::Buffer(std::string name, uint64_t size, bool written, bool writable, char *bytes)
    : name(std::move(name)), size(size), writable(writable), own_(bytes ? nullptr : new char[size + 1]()), bytes_(bytes ? bytes : own_.get()) {
  if (!written)
    written_.assign(size, false);
}

char *Buffer::at(uint64_t place, uint64_t count, uint64_t align) const {
  const uint64_t inside = place - shift;
  if (place < shift || inside > size || count > size - inside) {
    throw Fault("out of bounds: " + std::to_string(count) + " bytes " + (place < shift ? std::to_string(shift - place) + " before" : "at " + std::to_string(inside) + " of") + " `" + name + "`, which has " +
                std::to_string(size));
  }
  if (place % align)
    throw Fault("misaligned: " + std::to_string(align) + " bytes at " + std::to_string(inside) + " of `" + name + "`");
  return bytes_ + inside;
}

void Buffer::markWritten(uint64_t place, uint64_t count) {
  if (!written_.empty())
    std::fill_n(written_.begin() + (place - shift), count, true);
}

uint64_t Buffer::firstUnwritten() const { return written_.empty() ? size : std::find(written_.begin(), written_.end(), false) - written_.begin(); }

void Buffer::makeUnwritten() { written_.assign(size, false); }

void Buffer::check(const Past &past, const char *what, Touch how, bool strong, const Actor &actor, const Order &order, uint64_t place) const {
  if (past.thread == actor.thread || (strong && past.strong) || order.isBefore(past.thread, past.clock))
    return;
  throw Fault("race: " + std::string(how == Touch::read ? "reads" : "writes") + " `" + name + "` at " + std::to_string(place) + ", which thread " + std::to_string(past.thread) + " of the grid " + what + " (line " +
              std::to_string(past.line) + ") with no barrier between");
}

/// Marks of fewer bytes, each with what its whole knew.
void Buffer::refine(uint64_t granule) {
  std::vector<Mark> marks((size + granule - 1) / granule);
  std::unordered_map<uint64_t, std::vector<Past>> readers;
  for (uint64_t index = 0; index < marks.size() && !marks_.empty(); ++index) {
    marks[index] = marks_[index * granule / granule_];
    if (const auto found = readers_.find(index * granule / granule_); found != readers_.end())
      readers[index] = found->second;
  }
  marks_ = std::move(marks), readers_ = std::move(readers);
  granule_ = granule;
}

/// Keeps every reader that is not over for this one: a write by someone else must see all of them.
void Buffer::noteRead(uint64_t index, const Past &now, const Actor &actor, const Order &order) {
  Past &last = marks_[index].read;
  if (last.thread != actor.thread) {
    if (order.isBefore(last.thread, last.clock)) {
      if (const auto found = readers_.find(index); found != readers_.end())
        std::erase_if(found->second, [&](const Past &past) { return order.isBefore(past.thread, past.clock); });
    } else {
      readers_[index].push_back(last);
    }
  }
  last = now;
}

void Buffer::touch(uint64_t place, uint64_t count, Touch how, bool strong, const Actor &actor, const Order *order) {
  place -= shift;
  if (how != Touch::read && !writable)
    throw Fault("writes to `" + name + "` at " + std::to_string(place) + ", which is not to be written");
  if (!written_.empty()) {
    if (how == Touch::write)
      std::fill_n(written_.begin() + place, count, true);
    else
      for (uint64_t index = place; index < place + count; ++index)
        if (!written_[index])
          throw Fault("uninitialised: reads `" + name + "` at " + std::to_string(index) + ", which nothing wrote");
  }
  if (!order || !writable)
    return;
  // Granules lie from the buffer's first byte on; where that is no multiple of the width, fewer bytes do.
  uint64_t wanted = std::min<uint64_t>(count, 4);
  while (place % wanted)
    wanted /= 2;
  if (granule_ == 0 || wanted < granule_)
    refine(wanted);
  const Past now{actor.thread, actor.clock, actor.line, strong};
  for (uint64_t index = place / granule_; index * granule_ < place + count; ++index) {
    Mark &mark = marks_[index];
    check(mark.write, "wrote", how, strong, actor, *order, index * granule_);
    if (how == Touch::read) {
      noteRead(index, now, actor, *order);
      continue;
    }
    check(mark.read, "read", how, strong, actor, *order, index * granule_);
    if (!readers_.empty())
      if (const auto found = readers_.find(index); found != readers_.end()) {
        for (const Past &past : found->second)
          check(past, "read", how, strong, actor, *order, index * granule_);
        readers_.erase(found);
      }
    mark.write = now;
  }
}

uint64_t Memory::add(std::unique_ptr<Buffer> buffer) {
  const uint64_t address = next() + buffer->shift;
  if (buffer->size >= kOrigin)
    throw Fault("a buffer of " + std::to_string(buffer->size) + " bytes; the most are " + std::to_string(kOrigin - 1));
  buffer->shift += kOrigin;
  buffers_.push_back(std::move(buffer));
  return address;
}

uint64_t Memory::next() const { return (kFirstBuffer + buffers_.size()) << kBufferBits | kOrigin; }

void Memory::remove(uint64_t address) {
  bufferAt(address);
  buffers_[(address >> kBufferBits) - kFirstBuffer].reset();
}

Buffer &Memory::bufferAt(uint64_t address) const {
  if (!holds(address))
    throw Fault("address " + hex(address) + " is in no buffer of global memory");
  return *buffers_[(address >> kBufferBits) - kFirstBuffer];
}

} // namespace emulator
