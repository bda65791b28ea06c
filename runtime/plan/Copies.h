// Copies: steps that write matrices of f32 or bf16 elsewhere, rounded or widened where types differ, and do nothing else: a weight's borders, and casts of what does not
// grow with the batch. LibTorch allocates nothing for them.
#pragma once
#include "runtime/plan/KernelSteps.h"
#include <c10/core/Device.h>

namespace peftrt::plan {

/// Element (i, j) lies i * row + j * column elements behind `begin`.
struct Strided {
  void *begin;
  int64_t row, column;
  bool isBf16;
};
/// [rows, columns]
struct Copy {
  Strided from, to;
  int64_t rows, columns;
};

bool isCopies(const Op &op, const Program &program);
/// Errs R0102 a border that does not say where its parts lie.
std::vector<Copy> copiesOf(const Op &op, const std::vector<Packed> &values);
/// By LibTorch, in memory of `device` that others hold. On any thread.
void copy(const Copy &one, c10::Device device);
void tell(const Copy &one, Given &given);

} // namespace peftrt::plan
