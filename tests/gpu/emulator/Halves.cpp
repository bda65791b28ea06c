// Halves: arithmetic of f16 and bf16, and of two of them in a register, of Instructions.h.
#include "tests/gpu/emulator/Half.h"
#include "tests/gpu/emulator/Instructions.h"

namespace emulator {
namespace {

template <class H> struct Sum {
  static H of(H a, H b) { return H::of(oddSum(double(a), double(b))); }
};
template <class H> struct Difference {
  static H of(H a, H b) { return H::of(oddSum(double(a), -double(b))); }
};
template <class H> struct Product {
  static H of(H a, H b) { return H::of(double(a) * double(b)); } // exact in double
};
template <class H> struct Fused {
  static H of(H a, H b, H c) { return H::of(oddSum(double(a) * double(b), double(c))); }
};
template <class H> struct Negative {
  static H of(H a) { return {static_cast<uint16_t>(a.bits ^ 0x8000)}; }
};
template <class H> struct Absolute {
  static H of(H a) { return {static_cast<uint16_t>(a.bits & 0x7fff)}; }
};
template <class H, bool greater, bool keepsNan> H chosen(H a, H b) {
  const double x(a), y(b);
  if (std::isnan(x) || std::isnan(y))
    return keepsNan || (std::isnan(x) && std::isnan(y)) ? H{0x7fff} : std::isnan(x) ? b : a;
  if (x == y)
    return std::signbit(x) != greater ? a : b;
  return (x > y) == greater ? a : b;
}
template <class H> struct Least {
  static H of(H a, H b) { return chosen<H, false, false>(a, b); }
};
template <class H> struct Greatest {
  static H of(H a, H b) { return chosen<H, true, false>(a, b); }
};
template <class H> struct LeastOrNone {
  static H of(H a, H b) { return chosen<H, false, true>(a, b); }
};
template <class H> struct GreatestOrNone {
  static H of(H a, H b) { return chosen<H, true, true>(a, b); }
};

template <class H> H part(uint32_t both, int which) { return {static_cast<uint16_t>(both >> 16 * which)}; }
uint32_t both(uint16_t low, uint16_t high) { return uint32_t{high} << 16 | low; }

template <template <class> class F, class H> void addOne(Forms &forms, const std::string &name, const std::string &type) {
  forms[name + "." + type] = formOf<F<H>::of, H, H>();
  forms[name + "." + type + "x2"] = formOf<[](uint32_t a) { return both(F<H>::of(part<H>(a, 0)).bits, F<H>::of(part<H>(a, 1)).bits); }, uint32_t, uint32_t>();
}

template <template <class> class F, class H> void addTwo(Forms &forms, const std::string &name, const std::string &type) {
  forms[name + "." + type] = formOf<F<H>::of, H, H, H>();
  forms[name + "." + type + "x2"] = formOf<[](uint32_t a, uint32_t b) { return both(F<H>::of(part<H>(a, 0), part<H>(b, 0)).bits, F<H>::of(part<H>(a, 1), part<H>(b, 1)).bits); }, uint32_t, uint32_t, uint32_t>();
}

template <template <class> class F, class H> void addThree(Forms &forms, const std::string &name, const std::string &type) {
  forms[name + "." + type] = formOf<F<H>::of, H, H, H, H>();
  forms[name + "." + type + "x2"] = formOf<[](uint32_t a, uint32_t b, uint32_t c) { return both(F<H>::of(part<H>(a, 0), part<H>(b, 0), part<H>(c, 0)).bits, F<H>::of(part<H>(a, 1), part<H>(b, 1), part<H>(c, 1)).bits); },
                                           uint32_t, uint32_t, uint32_t, uint32_t>();
}

template <class H> void addHalf(Forms &forms, const std::string &type) {
  for (const char *rounding : {"", ".rn"}) {
    addTwo<Sum, H>(forms, std::string("add") + rounding, type), addTwo<Difference, H>(forms, std::string("sub") + rounding, type);
    addTwo<Product, H>(forms, std::string("mul") + rounding, type);
  }
  addThree<Fused, H>(forms, "fma.rn", type);
  addOne<Negative, H>(forms, "neg", type), addOne<Absolute, H>(forms, "abs", type);
  addTwo<Least, H>(forms, "min", type), addTwo<Greatest, H>(forms, "max", type);
  addTwo<LeastOrNone, H>(forms, "min.NaN", type), addTwo<GreatestOrNone, H>(forms, "max.NaN", type);
  const auto compared = [&]<auto F>(const char *how) { forms[std::string("setp.") + how + "." + type] = formOf<[](H a, H b) { return F(double(a), double(b)); }, bool, H, H>(); };
  compared.template operator()<[](double a, double b) { return a == b; }>("eq");
  compared.template operator()<[](double a, double b) { return a < b || (a > b); }>("ne");
  compared.template operator()<[](double a, double b) { return a != b; }>("neu");
  compared.template operator()<[](double a, double b) { return a < b; }>("lt");
  compared.template operator()<[](double a, double b) { return a <= b; }>("le");
  compared.template operator()<[](double a, double b) { return (a > b); }>("gt");
  compared.template operator()<[](double a, double b) { return (a >= b); }>("ge");
  compared.template operator()<[](double a, double b) { return std::isnan(a) || std::isnan(b); }>("nan");
}

} // namespace

void addHalves(Forms &forms) { addHalf<F16>(forms, "f16"), addHalf<Bf16>(forms, "bf16"); }

} // namespace emulator
