// Prepared: a plan's program with what does not depend on the batch looked up once: who does each step, and what a device may be asked for without waiting.
//
// Errs  R0102 a step that there is no handler for; bands whose steps cannot be done by rows
#pragma once
#include "runtime/plan/AttentionSteps.h"
#include "runtime/plan/Borders.h"
#include "runtime/plan/Rooms.h"
#include "runtime/plan/Stretches.h"

namespace peftrt::plan {

/// Who does a step; nobody, where there is nothing to do.
struct Work {
  Handler handler = nullptr;
  std::optional<KernelStep> kernel;
  std::optional<ProductStep> product, branch; ///< which its handler does too, slower
  std::optional<AttentionStep> attention;
  bool copies = false;  ///< Copies.h
  // On a device that is no threads:
  bool isPlain = false; ///< its products are asked for without the handler
  bool hasRoom = false; ///< and for more rows than there are
  bool puts = false;    ///< Puts.h
  ProductsOfStep products() const { return {product ? &*product : nullptr, branch ? &*branch : nullptr}; }
  bool isAsked() const { return kernel || isPlain || copies || puts; } ///< and not done by the handler
  bool isNothing() const { return !handler && !kernel && !attention && !copies; }
};

struct Prepared {
  PlanProgram plan;
  std::vector<Work> works = {};                    ///< one per step
  std::vector<size_t> bandEnds = {};               ///< one per step: behind the band that begins with it, or the step itself
  std::vector<Reading> readings = {};              ///< one per step
  std::vector<std::vector<int64_t>> unread = {};   ///< of a streamed program, one per step: values that no later one reads
  bool onThreads = true;                           ///< this process's own do the steps
  bool hasRoom = false;                            ///< of a device: its batches may have more room than they take (Rooms.h)
  std::vector<Stretch> stretches = {};             ///< of a device: what it may record, in order
  std::vector<std::vector<Factor>> clearings = {}; ///< of a device, one per step: the tails that are cleared before it
};

/// `onThreads`: for this process's own.
Prepared prepared(PlanProgram plan, Kernels &kernels, bool onThreads);

} // namespace peftrt::plan
