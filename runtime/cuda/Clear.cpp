// Clear: see the header.
#include "runtime/cuda/Clear.h"
#include <cstddef>

namespace peftrt::cuda {
namespace {

using plan::Tail;
static_assert(sizeof(Tail) == 32 && offsetof(Tail, rows) == 8 && offsetof(Tail, bytes) == 16 && offsetof(Tail, pitch) == 24, "the text below reads it");

/// A row of blocks for each tail. Thread i of n writes words of 16 bits i, i + n, …, row after row, so that neighbours write neighbouring ones.
constexpr char kText[] =
#include "runtime/cuda/Clear.ptx.inc"
    ;
constexpr unsigned kThreads = 128, kBlocks = 64; ///< of a tail, the same for all batches: it has few rows (plan/Shapes.cpp: withRoom)

} // namespace

Clear::~Clear() {
  if (module_)
    gpu_->driver.moduleUnload(module_);
}

void Clear::start(Address tails, size_t count) {
  const Driver &driver = gpu_->driver;
  if (!function_) {
    driver.check(driver.moduleLoad(&module_, kText, 0, nullptr, nullptr), "loading what clears rows");
    driver.check(driver.moduleFunction(&function_, module_, "clear"), "loading what clears rows");
  }
  void *parameters[] = {&tails};
  driver.check(driver.launch(function_, kBlocks, static_cast<unsigned>(count), 1, kThreads, 1, 1, 0, gpu_->stream(), parameters, nullptr), "clearing rows");
}

} // namespace peftrt::cuda
