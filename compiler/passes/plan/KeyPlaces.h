// KeyPlaces: what a mask over scores says of places: comparisons of a key's place with a row's, both counted out (`isIndex`).
#pragma once
#include "compiler/passes/plan/Space.h"

namespace mlir::plan {

/// The constant that a value of places adds to its axis' own.
int64_t offsetOf(Value index);

/// Key j, less the row's own index or 0, compared with a constant.
struct Comparison {
  enum Kind { lt, le, eq, ge, gt } kind;
  bool ofRow;
  int64_t offset;
};
/// Nothing for an op that compares something else.
std::optional<Comparison> comparisonOf(Operation *op);

} // namespace mlir::plan
