// Conversions: cvt of Instructions.h. Built with -frounding-math.
#include "tests/gpu/emulator/Half.h"
#include "tests/gpu/emulator/Instructions.h"
#include <algorithm>
#include <cfenv>
#include <limits>
#include <type_traits>

namespace emulator {
namespace {

/// F with the mode of rounding; the volatile result is done when the mode changes back.
template <class T, class F> T rounded(int mode, F f) {
  std::fesetround(mode);
  volatile T result = f();
  std::fesetround(FE_TONEAREST);
  return result;
}

template <class F> double integral(int mode, F value) {
  return rounded<double>(mode, [&] { return std::nearbyint(static_cast<double>(value)); });
}

/// Saturated; what is no number becomes 0, or 2^(bits - 1) where one of both types has 64 bits (9.7.9.21 of the manual).
template <class D, class S, int mode> D toInteger(S value) {
  if (std::isnan(static_cast<double>(value)))
    return sizeof(S) == 8 || sizeof(D) == 8 ? static_cast<D>(uint64_t{1} << (8 * sizeof(D) - 1)) : D{0};
  const double whole = integral(mode, value), end = std::ldexp(1.0, 8 * sizeof(D) - (std::is_signed_v<D> ? 1 : 0));
  return whole >= end ? std::numeric_limits<D>::max() : whole < static_cast<double>(std::numeric_limits<D>::min()) ? std::numeric_limits<D>::min() : static_cast<D>(whole);
}

template <class D, class S> void addToInteger(Forms &forms, const std::string &d, const std::string &s) {
  forms["cvt.rni." + d + "." + s] = formOf<toInteger<D, S, FE_TONEAREST>, D, S>();
  forms["cvt.rzi." + d + "." + s] = formOf<toInteger<D, S, FE_TOWARDZERO>, D, S>();
  forms["cvt.rmi." + d + "." + s] = formOf<toInteger<D, S, FE_DOWNWARD>, D, S>();
  forms["cvt.rpi." + d + "." + s] = formOf<toInteger<D, S, FE_UPWARD>, D, S>();
}

template <class D, class S, int mode> D toFloat(S value) {
  return rounded<D>(mode, [&] { return static_cast<D>(*const_cast<const volatile S *>(&value)); });
}

/// From an integer, or from f64 to f32.
template <class D, class S> void addToFloat(Forms &forms, const std::string &d, const std::string &s) {
  forms["cvt.rn." + d + "." + s] = formOf<toFloat<D, S, FE_TONEAREST>, D, S>();
  forms["cvt.rz." + d + "." + s] = formOf<toFloat<D, S, FE_TOWARDZERO>, D, S>();
  forms["cvt.rm." + d + "." + s] = formOf<toFloat<D, S, FE_DOWNWARD>, D, S>();
  forms["cvt.rp." + d + "." + s] = formOf<toFloat<D, S, FE_UPWARD>, D, S>();
}

template <class T, int mode> T toIntegral(T value) { return std::isfinite(value) ? std::copysign(static_cast<T>(integral(mode, value)), value) : value; }

template <class T> void addIntegral(Forms &forms, const std::string &type) {
  forms["cvt.rni." + type + "." + type] = formOf<toIntegral<T, FE_TONEAREST>, T, T>();
  forms["cvt.rzi." + type + "." + type] = formOf<toIntegral<T, FE_TOWARDZERO>, T, T>();
  forms["cvt.rmi." + type + "." + type] = formOf<toIntegral<T, FE_DOWNWARD>, T, T>();
  forms["cvt.rpi." + type + "." + type] = formOf<toIntegral<T, FE_UPWARD>, T, T>();
  addToInteger<int16_t, T>(forms, "s16", type), addToInteger<uint16_t, T>(forms, "u16", type);
  addToInteger<int32_t, T>(forms, "s32", type), addToInteger<uint32_t, T>(forms, "u32", type);
  addToInteger<int64_t, T>(forms, "s64", type), addToInteger<uint64_t, T>(forms, "u64", type);
}

/// To another integer: cut off or extended by the source's sign; .sat: the nearest that there is. A register may be wider than the type: a signed result is
/// extended into it by its sign.
template <class D, class S> uint64_t extended(S value) {
  const D result = static_cast<D>(value);
  return std::is_signed_v<D> ? static_cast<uint64_t>(static_cast<int64_t>(result)) : static_cast<uint64_t>(result);
}

template <class D, class S> uint64_t saturated(S value) {
  const __int128 wide = value, low = std::numeric_limits<D>::min(), high = std::numeric_limits<D>::max();
  return extended<D, D>(static_cast<D>(std::clamp(wide, low, high)));
}

template <class D, class S> void addInteger(Forms &forms, const std::string &d, const std::string &s) {
  forms["cvt." + d + "." + s] = formOf<extended<D, S>, uint64_t, S>();
  forms["cvt.sat." + d + "." + s] = formOf<saturated<D, S>, uint64_t, S>();
}

template <class S> void addFromInteger(Forms &forms, const std::string &s) {
  addInteger<int8_t, S>(forms, "s8", s), addInteger<uint8_t, S>(forms, "u8", s), addInteger<int16_t, S>(forms, "s16", s), addInteger<uint16_t, S>(forms, "u16", s);
  addInteger<int32_t, S>(forms, "s32", s), addInteger<uint32_t, S>(forms, "u32", s), addInteger<int64_t, S>(forms, "s64", s), addInteger<uint64_t, S>(forms, "u64", s);
  addToFloat<float, S>(forms, "f32", s), addToFloat<double, S>(forms, "f64", s);
}

template <class H, bool towardsZero, bool relu> H narrowed(float value) { return H::of(relu && !(value > 0) && !std::isnan(value) ? 0.0 : value, towardsZero); }

/// Of two: the first source is the high half.
template <class H, bool towardsZero, bool relu> uint32_t narrowedPair(float high, float low) {
  return uint32_t{narrowed<H, towardsZero, relu>(high).bits} << 16 | narrowed<H, towardsZero, relu>(low).bits;
}

template <class H> void addHalf(Forms &forms, const std::string &type) {
  forms["cvt.rn." + type + ".f32"] = formOf<narrowed<H, false, false>, H, float>();
  forms["cvt.rz." + type + ".f32"] = formOf<narrowed<H, true, false>, H, float>();
  forms["cvt.rn.relu." + type + ".f32"] = formOf<narrowed<H, false, true>, H, float>();
  forms["cvt.rn." + type + "x2.f32"] = formOf<narrowedPair<H, false, false>, uint32_t, float, float>();
  forms["cvt.rz." + type + "x2.f32"] = formOf<narrowedPair<H, true, false>, uint32_t, float, float>();
  forms["cvt.rn.relu." + type + "x2.f32"] = formOf<narrowedPair<H, false, true>, uint32_t, float, float>();
  forms["cvt.f32." + type] = formOf<[](H value) { return static_cast<float>(value); }, float, H>();
}

float unit(float a) { return !(a > 0) ? 0.0f : a > 1 ? 1.0f : a; }

/// To the nearest of ten bits of fraction, ties away from 0.
float tf32(float value) { return std::isfinite(value) ? bitsAs<float>((bitsOf(value) + 0x1000) & 0xffffe000) : value; }

} // namespace

void addConversions(Forms &forms) {
  addFromInteger<int8_t>(forms, "s8"), addFromInteger<uint8_t>(forms, "u8"), addFromInteger<int16_t>(forms, "s16"), addFromInteger<uint16_t>(forms, "u16");
  addFromInteger<int32_t>(forms, "s32"), addFromInteger<uint32_t>(forms, "u32"), addFromInteger<int64_t>(forms, "s64"), addFromInteger<uint64_t>(forms, "u64");
  addIntegral<float>(forms, "f32"), addIntegral<double>(forms, "f64");
  addToFloat<float, double>(forms, "f32", "f64");
  forms["cvt.f64.f32"] = formOf<[](float value) { return static_cast<double>(value); }, double, float>();
  forms["cvt.sat.f32.f32"] = formOf<unit, float, float>();
  addHalf<F16>(forms, "f16"), addHalf<Bf16>(forms, "bf16");
  forms["cvt.f64.f16"] = formOf<[](F16 value) { return static_cast<double>(value); }, double, F16>();
  forms["cvt.rna.tf32.f32"] = formOf<tf32, float, float>();
}

} // namespace emulator
