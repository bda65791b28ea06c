// WholeProducts: matrix products of the whole batch, C = A B or C += A B in f32, for CPUs that LibTorch's library does not serve well.
//
// Two functions: `product_pack` lays B out in panels, `product_rows` multiplies rows of A by them. Both take a ProductCall (runtime/cpu/Products.h has the
// same in C) and a range of tasks: panels, and rows.
//
// Panels  B is cut into blocks of kDepth rows, a block into panels of `panelColumns` columns, zeros beyond the last column. Panel p of block d begins at
//         d * kDepth * (columns, rounded up to panels) + p * (rows of the block) * panelColumns, row after row.
// Numerics  every element of C is one chain of fused multiply-adds along the depth, whatever the rows of a call: threads change nothing.
#pragma once
#include "mlir/IR/Builders.h"

namespace peftc::conversion {

/// `lanes`: f32 that a row kernel takes at a time: two registers.
void emitWholeProducts(mlir::OpBuilder &builder, mlir::Location loc, unsigned lanes);

} // namespace peftc::conversion
