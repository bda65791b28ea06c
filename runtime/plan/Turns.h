// Turns: what a device is asked for, one after another: a step on all of its rows, or, of a band's steps, on the rows that the band is at.
//
// A device does a step on all rows faster than on some: its plan has bands only where rows are so wide that few of them are to lie somewhere at a time
// (plan-narrow-bands). It is then as one thread of a CPU's (Bands.h), which takes so many rows through the band's steps as the plan says, until all are done. Every
// kernel is told which rows it is at, so the numbers are those of the steps done on all rows.
#pragma once
#include "runtime/plan/Prepared.h"

namespace peftrt::plan {

struct Turn {
  size_t step;
  std::optional<RowRange> rows; ///< of the band; nothing: all

  bool isLast() const { return !rows || rows->isEnd; } ///< of the step's
};

/// Of the steps begin … end - 1. Of a plan for threads, what stands outside bands. `room`: the size that products are made for.
std::vector<Turn> turnsOf(const Prepared &prepared, size_t begin, size_t end, const BatchSize &room);
/// The kernels among them.
std::vector<KernelUse> usesOf(const Prepared &prepared, const std::vector<Turn> &turns, const std::vector<Packed> &values);
/// The products that a turn asks LibTorch for. `size`: the batch's.
std::vector<products::Call> productsOf(const Prepared &prepared, const Turn &turn, const std::vector<Packed> &values, const BatchSize &size, const BatchSize &room);

} // namespace peftrt::plan
