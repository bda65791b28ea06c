// KeyRange: the keys that a tile of query rows needs, where the kernel's body says that the others count for nothing.
//
// A mask `select(seen, scores, lowest)`, whose `seen` compares places along the keys with places along the rows, bounds the keys that any row of a tile sees. The
// tile's work may end at those bounds if nothing that leaves its matrices notices: a maximum does not notice the lowest number, a sum or a product no zeros
// (which exp of the lowest number, less the row's maximum, is). All of that is read off the ops; what is not understood keeps all keys.
#pragma once
#include "compiler/conversion/Code.h"
#include "compiler/passes/plan/KeyPlaces.h"
#include "dialects/nn/Nn.h"
#include "dialects/plan/Plan.h"
#include <optional>

namespace peftc::conversion {

class KeyRange {
public:
  /// `rowCount`, `keyCount`: of the kernel's tiles.
  KeyRange(mlir::plan::KernelOp op, mlir::nn::Dim rowCount, mlir::nn::Dim keyCount);
  /// The first key of a tile that begins with `firstRow`, and one beyond the last of one that ends with `lastRow`; nothing where all keys are needed on that side.
  std::optional<mlir::Value> begin(Code &code, mlir::Value firstRow) const { return at(code, first, firstRow); }
  std::optional<mlir::Value> end(Code &code, mlir::Value lastRow) const { return at(code, last, lastRow); }

private:
  static std::optional<mlir::Value> at(Code &code, const std::optional<mlir::plan::Bound> &bound, mlir::Value row);
  std::optional<mlir::plan::Bound> first, last;
};

} // namespace peftc::conversion
