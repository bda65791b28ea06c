// Half: f16 and bf16 as types, with the roundings that PTX has. Arithmetic is done in double and rounded once: `oddSum` keeps what a double cannot hold from
// being rounded twice.
#pragma once
#include <cmath>
#include <cstdint>
#include <cstring>

namespace emulator {

/// A number of 16 bits with a sign, `exponentBits` and the rest.
template <int exponentBits> struct Half {
  static constexpr int kFraction = 15 - exponentBits, kBias = (1 << (exponentBits - 1)) - 1, kTopExponent = (1 << exponentBits) - 1;
  uint16_t bits = 0;

  explicit operator double() const {
    const int exponent = bits >> kFraction & kTopExponent, fraction = bits & ((1 << kFraction) - 1);
    const double sign = bits & 0x8000 ? -1 : 1;
    if (exponent == kTopExponent)
      return fraction ? std::nan("") : sign * INFINITY;
    return exponent ? sign * std::ldexp(1 + std::ldexp(fraction, -kFraction), exponent - kBias) : sign * std::ldexp(fraction, 1 - kBias - kFraction);
  }
  explicit operator float() const { return static_cast<float>(static_cast<double>(*this)); }
  /// To the nearest, ties to even; or towards 0.
  static Half of(double value, bool towardsZero = false) {
    const uint16_t sign = std::signbit(value) ? 0x8000 : 0, infinity = kTopExponent << kFraction;
    if (std::isnan(value))
      return {0x7fff};
    const double size = std::fabs(value);
    if (std::isinf(size))
      return {static_cast<uint16_t>(sign | infinity)};
    const int exponent = size == 0 ? 1 - kBias : std::max(std::ilogb(size), 1 - kBias);
    const double units = std::ldexp(size, kFraction - exponent); // exact: a power of two
    const double whole = towardsZero ? std::trunc(units) : std::nearbyint(units);
    const int64_t magnitude = static_cast<int64_t>(whole) + (static_cast<int64_t>(exponent - (1 - kBias)) << kFraction); // a carry goes into the exponent
    if (magnitude >= infinity)
      return {static_cast<uint16_t>(sign | (towardsZero ? infinity - 1 : infinity))};
    return {static_cast<uint16_t>(sign | magnitude)};
  }
};
using F16 = Half<5>;
using Bf16 = Half<8>;

/// a + b, rounded to odd where it is inexact: rounding that once more to fewer bits gives what rounding the sum would.
inline double oddSum(double a, double b) {
  const double sum = a + b;
  if (!std::isfinite(sum))
    return sum;
  const double ofB = sum - a, rest = (a - (sum - ofB)) + (b - ofB);
  uint64_t bits;
  std::memcpy(&bits, &sum, sizeof bits);
  return rest == 0 || bits & 1 ? sum : std::nextafter(sum, rest > 0 ? INFINITY : -INFINITY);
}

} // namespace emulator
