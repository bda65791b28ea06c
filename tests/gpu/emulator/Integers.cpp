// Integers: integer arithmetic of Instructions.h. What the manual leaves open (a quotient by 0) is a Fault.
#include "tests/gpu/emulator/Fault.h"
#include "tests/gpu/emulator/Instructions.h"
#include <limits>
#include <type_traits>

namespace emulator {
namespace {

template <class T> struct Wider;
template <> struct Wider<int16_t> { using Type = int32_t; };
template <> struct Wider<uint16_t> { using Type = uint32_t; };
template <> struct Wider<int32_t> { using Type = int64_t; };
template <> struct Wider<uint32_t> { using Type = uint64_t; };
template <> struct Wider<int64_t> { using Type = __int128; };
template <> struct Wider<uint64_t> { using Type = unsigned __int128; };
template <class T> using Wide = typename Wider<T>::Type;

/// Without overflow of signed numbers, which C++ leaves open and PTX wraps.
template <class T> T wrapped(Wide<T> value) { return static_cast<T>(value); }
template <class T> Wide<T> product(T a, T b) { return static_cast<Wide<T>>(a) * static_cast<Wide<T>>(b); }
template <class T> T high(T a, T b) { return static_cast<T>(product(a, b) >> (8 * sizeof(T))); }
template <class T> T sum(T a, T b) { return static_cast<T>(static_cast<std::make_unsigned_t<T>>(a) + static_cast<std::make_unsigned_t<T>>(b)); }

template <class T> T quotient(T a, T b) {
  if (b == 0)
    throw Fault("divides by 0");
  return wrapped<T>(static_cast<Wide<T>>(a) / b);
}

template <class T> T remainder(T a, T b) {
  if (b == 0)
    throw Fault("divides by 0");
  return wrapped<T>(static_cast<Wide<T>>(a) % b);
}

template <class T> T saturated(Wide<T> value) {
  return value > std::numeric_limits<T>::max() ? std::numeric_limits<T>::max() : value < std::numeric_limits<T>::min() ? std::numeric_limits<T>::min() : static_cast<T>(value);
}

template <class T> void addAll(Forms &forms, const std::string &type) {
  forms["add." + type] = formOf<sum<T>, T, T, T>();
  forms["sub." + type] = formOf<[](T a, T b) { return wrapped<T>(static_cast<Wide<T>>(a) - b); }, T, T, T>();
  forms["mul.lo." + type] = formOf<[](T a, T b) { return wrapped<T>(product(a, b)); }, T, T, T>();
  forms["mul.hi." + type] = formOf<high<T>, T, T, T>();
  forms["mad.lo." + type] = formOf<[](T a, T b, T c) { return sum(wrapped<T>(product(a, b)), c); }, T, T, T, T>();
  forms["mad.hi." + type] = formOf<[](T a, T b, T c) { return sum(high(a, b), c); }, T, T, T, T>();
  forms["div." + type] = formOf<quotient<T>, T, T, T>();
  forms["rem." + type] = formOf<remainder<T>, T, T, T>();
  forms["min." + type] = formOf<[](T a, T b) { return a < b ? a : b; }, T, T, T>();
  forms["max." + type] = formOf<[](T a, T b) { return (a > b) ? a : b; }, T, T, T>();
}

template <class T> void addSigned(Forms &forms, const std::string &type) {
  forms["neg." + type] = formOf<[](T a) { return wrapped<T>(-static_cast<Wide<T>>(a)); }, T, T>();
  forms["abs." + type] = formOf<[](T a) { return wrapped<T>(a < 0 ? -static_cast<Wide<T>>(a) : a); }, T, T>();
}

template <class T> void addWide(Forms &forms, const std::string &type) {
  using W = Wide<T>;
  forms["mul.wide." + type] = formOf<product<T>, W, T, T>();
  forms["mad.wide." + type] = formOf<[](T a, T b, W c) { return sum<W>(product(a, b), c); }, W, T, T, W>();
}

} // namespace

void addIntegers(Forms &forms) {
  addAll<int16_t>(forms, "s16"), addAll<uint16_t>(forms, "u16");
  addAll<int32_t>(forms, "s32"), addAll<uint32_t>(forms, "u32");
  addAll<int64_t>(forms, "s64"), addAll<uint64_t>(forms, "u64");
  addSigned<int16_t>(forms, "s16"), addSigned<int32_t>(forms, "s32"), addSigned<int64_t>(forms, "s64");
  addWide<int16_t>(forms, "s16"), addWide<uint16_t>(forms, "u16"), addWide<int32_t>(forms, "s32"), addWide<uint32_t>(forms, "u32");
  forms["add.sat.s32"] = formOf<[](int32_t a, int32_t b) { return saturated<int32_t>(int64_t{a} + b); }, int32_t, int32_t, int32_t>();
  forms["sub.sat.s32"] = formOf<[](int32_t a, int32_t b) { return saturated<int32_t>(int64_t{a} - b); }, int32_t, int32_t, int32_t>();
}

} // namespace emulator
