// AttentionSteps: softmax attention of each head of each example, and its way back, by LibTorch: on CUDA by its flash attention of examples of different lengths, where
// it has no CUDA by products, head by head.
//
// A query row i of an example with r rows and n keys has its place among the keys: i + n - r. It sees the keys from `left` before that place to `right` behind it.
//   scores[i, j] = scale · q[i] · k[j]      lse[i] = log Σ_j exp(scores[i, j])      context[i] = Σ_j exp(scores[i, j] - lse[i]) left[i, j] v[j]
// Where it drops, left is 0 with that probability and else 1 / (1 - it); without, 1. The library draws for that by a seed which the run, its step and the site make.
// In   q [rows, heads, size], k and v [keys, kv heads, size], each of which serves heads / kv heads in succession; bf16, their rows at any pitch
//      backward: the context's gradient before them, and behind them all that forward gave
// Out  context like q, lse, and where it drops what was drawn by, [2] i64; backward: the gradients of q, k and v
// lse is f32 in the library's order, [heads, rows of the batch]: no other step reads it
// Errs R0102 a step that says something else
#pragma once
#include "runtime/plan/Device.h"
#include "runtime/plan/Packed.h"
#include <map>
#include <optional>
#include <tuple>

namespace peftrt::plan {

struct AttentionStep {
  bool isBackward = false;
  double scale = 1, dropout = 0;
  uint32_t site = 0; ///< of random numbers
  std::optional<int64_t> left, right; ///< absent: all
  Dim rows, keys;
};
AttentionStep attentionStepOf(const Op &op, const Program &program);

/// Where each example's rows begin in a run's batch, and the end, as LibTorch's attention asks for it; at the same place in each run.
class RowStarts {
public:
  struct Rows {
    at::Tensor starts; ///< [E + 1] i32
    int64_t longest = 0;
  };
  explicit RowStarts(Device &device) : device_(device) {}
  /// For another batch.
  void begin() { known_.clear(); }
  const Rows &of(const Dim &rows, const BatchSize &size);

private:
  using Key = std::tuple<int64_t, int64_t, int64_t>;
  Device &device_;
  std::map<Key, Rows> known_;
  std::map<Key, at::Tensor> rooms_;
};

void attend(const AttentionStep &step, const Op &op, std::vector<Packed> &values, const BatchSize &size, const RandomState &random, RowStarts &starts);

} // namespace peftrt::plan
