// Instructions: each family's results, as the PTX manual's semantics have them: against this machine's arithmetic, the manual's pseudo-code written again, and
// its special cases by hand. And how many instructions a second there are.
#include "tests/gpu/emulator/Case.h"
#include <bit>
#include <cfenv>
#include <cmath>
#include <ctime>
#include <limits>
#include <random>

using namespace emulator;

namespace {

/// A source: its width in bits and its bits. Of width 1 a predicate.
struct Source {
  int width;
  uint64_t bits;
};
Source u16(uint32_t value) { return {16, value & 0xffff}; }
Source u32(uint32_t value) { return {32, value}; }
Source s32(int32_t value) { return {32, static_cast<uint32_t>(value)}; }
Source u64(uint64_t value) { return {64, value}; }
Source f32(float value) { return {32, std::bit_cast<uint32_t>(value)}; }
Source f64(double value) { return {64, std::bit_cast<uint64_t>(value)}; }
Source pred(bool value) { return {1, value}; }

std::string registerOf(int width, int index) { return (width == 16 ? "%rs" : width == 32 ? "%r" : width == 64 ? "%rd" : "%p") + std::to_string(index); }

/// The bits of the result, `width` wide, of `opcode d, sources…`.
uint64_t bits(const std::string &opcode, int width, const std::vector<Source> &sources) {
  std::string body, line = opcode + " " + registerOf(width, 2);
  for (size_t index = 0; index < sources.size(); ++index) {
    const Source &source = sources[index];
    const std::string name = registerOf(source.width, static_cast<int>(index) + 3);
    body += source.width == 1 ? "setp.ne.u32 " + name + ", " + std::to_string(source.bits) + ", 0;\n" : "mov.b" + std::to_string(source.width) + " " + name + ", " + std::to_string(source.bits) + ";\n";
    line += ", " + name;
  }
  body += line + ";\n";
  if (width == 1)
    body += "selp.u64 %rd2, 1, 0, %p2;\n";
  body += "st.global.b" + std::to_string(width == 1 ? 64 : width) + " [%rd1], " + registerOf(width == 1 ? 64 : width, 2) + ";";
  std::string out = Case{body, "", {}, {}, "", "", 8}.run();
  return valuesOf<uint64_t>(out)[0];
}

float single(const std::string &opcode, const std::vector<Source> &sources) { return std::bit_cast<float>(static_cast<uint32_t>(bits(opcode, 32, sources))); }
double twice(const std::string &opcode, const std::vector<Source> &sources) { return std::bit_cast<double>(bits(opcode, 64, sources)); }
bool holds(const std::string &opcode, const std::vector<Source> &sources) { return bits(opcode, 1, sources) & 1; }

#define EXPECT_BITS(wanted, ...) expectBits(__LINE__, wanted, bits(__VA_ARGS__))
void expectBits(int line, uint64_t wanted, uint64_t got) {
  if (wanted == got)
    return;
  std::fprintf(stderr, "%s:%d: 0x%llx, not 0x%llx\n", __FILE__, line, static_cast<unsigned long long>(got), static_cast<unsigned long long>(wanted));
  std::exit(1);
}

std::mt19937_64 random64(5);
/// Numbers at the ends as often as others.
uint32_t any32() {
  const uint32_t ends[] = {0, 1, 2, 31, 32, 0x7fffffff, 0x80000000, 0xffffffff, 0xffff, 0x8000};
  return random64() % 2 ? static_cast<uint32_t>(random64()) : ends[random64() % std::size(ends)];
}
uint64_t any64() { return random64() % 2 ? random64() : static_cast<uint64_t>(static_cast<int32_t>(any32())); }
float anyFloat() {
  const float ends[] = {0.0f, -0.0f, 1.0f, -1.5f, INFINITY, -INFINITY, 1e-40f, -1e-40f, 3e38f, 0.5f, 2.5f};
  return random64() % 3 ? std::bit_cast<float>(static_cast<uint32_t>((random64() & 0x80ffffff) | (96 + random64() % 64) << 23)) : ends[random64() % std::size(ends)];
}

void testIntegers() {
  for (int trial = 0; trial < 40; ++trial) {
    const uint32_t a = any32(), b = any32(), c = any32();
    const uint64_t x = any64(), y = any64(), z = any64();
    const int32_t sa = static_cast<int32_t>(a), sb = static_cast<int32_t>(b);
    const int64_t sx = static_cast<int64_t>(x), sy = static_cast<int64_t>(y);
    EXPECT_BITS(uint32_t(a + b), "add.s32", 32, {u32(a), u32(b)});
    EXPECT_BITS(x - y, "sub.u64", 64, {u64(x), u64(y)});
    EXPECT_BITS(uint32_t(a * b), "mul.lo.s32", 32, {u32(a), u32(b)});
    EXPECT_BITS(x * y, "mul.lo.s64", 64, {u64(x), u64(y)});
    EXPECT_BITS(uint64_t{a} * b >> 32, "mul.hi.u32", 32, {u32(a), u32(b)});
    EXPECT_BITS(uint32_t(int64_t{sa} * sb >> 32), "mul.hi.s32", 32, {u32(a), u32(b)});
    EXPECT_BITS(uint64_t((unsigned __int128)x * y >> 64), "mul.hi.u64", 64, {u64(x), u64(y)});
    EXPECT_BITS(uint64_t((__int128)sx * sy >> 64), "mul.hi.s64", 64, {u64(x), u64(y)});
    EXPECT_BITS(uint64_t{a} * b, "mul.wide.u32", 64, {u32(a), u32(b)});
    EXPECT_BITS(uint64_t(int64_t{sa} * sb), "mul.wide.s32", 64, {u32(a), u32(b)});
    EXPECT_BITS(uint32_t(uint16_t(a)) * uint16_t(b), "mul.wide.u16", 32, {u16(a), u16(b)});
    EXPECT_BITS(x * y + z, "mad.lo.s64", 64, {u64(x), u64(y), u64(z)});
    EXPECT_BITS(uint32_t(a * b + c), "mad.lo.u32", 32, {u32(a), u32(b), u32(c)});
    EXPECT_BITS(uint16_t(a * b + c), "mad.lo.s16", 16, {u16(a), u16(b), u16(c)});
    EXPECT_BITS(uint64_t(int64_t{sa} * sb) + z, "mad.wide.s32", 64, {u32(a), u32(b), u64(z)});
    EXPECT_BITS(uint64_t(std::min(sx, sy)), "min.s64", 64, {u64(x), u64(y)});
    EXPECT_BITS(std::max(x, y), "max.u64", 64, {u64(x), u64(y)});
    EXPECT_BITS(uint32_t(std::max(sa, sb)), "max.s32", 32, {u32(a), u32(b)});
    EXPECT_BITS(uint32_t(0 - a), "neg.s32", 32, {u32(a)});
    EXPECT_BITS(uint32_t(sa < 0 ? 0 - a : a), "abs.s32", 32, {u32(a)});
    if (b != 0 && !(a == 0x80000000 && sb == -1)) {
      EXPECT_BITS(a / b, "div.u32", 32, {u32(a), u32(b)});
      EXPECT_BITS(uint32_t(sa / sb), "div.s32", 32, {u32(a), u32(b)});
      EXPECT_BITS(uint32_t(sa % sb), "rem.s32", 32, {u32(a), u32(b)});
    }
    if (y != 0)
      EXPECT_BITS(x % y, "rem.u64", 64, {u64(x), u64(y)});
  }
  EXPECT_BITS(0x7fffffff, "add.sat.s32", 32, {u32(0x7fffffff), u32(1)});
  EXPECT_BITS(0x80000000, "sub.sat.s32", 32, {u32(0x80000000), u32(1)});
}

void testBits() {
  for (int trial = 0; trial < 40; ++trial) {
    const uint32_t a = any32(), b = any32(), c = any32(), n = any32() % 80;
    const uint64_t x = any64(), y = any64();
    EXPECT_BITS(a & b, "and.b32", 32, {u32(a), u32(b)});
    EXPECT_BITS(x | y, "or.b64", 64, {u64(x), u64(y)});
    EXPECT_BITS(uint16_t(a ^ b), "xor.b16", 16, {u16(a), u16(b)});
    EXPECT_BITS(~x, "not.b64", 64, {u64(x)});
    // Shifts by more than there are bits give 0, or the sign.
    EXPECT_BITS(n > 31 ? 0 : uint32_t(a << n), "shl.b32", 32, {u32(a), u32(n)});
    EXPECT_BITS(n > 63 ? 0 : x >> n, "shr.u64", 64, {u64(x), u32(n)});
    EXPECT_BITS(uint32_t(int32_t(a) >> std::min(n, 31u)), "shr.s32", 32, {u32(a), u32(n)});
    EXPECT_BITS(n > 15 ? 0 : uint16_t(a << n), "shl.b16", 16, {u16(a), u32(n)});
    const uint32_t position = c & 0xff, length = n;
    const uint64_t below = position > 31 ? 0 : a >> position;
    EXPECT_BITS(uint32_t(length >= 32 ? below : below & ((uint64_t{1} << length) - 1)), "bfe.u32", 32, {u32(a), u32(c), u32(length)});
    EXPECT_BITS(uint32_t(std::popcount(a)), "popc.b32", 32, {u32(a)});
    EXPECT_BITS(uint32_t(std::countl_zero(x)), "clz.b64", 32, {u64(x)});
    const uint64_t joined = uint64_t{b} << 32 | a;
    EXPECT_BITS(uint32_t(joined << (c & 31) >> 32), "shf.l.wrap.b32", 32, {u32(a), u32(b), u32(c)});
    EXPECT_BITS(uint32_t(joined >> std::min(c, 32u)), "shf.r.clamp.b32", 32, {u32(a), u32(b), u32(c)});
    EXPECT_BITS((a & b) ^ c, "lop3.b32", 32, {u32(a), u32(b), u32(c), u32((0xF0 & 0xCC) ^ 0xAA)}); // the table is the formula of the manual's three constants
    EXPECT_BITS(c & 1 ? x : y, "selp.b64", 64, {u64(x), u64(y), pred(c & 1)});
  }
  EXPECT_BITS(0xffffffff, "bfe.s32", 32, {u32(0x80), u32(7), u32(1)});
  EXPECT_BITS(0xfffffff8, "bfe.s32", 32, {u32(0x80000000), u32(28), u32(60)}); // the field ends at the top, its sign goes on
  EXPECT_BITS(0, "bfe.s32", 32, {u32(0xffffffff), u32(3), u32(0)});
  EXPECT_BITS(0x12ab5678, "bfi.b32", 32, {u32(0xab), u32(0x12345678), u32(16), u32(8)});
  EXPECT_BITS(0x12345678, "bfi.b32", 32, {u32(0xab), u32(0x12345678), u32(16), u32(0)});
  EXPECT_BITS(0x1e6a2c48, "brev.b32", 32, {u32(0x12345678)});
  EXPECT_BITS(0x33445566u, "prmt.b32", 32, {u32(0x55667788), u32(0x11223344), u32(0x5432)});
  EXPECT_BITS(0xff88u, "prmt.b32", 32, {u32(0x00008088), u32(0), u32(0x7790)});
}

void testMoves() {
  const Case kernel{"ld.global.b64 %rd2, [%rd0];\nmov.b64 {%r1, %r2}, %rd2;\nmov.b32 {_, %rs1}, %r1;\nmov.b64 %rd3, {%r2, %r1};\nst.global.v2.b32 [%rd1], {%r1, %r2};\nst.global.b64 [%rd1+8], %rd3;\n"
                    "mov.b64 {%rs2, %rs3, %rs4, %rs5}, %rd2;\nmov.b32 %r3, {%rs5, %rs1};\nst.global.b32 [%rd1+16], %r3;\nld.global.s8 %r4, [%rd0+7];\nst.global.b32 [%rd1+20], %r4;\n"
                    "ld.global.u8 %rs6, [%rd0+7];\nst.global.b16 [%rd1+24], %rs6;\nld.global.nc.L1::no_allocate.u16 %r5, [%rd0];\nst.global.b16 [%rd1+26], %r5;\nst.global.b32 [%rd1+28], %rd2;",
                    "", {}, {}, bytesOf<uint64_t>({0x8877665544332211}), "", 32};
  const std::vector<uint32_t> wanted = {0x44332211, 0x88776655, 0x88776655, 0x44332211, 0x44338877, 0xffffff88, 0x22110088, 0x44332211};
  EXPECT(valuesOf<uint32_t>(kernel.run()) == wanted);
}

void testComparisons() {
  const float none = NAN;
  for (const auto &[opcode, wanted] : std::vector<std::pair<std::string, bool>>{{"eq", false}, {"ne", false}, {"lt", false}, {"le", false}, {"gt", false}, {"ge", false}, {"equ", true}, {"neu", true}, {"ltu", true}, {"leu", true}, {"gtu", true}, {"geu", true}, {"num", false}, {"nan", true}}) {
    EXPECT(holds("setp." + opcode + ".f32", {f32(none), f32(1)}) == wanted);
    EXPECT(holds("setp." + opcode + ".f64", {f64(1), f64(none)}) == wanted);
  }
  for (int trial = 0; trial < 20; ++trial) {
    const uint32_t a = any32(), b = any32();
    const float x = anyFloat(), y = anyFloat();
    EXPECT(holds("setp.lt.s32", {u32(a), u32(b)}) == (int32_t(a) < int32_t(b)) && holds("setp.lt.u32", {u32(a), u32(b)}) == (a < b));
    EXPECT(holds("setp.ge.s64", {u64(uint64_t(int64_t(int32_t(a)))), u64(b)}) == (int64_t(int32_t(a)) >= int64_t(b)) && holds("setp.hs.u32", {u32(a), u32(b)}) == (a >= b));
    EXPECT(holds("setp.eq.b16", {u16(a), u16(b)}) == (uint16_t(a) == uint16_t(b)) && holds("setp.le.s16", {u16(a), u16(b)}) == (int16_t(a) <= int16_t(b)));
    EXPECT(holds("setp.gt.f32", {f32(x), f32(y)}) == (x > y) && holds("setp.ltu.f32", {f32(x), f32(y)}) == !(x >= y));
    EXPECT(holds("setp.lt.and.u32", {u32(a), u32(b), pred(trial % 2)}) == (a < b && trial % 2) && holds("setp.lt.xor.u32", {u32(a), u32(b), pred(trial % 2)}) == ((a < b) != (trial % 2)));
  }
  const Case pair{"setp.lt.or.s32 %p1|%p2, 3, 4, !%p3;\nselp.b32 %r1, 1, 0, %p1;\nselp.b32 %r2, 1, 0, %p2;\nst.global.v2.b32 [%rd1], {%r1, %r2};", "", {}, {}, "", "", 8};
  Case given = pair;
  given.body = "setp.ne.s32 %p3, 1, 0;\n" + pair.body;
  EXPECT((valuesOf<uint32_t>(given.run()) == std::vector<uint32_t>{1, 0}));
  given.body = "setp.ne.s32 %p3, 0, 0;\n" + pair.body;
  EXPECT((valuesOf<uint32_t>(given.run()) == std::vector<uint32_t>{1, 1}));
}

bool isSame(float a, float b) { return (std::isnan(a) && std::isnan(b)) || std::bit_cast<uint32_t>(a) == std::bit_cast<uint32_t>(b); }

template <class F> float rounded(int mode, F f) {
  std::fesetround(mode);
  volatile float result = f();
  std::fesetround(FE_TONEAREST);
  return result;
}

void testFloats() {
  for (int trial = 0; trial < 60; ++trial) {
    const volatile float a = anyFloat(), b = anyFloat(), c = anyFloat();
    EXPECT(isSame(single("add.f32", {f32(a), f32(b)}), a + b));
    EXPECT(isSame(single("sub.rn.f32", {f32(a), f32(b)}), a - b));
    EXPECT(isSame(single("mul.f32", {f32(a), f32(b)}), a * b));
    EXPECT(isSame(single("div.rn.f32", {f32(a), f32(b)}), a / b));
    EXPECT(isSame(single("fma.rn.f32", {f32(a), f32(b), f32(c)}), std::fma(a, b, c)));
    EXPECT(isSame(single("sqrt.rn.f32", {f32(a)}), std::sqrt(a)));
    EXPECT(isSame(single("rcp.rn.f32", {f32(a)}), 1 / a));
    EXPECT(isSame(single("add.rz.f32", {f32(a), f32(b)}), rounded(FE_TOWARDZERO, [&] { return a + b; })));
    EXPECT(isSame(single("mul.rm.f32", {f32(a), f32(b)}), rounded(FE_DOWNWARD, [&] { return a * b; })));
    EXPECT(isSame(single("fma.rp.f32", {f32(a), f32(b), f32(c)}), rounded(FE_UPWARD, [&] { return std::fma(a, b, c); })));
    EXPECT(twice("fma.rn.f64", {f64(a), f64(b), f64(c)}) == std::fma(double(a), double(b), double(c)) || std::isnan(double(a) * b + c));
    if (std::isfinite(a) && std::fabs(a) < 80) {
      EXPECT(std::fabs(single("ex2.approx.f32", {f32(a)}) - std::exp2(a)) <= 4e-7 * std::exp2(a));
      EXPECT(std::fabs(single("rsqrt.approx.f32", {f32(std::fabs(a) + 1e-3f)}) * std::sqrt(std::fabs(a) + 1e-3f) - 1) < 1e-6);
      EXPECT(std::fabs(single("tanh.approx.f32", {f32(a)}) - std::tanh(a)) < 1e-3);
      EXPECT(std::fabs(single("lg2.approx.f32", {f32(std::fabs(a) + 1)}) - std::log2(std::fabs(a) + 1)) < 1e-5);
    }
  }
  // One of two that is no number is left out; -0 is below +0; ftz takes what is smaller than the smallest normal number for 0.
  EXPECT(single("max.f32", {f32(NAN), f32(-3)}) == -3 && single("min.f32", {f32(2), f32(NAN)}) == 2 && std::isnan(single("max.NaN.f32", {f32(NAN), f32(1)})));
  EXPECT(isSame(single("min.f32", {f32(0.0f), f32(-0.0f)}), -0.0f) && isSame(single("max.f32", {f32(-0.0f), f32(0.0f)}), 0.0f));
  EXPECT(isSame(single("add.ftz.f32", {f32(1e-40f), f32(0.0f)}), 0.0f) && isSame(single("mul.ftz.f32", {f32(-1e-20f), f32(1e-20f)}), -0.0f) && single("add.f32", {f32(1e-40f), f32(0.0f)}) != 0);
  EXPECT(single("add.sat.f32", {f32(3), f32(2)}) == 1 && isSame(single("mul.sat.f32", {f32(-3), f32(2)}), 0.0f) && isSame(single("add.sat.f32", {f32(NAN), f32(2)}), 0.0f));
  EXPECT(isSame(single("copysign.f32", {f32(-0.0f), f32(3)}), -3) && single("abs.f32", {f32(-2)}) == 2 && isSame(single("neg.f32", {f32(0.0f)}), -0.0f));
  EXPECT(holds("testp.finite.f32", {f32(1)}) && !holds("testp.finite.f32", {f32(INFINITY)}) && holds("testp.subnormal.f32", {f32(1e-40f)}));
}

void testConversions() {
  EXPECT_BITS(uint64_t(-5), "cvt.s64.s32", 64, {s32(-5)});
  EXPECT_BITS(0xfffffffb, "cvt.u64.u32", 64, {s32(-5)});
  EXPECT_BITS(0xffffff80, "cvt.s32.s8", 32, {u32(0x1280)});
  EXPECT_BITS(0xffffff80, "cvt.s8.s32", 32, {u32(0x1280)}); // the register is wider: the sign goes on
  EXPECT_BITS(0x80, "cvt.u8.u32", 32, {u32(0x1280)});
  EXPECT_BITS(0x7f, "cvt.sat.s8.s32", 32, {u32(300)});
  EXPECT_BITS(0, "cvt.sat.u16.s32", 16, {s32(-7)});
  EXPECT_BITS(0x5678, "cvt.u16.u64", 16, {u64(0x12345678)});
  for (int trial = 0; trial < 30; ++trial) {
    const uint32_t a = any32();
    const uint64_t x = any64();
    EXPECT(single("cvt.rn.f32.u32", {u32(a)}) == static_cast<float>(a) && single("cvt.rn.f32.s32", {u32(a)}) == static_cast<float>(int32_t(a)));
    EXPECT(single("cvt.rn.f32.u16", {u16(a)}) == uint16_t(a) && twice("cvt.rn.f64.s64", {u64(x)}) == static_cast<double>(int64_t(x)));
    const volatile uint64_t held = x;
    EXPECT(single("cvt.rz.f32.u64", {u64(x)}) == rounded(FE_TOWARDZERO, [&] { return static_cast<float>(held); }));
    const float f = anyFloat();
    if (std::fabs(f) < 1e9) {
      EXPECT_BITS(uint32_t(int32_t(std::trunc(f))), "cvt.rzi.s32.f32", 32, {f32(f)});
      EXPECT_BITS(uint32_t(int32_t(std::floor(f))), "cvt.rmi.s32.f32", 32, {f32(f)});
      EXPECT(isSame(single("cvt.rmi.f32.f32", {f32(f)}), std::floor(f)) && isSame(single("cvt.rni.f32.f32", {f32(f)}), std::nearbyint(f)) && isSame(single("cvt.rpi.f32.f32", {f32(f)}), std::ceil(f)));
    }
    EXPECT(isSame(single("cvt.rn.f32.f64", {f64(double(f) * 1.0000001)}), static_cast<float>(double(f) * 1.0000001)));
  }
  // To integers: to the nearest that there is; no number becomes 0, or the top bit where 64 bits are on a side.
  EXPECT_BITS(0x7fffffff, "cvt.rzi.s32.f32", 32, {f32(3e9f)});
  EXPECT_BITS(0x80000000, "cvt.rzi.s32.f32", 32, {f32(-INFINITY)});
  EXPECT_BITS(0, "cvt.rzi.u32.f32", 32, {f32(-3)});
  EXPECT_BITS(0xffffffff, "cvt.rzi.u32.f32", 32, {f32(INFINITY)});
  EXPECT_BITS(0, "cvt.rzi.s32.f32", 32, {f32(NAN)});
  EXPECT_BITS(0x8000000000000000, "cvt.rzi.s64.f32", 64, {f32(NAN)});
  EXPECT_BITS(4, "cvt.rni.s32.f32", 32, {f32(4.5f)}); // ties to even
  EXPECT_BITS(0x3f802000, "cvt.rna.tf32.f32", 32, {u32(0x3f802fff)});
  EXPECT_BITS(0x3f804000, "cvt.rna.tf32.f32", 32, {u32(0x3f803000)}); // ties away from 0
}

/// The bf16 of a float by the bits: to the nearest, ties to even.
uint16_t bf16(float value) {
  const uint32_t word = std::bit_cast<uint32_t>(value);
  return std::isnan(value) ? 0x7fff : static_cast<uint16_t>((word + 0x7fff + (word >> 16 & 1)) >> 16);
}
float ofBf16(uint16_t bits) { return std::bit_cast<float>(uint32_t{bits} << 16); }

void testHalves() {
  for (int trial = 0; trial < 60; ++trial) {
    const float a = anyFloat(), b = anyFloat(), c = anyFloat();
    EXPECT_BITS(bf16(a), "cvt.rn.bf16.f32", 16, {f32(a)});
    EXPECT_BITS(uint32_t{bf16(a)} << 16 | bf16(b), "cvt.rn.bf16x2.f32", 32, {f32(a), f32(b)});
    const uint16_t ha = bf16(a), hb = bf16(b), hc = bf16(c);
    const _Float16 fa = static_cast<_Float16>(a), fb = static_cast<_Float16>(b);
    EXPECT_BITS(std::bit_cast<uint32_t>(ofBf16(ha)), "cvt.f32.bf16", 32, {u16(ha)});
    EXPECT_BITS(std::bit_cast<uint16_t>(fa), "cvt.rn.f16.f32", 16, {f32(a)});
    EXPECT(isSame(single("cvt.f32.f16", {u16(std::bit_cast<uint16_t>(fa))}), static_cast<float>(fa)));
    if (const _Float16 sum = fa + fb; sum == sum)
      EXPECT_BITS(std::bit_cast<uint16_t>(sum), "add.f16", 16, {u16(std::bit_cast<uint16_t>(fa)), u16(std::bit_cast<uint16_t>(fb))});
    // A product of two bf16 is exact in f32; a sum of f32 rounded to odd would be needed for all, so these are the ones whose sum is exact.
    const float product = ofBf16(ha) * ofBf16(hb);
    if (std::isfinite(product) && std::fabs(product) > 1e-30) {
      EXPECT_BITS(bf16(product), "mul.rn.bf16", 16, {u16(ha), u16(hb)});
      const double exact = double(ofBf16(ha)) * ofBf16(hb) + ofBf16(hc);
      if (std::isfinite(exact) && double(float(exact)) == exact && exact != 0)
        EXPECT_BITS(bf16(float(exact)), "fma.rn.bf16", 16, {u16(ha), u16(hb), u16(hc)});
    }
  }
  EXPECT_BITS(0x3f80, "cvt.rz.bf16.f32", 16, {f32(1.007f)});
  EXPECT_BITS(0x3f81, "cvt.rn.bf16.f32", 16, {f32(1.007f)});
  EXPECT_BITS(0x7bff, "cvt.rz.f16.f32", 16, {f32(1e6f)});
  EXPECT_BITS(0x7c00, "cvt.rn.f16.f32", 16, {f32(1e6f)});
  EXPECT_BITS(0x0001, "cvt.rn.f16.f32", 16, {f32(6e-8f)}); // the smallest there is
  EXPECT_BITS(0x3f804000, "add.rn.bf16x2", 32, {u32(0x3f803f80), u32(0x00003f80)});
  // 1.5 (1 + 2^-7) is in the middle of two bf16; what a third subtracts, below the last bit of a double, decides.
  EXPECT_BITS(0x3fc2, "fma.rn.bf16", 16, {u16(0x3f81), u16(0x3fc0), u16(0)});
  EXPECT_BITS(0x3fc1, "fma.rn.bf16", 16, {u16(0x3f81), u16(0x3fc0), u16(bf16(-1e-30f))});
}

void testControl() {
  const Case sum{"mov.b32 %r1, 0;\nmov.b32 %r2, 0;\n$top:\nadd.s32 %r2, %r2, %r1;\nadd.s32 %r1, %r1, 1;\nsetp.lt.s32 %p1, %r1, 10;\n@%p1 bra $top;\nst.global.b32 [%rd1], %r2;\n@!%p1 bra $out;\nst.global.b32 [%rd1+4], %r2;\n$out:", "",
                 {}, {}, "", "", 4};
  EXPECT(valuesOf<uint32_t>(sum.run())[0] == 45);
  const Case table{"mov.u32 %r1, %tid.x;\nmul.wide.u32 %rd2, %r1, 4;\nadd.s64 %rd3, %rd1, %rd2;\n$t: .branchtargets $a, $b, $a;\nbrx.idx %r1, $t;\n$a:\nmov.b32 %r2, 7;\nbra.uni $end;\n$b:\nmov.b32 %r2, 9;\n$end:\nst.global.b32 [%rd3], %r2;",
                   "", {}, {3}, "", "", 12};
  EXPECT((valuesOf<uint32_t>(table.run()) == std::vector<uint32_t>{7, 9, 7}));
  const Case places{"mov.u32 %r1, %ctaid.y;\nmov.u32 %r2, %nctaid.x;\nmov.u32 %r3, %ctaid.x;\nmad.lo.u32 %r4, %r1, %r2, %r3;\nmov.u32 %r5, %ntid.z;\nmov.u32 %r6, %tid.z;\nmad.lo.u32 %r7, %r4, %r5, %r6;\nmul.wide.u32 %rd2, %r7, 4;\n"
                    "add.s64 %rd3, %rd1, %rd2;\nst.global.b32 [%rd3], %r7;",
                    "", {3, 2, 1}, {1, 1, 4}, "", "", 96};
  const std::vector<uint32_t> got = valuesOf<uint32_t>(places.run());
  for (uint32_t index = 0; index < 24; ++index)
    EXPECT(got[index] == index);
  const Case variables{"ld.global.b32 %r1, [g+4];\nld.const.b32 %r2, [c];\nmov.u64 %rd2, g;\ncvta.global.u64 %rd3, %rd2;\nld.b32 %r3, [%rd3];\nst.global.v2.b32 [%rd1], {%r1, %r2};\nst.global.b32 [%rd1+8], %r3;\n"
                       "mov.b32 %r4, 6;\nst.local.b32 [l], %r4;\nmov.u64 %rd4, l;\ncvta.local.u64 %rd5, %rd4;\nld.b32 %r5, [%rd5];\nst.global.b32 [%rd1+12], %r5;",
                       ".global .align 4 .u32 g[2] = {11, 12};\n.const .align 4 .u32 c = 13;\n", {}, {}, "", "", 16};
  Case local = variables;
  local.body = ".local .align 4 .b8 l[4];\n" + variables.body;
  EXPECT((valuesOf<uint32_t>(local.run()) == std::vector<uint32_t>{12, 13, 11, 6}));
}

void measure() {
  Case loop{"mov.b32 %r1, 0;\nmov.f32 %r3, 0f3F800000;\n$top:\nld.global.b32 %r2, [%rd0];\nfma.rn.f32 %r3, %r2, %r2, %r3;\nadd.s32 %r1, %r1, 1;\nadd.s64 %rd3, %rd0, 16;\nsetp.lt.s32 %p1, %r1, 2000;\n@%p1 bra $top;", "", {16}, {256}, bytesOf<float>({0.5f}), "", 4};
  Statistics statistics;
  const std::clock_t start = std::clock(); // the time of this process: others may share the machine
  loop.run(&statistics);
  const double seconds = static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
  EXPECT(statistics.instructions > 16 * 256 * 2000 * 6);
  std::printf("%.0f million instructions a second\n", static_cast<double>(statistics.instructions) / seconds / 1e6);
}

} // namespace

int main() {
  testIntegers();
  testBits();
  testMoves();
  testComparisons();
  testFloats();
  testConversions();
  testHalves();
  testControl();
  measure();
}
