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

/// A key index: a constant, or so far behind a row's own index.
struct Bound {
  bool ofRow = false;
  int64_t offset = 0;
  bool operator==(const Bound &other) const { return ofRow == other.ofRow && offset == other.offset; }
};
/// keys begin … end - 1; everything without bounds.
struct Hull {
  std::optional<Bound> begin, end;
  bool isEmpty() const { return end && !end->ofRow && end->offset <= 0; }
  bool isAll() const { return !begin && !end; }
  bool operator==(const Hull &other) const { return begin == other.begin && end == other.end; }
};

/// Where a mask may hold; everything where it says something else of places.
Hull hullOf(Value seen);

} // namespace mlir::plan
