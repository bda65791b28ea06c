// Shapes: the sizes of a program's values for one batch. Standard library only beside the batch.
//
// A per-example value lies as the concatenation over the batch's examples of its row-major blocks, each at the beginning of its room; an element's
// index in that order is its index for random numbers.
#pragma once
#include "runtime/bundle/Format.h"
#include "runtime/plan/Executor.h"
#include <cstdint>
#include <vector>

namespace peftrt {

/// What sizes depend on: the examples' lengths, and in a flat program the length of the run's vectors.
struct BatchSize {
  Lengths lengths;
  Lengths rooms;                        ///< how long a sequence may become: where the next example's block begins
  std::vector<int64_t> tokens, squares; ///< Σ room by sequence, Σ of the product of two rooms by pair of sequences
  bool flat = false;
  int64_t flatLength = 1;
  int64_t examples() const { return static_cast<int64_t>(lengths.at(0).size()); }
  /// Rows of all examples together.
  int64_t rowsOf(const Dim &dim) const { return dim.c * examples() + (dim.ragged() ? dim.k * tokens.at(static_cast<size_t>(dim.sequence)) : 0); }
  int64_t bytesOf(const SlotSize &slot) const; ///< without what each thread has
};

/// `tensors`: the run-level inputs; the longest vector of them is a flat program's length. Errs R0102 vectors of other lengths.
BatchSize sizeOf(const Program &program, const Batch &batch, const std::map<std::string, at::Tensor> &tensors);

/// A size that batches of nearly this one's share, so that what is planned for one serves them all: at least its examples, tokens and squares. Its examples have the
/// lengths of this one's, and none behind them.
BatchSize withRoom(const BatchSize &size);

/// The shape of one example's block, where its sequences are as long as that.
std::vector<int64_t> blockShape(const Value &value, const Lengths &lengths, int64_t example);
/// The shape of a value of the run.
std::vector<int64_t> runShape(const Value &value, const BatchSize &size);
int64_t product(const std::vector<int64_t> &shape);
/// Elements of all rooms.
int64_t elementsOf(const Value &value, const BatchSize &size);
/// Where each example's room begins, and the end: E + 1 offsets.
std::vector<int64_t> blockOffsets(const Value &value, const BatchSize &size);

} // namespace peftrt
