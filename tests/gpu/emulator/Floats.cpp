// Floats: arithmetic of f32 and f64 of Instructions.h.
//
// Numerics  every result is the one that the opcode's rounding gives. Approximations (ex2.approx and its like) are correctly rounded here: a GPU's differ within
//           the manual's bounds, so a test may not ask for their bits. Products and sums without a rounding are not joined, though an assembler may.
// Built with -frounding-math: the mode of rounding is a part of what an operation is.
#include "tests/gpu/emulator/Instructions.h"
#include <cfenv>
#include <cmath>
#include <limits>

namespace emulator {
namespace {

/// While it lives, operations round so.
class Rounding {
public:
  explicit Rounding(int mode) { std::fesetround(mode); }
  ~Rounding() { std::fesetround(FE_TONEAREST); }
};

float flushed(float a) { return std::fpclassify(a) == FP_SUBNORMAL ? std::copysign(0.0f, a) : a; }

/// .sat: into [0, 1], a NaN to 0.
template <class T> T saturated(T a) { return !(a > 0) ? T{0} : a > 1 ? T{1} : a; }

enum Modifier { kFlush = 1, kSaturate = 2 };

template <class T, auto F, int mode, int modifiers, class... A> T computed(A... a) {
  if constexpr (modifiers & kFlush)
    ((a = flushed(a)), ...);
  volatile T result; // else what follows the change of mode could be moved before it
  if constexpr (mode == FE_TONEAREST) {
    result = F(a...);
  } else {
    const Rounding rounding(mode);
    result = F(a...);
  }
  T value = result;
  if constexpr (modifiers & kFlush)
    value = flushed(value);
  return modifiers & kSaturate ? saturated(value) : value;
}

template <class T, auto F, class... A> void addRounded(Forms &forms, const std::string &name, bool isOptional) {
  constexpr bool isSingle = sizeof(T) == 4;
  const std::string type = isSingle ? "f32" : "f64";
  const auto all = [&]<int mode>(const std::string &rounding) {
    forms[name + rounding + "." + type] = formOf<computed<T, F, mode, 0, A...>, T, A...>();
    if constexpr (isSingle) {
      forms[name + rounding + ".ftz." + type] = formOf<computed<T, F, mode, kFlush, A...>, T, A...>();
      forms[name + rounding + ".sat." + type] = formOf<computed<T, F, mode, kSaturate, A...>, T, A...>();
      forms[name + rounding + ".ftz.sat." + type] = formOf<computed<T, F, mode, kFlush | kSaturate, A...>, T, A...>();
    }
  };
  if (isOptional)
    all.template operator()<FE_TONEAREST>("");
  all.template operator()<FE_TONEAREST>(".rn"), all.template operator()<FE_TOWARDZERO>(".rz"), all.template operator()<FE_DOWNWARD>(".rm"), all.template operator()<FE_UPWARD>(".rp");
}

/// The number where one of two is none; -0 is less than +0.
template <class T> T least(T a, T b) { return std::isnan(a) ? (std::isnan(b) ? std::numeric_limits<T>::quiet_NaN() : b) : std::isnan(b) ? a : a == b ? (std::signbit(a) ? a : b) : a < b ? a : b; }
template <class T> T greatest(T a, T b) { return std::isnan(a) ? (std::isnan(b) ? std::numeric_limits<T>::quiet_NaN() : b) : std::isnan(b) ? a : a == b ? (std::signbit(a) ? b : a) : a > b ? a : b; }
template <class T, T (*F)(T, T)> T orNone(T a, T b) { return std::isnan(a) || std::isnan(b) ? std::numeric_limits<T>::quiet_NaN() : F(a, b); }

template <class T> void addArithmetic(Forms &forms, const std::string &type) {
  addRounded<T, [](T a, T b) { return a + b; }, T, T>(forms, "add", true);
  addRounded<T, [](T a, T b) { return a - b; }, T, T>(forms, "sub", true);
  addRounded<T, [](T a, T b) { return a * b; }, T, T>(forms, "mul", true);
  addRounded<T, [](T a, T b, T c) { return std::fma(a, b, c); }, T, T, T>(forms, "fma", false);
  addRounded<T, [](T a, T b, T c) { return std::fma(a, b, c); }, T, T, T>(forms, "mad", false);
  addRounded<T, [](T a, T b) { return a / b; }, T, T>(forms, "div", false);
  addRounded<T, [](T a) { return 1 / a; }, T>(forms, "rcp", false);
  addRounded<T, [](T a) { return std::sqrt(a); }, T>(forms, "sqrt", false);
  forms["neg." + type] = formOf<[](T a) { return -a; }, T, T>();
  forms["abs." + type] = formOf<[](T a) { return std::fabs(a); }, T, T>();
  forms["copysign." + type] = formOf<[](T a, T b) { return std::copysign(b, a); }, T, T, T>(); // the sign is the first one's
  forms["min." + type] = formOf<least<T>, T, T, T>();
  forms["max." + type] = formOf<greatest<T>, T, T, T>();
  forms["testp.finite." + type] = formOf<[](T a) { return std::isfinite(a); }, bool, T>();
  forms["testp.infinite." + type] = formOf<[](T a) { return std::isinf(a); }, bool, T>();
  forms["testp.number." + type] = formOf<[](T a) { return !std::isnan(a); }, bool, T>();
  forms["testp.notanumber." + type] = formOf<[](T a) { return std::isnan(a); }, bool, T>();
  forms["testp.normal." + type] = formOf<[](T a) { return std::isnormal(a); }, bool, T>();
  forms["testp.subnormal." + type] = formOf<[](T a) { return std::fpclassify(a) == FP_SUBNORMAL; }, bool, T>();
}

/// `name.f32` and `name.ftz.f32`
template <auto F, class... A> void addFlushing(Forms &forms, const std::string &name) {
  forms[name + ".f32"] = formOf<F, float, A...>();
  forms[name + ".ftz.f32"] = formOf<computed<float, F, FE_TONEAREST, kFlush, A...>, float, A...>();
}

/// By way of double, so that the result is the nearest f32.
template <double (*F)(double)> float nearest(float a) { return static_cast<float>(F(a)); }
double inverseRoot(double a) { return 1 / std::sqrt(a); }
float quotient(float a, float b) { return a / b; }

void addApproximations(Forms &forms) {
  addFlushing<quotient, float, float>(forms, "div.approx");
  addFlushing<quotient, float, float>(forms, "div.full");
  addFlushing<[](float a) { return 1 / a; }, float>(forms, "rcp.approx");
  addFlushing<[](float a) { return std::sqrt(a); }, float>(forms, "sqrt.approx");
  addFlushing<nearest<inverseRoot>, float>(forms, "rsqrt.approx");
  addFlushing<nearest<std::exp2>, float>(forms, "ex2.approx");
  addFlushing<nearest<std::log2>, float>(forms, "lg2.approx");
  addFlushing<nearest<std::sin>, float>(forms, "sin.approx");
  addFlushing<nearest<std::cos>, float>(forms, "cos.approx");
  forms["tanh.approx.f32"] = formOf<nearest<std::tanh>, float, float>();
}

} // namespace

void addFloats(Forms &forms) {
  addArithmetic<float>(forms, "f32"), addArithmetic<double>(forms, "f64");
  addFlushing<[](float a) { return -a; }, float>(forms, "neg");
  addFlushing<[](float a) { return std::fabs(a); }, float>(forms, "abs");
  addFlushing<least<float>, float, float>(forms, "min");
  addFlushing<greatest<float>, float, float>(forms, "max");
  addFlushing<orNone<float, least<float>>, float, float>(forms, "min.NaN"), addFlushing<orNone<float, greatest<float>>, float, float>(forms, "max.NaN");
  forms["min.ftz.NaN.f32"] = forms.at("min.NaN.ftz.f32"), forms["max.ftz.NaN.f32"] = forms.at("max.NaN.ftz.f32"); // the manual's order
  forms.erase("min.NaN.ftz.f32"), forms.erase("max.NaN.ftz.f32");
  addApproximations(forms);
}

} // namespace emulator
