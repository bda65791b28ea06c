// Random: uniform numbers inside kernels, the same as runtime/cpu/Philox.h makes (Philox4x32-7, 24 or 16 bits, in [0, 1)).
#pragma once
#include "compiler/conversion/Code.h"
#include "dialects/nn/Nn.h"

namespace peftc::conversion {

/// What a site's numbers depend on besides the element.
struct RandomKey {
  mlir::Value key0, key1, site, step, passAndRate; ///< i32
  bool halves;                                     ///< `uniform16`: a word of a block is two numbers
};
RandomKey randomKeyOf(Code &code, mlir::Value call, mlir::nn::RandomOp op);

/// Bytes beyond the numbers that a buffer for them needs.
constexpr int64_t kRandomSlack = 4 * 32 + 7;

/// Writes the numbers of the elements first … first + count - 1 behind `buffer`; returns the place of the first one's (numbers are made in
/// blocks, so that it lies up to seven elements behind the buffer's begin). Needs count + kRandomSlack floats.
mlir::Value fillRandom(Code &code, const RandomKey &key, mlir::Value first, mlir::Value count, mlir::Value buffer);

} // namespace peftc::conversion
