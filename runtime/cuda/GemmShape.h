// GemmShape: everything of a product that decides which algorithm is the fastest, or may do it.
#pragma once
#include "runtime/products/Code.h"
#include <compare>
#include <optional>
#include <string>

namespace peftrt::cuda {

/// C [rows, columns] = A [rows, depth] B [depth, columns], or that and a sum; in rows, as products::Call has it.
struct GemmShape {
  enum class Sum { none, apart, inPlace /**< the sum is C */ };
  int64_t rows = 0, columns = 0, depth = 0;
  bool aTurned = false, bTurned = false; ///< it lies as [depth, rows], [columns, depth]
  int64_t aPitch = 0, bPitch = 0, cPitch = 0; ///< numbers from a row of what lies there to the next
  bool factorsAreBf16 = false, resultIsBf16 = false;
  Sum sum = Sum::none;
  uint32_t aAlignment = 0, bAlignment = 0, cAlignment = 0, sumAlignment = 0; ///< bytes, of the addresses; 256 at most
  auto operator<=>(const GemmShape &) const = default;
  /// `12x64x32 bf16 to f32; a 32 @256; b turned 32 @256; c 64 @16; added in place`: a name, in files too.
  std::string name() const;
};

/// Nothing where there is nothing to multiply, or an operand's numbers are not adjacent in one direction, or the factors are of two types.
std::optional<GemmShape> shapeOf(const products::Call &call);

} // namespace peftrt::cuda
