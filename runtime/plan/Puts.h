// Puts: the newest entries of each text, written behind those that are kept (`put_last` in place): where they go follows from the texts' lengths, which a device is told with
// each run (Kernels::move), so that what is recorded of one token is done for the next one.
#pragma once
#include "runtime/plan/KernelSteps.h"

namespace peftrt::plan {

/// Whether the step, of kind `kind`, is that: along the first axis, in one type.
bool isPut(const Op &op, const std::string &kind, const Program &program);
/// A move for each text of the room; of those that the batch has not, one of no rows.
std::vector<Move> movesOfPut(const Op &op, const std::vector<Packed> &values, const BatchSize &size, const BatchSize &room);

} // namespace peftrt::plan
