// Moves: see the header.
#include "runtime/cuda/Moves.h"
#include <cstddef>

namespace peftrt::cuda {
namespace {

using plan::Move;
static_assert(sizeof(Move) == 48 && offsetof(Move, from) == 8 && offsetof(Move, rows) == 16 && offsetof(Move, bytes) == 24 && offsetof(Move, pitch) == 32 && offsetof(Move, fromPitch) == 40, "the text below reads it");

/// A row of blocks for each. Thread i of n writes words of 16 bits i, i + n, …, row after row, so that neighbours write neighbouring ones.
constexpr char kText[] =
#include "runtime/cuda/Moves.ptx.inc"
    ;
constexpr unsigned kThreads = 128, kBlocks = 64; ///< of each, the same for all batches: it has few rows (plan/Shapes.cpp: withRoom)

} // namespace

Moves::~Moves() {
  if (module_)
    gpu_->driver.moduleUnload(module_);
}

void Moves::start(Address moves, size_t count) {
  const Driver &driver = gpu_->driver;
  if (!function_) {
    driver.check(driver.moduleLoad(&module_, kText, 0, nullptr, nullptr), "loading what moves rows");
    driver.check(driver.moduleFunction(&function_, module_, "move"), "loading what moves rows");
  }
  void *parameters[] = {&moves};
  driver.check(driver.launch(function_, kBlocks, static_cast<unsigned>(count), 1, kThreads, 1, 1, 0, gpu_->stream(), parameters, nullptr), "moving rows");
}

} // namespace peftrt::cuda
