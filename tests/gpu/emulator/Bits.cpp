// Bits: shifts, fields, logic, comparisons of bits, moves and selections of Instructions.h, as the pseudo-code of the PTX manual (9.7.1, 9.7.6 to 9.7.9) has them.
#include "tests/gpu/emulator/Instructions.h"
#include <algorithm>
#include <bit>
#include <cmath>
#include <type_traits>

namespace emulator {
namespace {

template <class T> constexpr uint32_t kBits = 8 * sizeof(T);

template <class T> T shiftLeft(T a, uint32_t n) { return n >= kBits<T> ? T{0} : static_cast<T>(a << n); }
template <class T> T shiftRight(T a, uint32_t n) {
  if constexpr (std::is_signed_v<T>)
    return static_cast<T>(a >> std::min(n, kBits<T> - 1));
  else
    return n >= kBits<T> ? T{0} : static_cast<T>(a >> n);
}

template <class T> T field(T a, uint32_t b, uint32_t c) {
  const uint32_t position = b & 0xff, length = c & 0xff, top = kBits<T> - 1;
  const auto bit = [&](uint32_t at) { return static_cast<uint64_t>(a) >> at & 1; };
  const uint64_t sign = std::is_unsigned_v<T> || length == 0 ? 0 : bit(std::min(position + length - 1, top));
  uint64_t result = 0;
  for (uint32_t i = 0; i <= top; ++i)
    result |= (i < length && position + i <= top ? bit(position + i) : sign) << i;
  return static_cast<T>(result);
}

template <class T> T insertion(T a, T b, uint32_t c, uint32_t d) {
  const uint32_t position = c & 0xff, length = d & 0xff;
  for (uint32_t i = 0; i < length && position + i < kBits<T>; ++i)
    b = static_cast<T>((b & ~(T{1} << (position + i))) | (a >> i & 1) << (position + i));
  return b;
}

template <class T> T turned(T a) {
  T result = 0;
  for (uint32_t i = 0; i < kBits<T>; ++i)
    result |= (a >> i & 1) << (kBits<T> - 1 - i);
  return result;
}

uint32_t permuted(uint32_t a, uint32_t b, uint32_t selectors) {
  const uint64_t bytes = uint64_t{b} << 32 | a;
  uint32_t result = 0;
  for (int i = 0; i < 4; ++i) {
    const uint32_t selector = selectors >> 4 * i & 0xf;
    uint32_t byte = bytes >> 8 * (selector & 7) & 0xff;
    if (selector & 8)
      byte = byte & 0x80 ? 0xff : 0;
    result |= byte << 8 * i;
  }
  return result;
}

template <bool left> uint32_t funnel(uint32_t a, uint32_t b, uint32_t n) {
  const uint64_t both = uint64_t{b} << 32 | a;
  return static_cast<uint32_t>(left ? both << n >> 32 : both >> n);
}

uint32_t lookedUp(uint32_t a, uint32_t b, uint32_t c, uint32_t table) {
  uint32_t result = 0;
  for (int i = 0; i < 32; ++i)
    result |= (table >> ((a >> i & 1) << 2 | (b >> i & 1) << 1 | (c >> i & 1)) & 1) << i;
  return result;
}

template <class T> void addLogic(Forms &forms, const std::string &type) {
  forms["and." + type] = formOf<[](T a, T b) { return static_cast<T>(a & b); }, T, T, T>();
  forms["or." + type] = formOf<[](T a, T b) { return static_cast<T>(a | b); }, T, T, T>();
  forms["xor." + type] = formOf<[](T a, T b) { return static_cast<T>(a ^ b); }, T, T, T>();
  if constexpr (std::is_same_v<T, bool>) {
    forms["not." + type] = formOf<[](bool a) { return !a; }, bool, bool>();
    return;
  } else {
    forms["not." + type] = formOf<[](T a) { return static_cast<T>(~a); }, T, T>();
    forms["cnot." + type] = formOf<[](T a) { return static_cast<T>(a == 0); }, T, T>();
    forms["shl." + type] = formOf<shiftLeft<T>, T, T, uint32_t>();
    forms["shr." + type] = formOf<shiftRight<T>, T, T, uint32_t>();
  }
}

/// d = c ? a : b
template <class T> void addSelection(Forms &forms, const std::string &type) { forms["selp." + type] = formOf<[](T a, T b, bool c) { return c ? a : b; }, T, T, T, bool>(); }

/// Sources of `mov` that have other widths than its type (%tid.x in mov.u16) are read at the width of the type.
template <class T> void addMove(Forms &forms, const std::string &type) { forms["mov." + type] = formOf<[](T a) { return a; }, T, T>(); }

/// One register into `count` of equal width, the lowest first.
template <class T> void unpack(Thread &thread, const Instruction &instruction) {
  const uint32_t count = instruction.count, width = kBits<T> / count;
  const uint64_t bits = get<T>(thread, instruction, count);
  for (uint32_t i = 0; i < count; ++i)
    if (instruction.slots[i] != kNone) // `_`
      thread.r[instruction.slots[i]] = bits >> i * width & (~uint64_t{0} >> (64 - width));
}

template <class T> void pack(Thread &thread, const Instruction &instruction) {
  const uint32_t count = instruction.count, width = kBits<T> / count;
  uint64_t bits = 0;
  for (uint32_t i = 0; i < count; ++i)
    bits |= (thread.r[instruction.slots[i + 1]] & (~uint64_t{0} >> (64 - width))) << i * width;
  set<T>(thread, instruction, 0, static_cast<T>(bits));
}

template <class T> void addPacks(Forms &forms, const std::string &type) {
  forms["mov." + type + "{"] = {unpack<T>, "Ds"};
  forms["mov." + type + "}"] = {pack<T>, "dS"};
}

template <class T> void addOfWidth(Forms &forms, const std::string &width) {
  using S = std::make_signed_t<T>;
  addLogic<T>(forms, "b" + width);
  forms["shr.u" + width] = formOf<shiftRight<T>, T, T, uint32_t>();
  forms["shr.s" + width] = formOf<shiftRight<S>, S, S, uint32_t>();
  for (const char *letter : {"b", "u", "s"})
    addSelection<T>(forms, letter + width), addMove<T>(forms, letter + width);
}

template <class T> void addFields(Forms &forms, const std::string &width) {
  using S = std::make_signed_t<T>;
  forms["bfe.u" + width] = formOf<field<T>, T, T, uint32_t, uint32_t>();
  forms["bfe.s" + width] = formOf<field<S>, S, S, uint32_t, uint32_t>();
  forms["bfi.b" + width] = formOf<insertion<T>, T, T, T, uint32_t, uint32_t>();
  forms["popc.b" + width] = formOf<[](T a) { return static_cast<uint32_t>(std::popcount(a)); }, uint32_t, T>();
  forms["clz.b" + width] = formOf<[](T a) { return static_cast<uint32_t>(std::countl_zero(a)); }, uint32_t, T>();
  forms["brev.b" + width] = formOf<turned<T>, T, T>();
}



template <class T, auto F, auto Join> void compare(Thread &thread, const Instruction &instruction) {
  const bool own = F(get<T>(thread, instruction, 1), get<T>(thread, instruction, 2));
  set<bool>(thread, instruction, 0, Join(own, get<bool>(thread, instruction, 3) != instruction.negated));
}

/// p|q: the comparison and its contrary, each joined with the third.
template <class T, auto F, auto Join, bool joins> void comparePair(Thread &thread, const Instruction &instruction) {
  const bool own = F(get<T>(thread, instruction, 2), get<T>(thread, instruction, 3)), third = joins && get<bool>(thread, instruction, 4) != instruction.negated;
  set<bool>(thread, instruction, 0, joins ? Join(own, third) : own);
  set<bool>(thread, instruction, 1, joins ? Join(!own, third) : !own);
}

constexpr auto kAnd = [](bool a, bool b) { return a && b; };
constexpr auto kOr = [](bool a, bool b) { return a || b; };
constexpr auto kXor = [](bool a, bool b) { return a != b; };

template <class T, auto F> void addComparison(Forms &forms, const std::string &how, const std::string &type) {
  forms["setp." + how + "." + type] = formOf<F, bool, T, T>();
  forms["setp." + how + "." + type + "|"] = {comparePair<T, F, kAnd, false>, "Dss"};
  forms["setp." + how + ".and." + type] = {compare<T, F, kAnd>, "dssp"};
  forms["setp." + how + ".or." + type] = {compare<T, F, kOr>, "dssp"};
  forms["setp." + how + ".xor." + type] = {compare<T, F, kXor>, "dssp"};
  forms["setp." + how + ".and." + type + "|"] = {comparePair<T, F, kAnd, true>, "Dssp"};
  forms["setp." + how + ".or." + type + "|"] = {comparePair<T, F, kOr, true>, "Dssp"};
  forms["setp." + how + ".xor." + type + "|"] = {comparePair<T, F, kXor, true>, "Dssp"};
}

template <class T> void addEquality(Forms &forms, const std::string &type) {
  addComparison<T, [](T a, T b) { return a == b; }>(forms, "eq", type);
  addComparison<T, [](T a, T b) { return a != b; }>(forms, "ne", type);
}

/// Ordered comparisons: of numbers that are none (NaN) all are false, `ne` too.
template <class T> void addOrder(Forms &forms, const std::string &type) {
  addComparison<T, [](T a, T b) { return a < b; }>(forms, "lt", type);
  addComparison<T, [](T a, T b) { return a <= b; }>(forms, "le", type);
  addComparison<T, [](T a, T b) { return (a > b); }>(forms, "gt", type);
  addComparison<T, [](T a, T b) { return (a >= b); }>(forms, "ge", type);
}

template <class T> void addFloatComparisons(Forms &forms, const std::string &type) {
  addOrder<T>(forms, type);
  addComparison<T, [](T a, T b) { return a == b; }>(forms, "eq", type);
  addComparison<T, [](T a, T b) { return a < b || (a > b); }>(forms, "ne", type);
  addComparison<T, [](T a, T b) { return !(a < b || (a > b)); }>(forms, "equ", type);
  addComparison<T, [](T a, T b) { return a != b; }>(forms, "neu", type);
  addComparison<T, [](T a, T b) { return !(a >= b); }>(forms, "ltu", type);
  addComparison<T, [](T a, T b) { return !(a > b); }>(forms, "leu", type);
  addComparison<T, [](T a, T b) { return !(a <= b); }>(forms, "gtu", type);
  addComparison<T, [](T a, T b) { return !(a < b); }>(forms, "geu", type);
  addComparison<T, [](T a, T b) { return !std::isnan(a) && !std::isnan(b); }>(forms, "num", type);
  addComparison<T, [](T a, T b) { return std::isnan(a) || std::isnan(b); }>(forms, "nan", type);
}

template <class T> void addIntegerComparisons(Forms &forms, const std::string &width) {
  using S = std::make_signed_t<T>;
  for (const char *letter : {"b", "u", "s"})
    addEquality<T>(forms, letter + width);
  addOrder<T>(forms, "u" + width), addOrder<S>(forms, "s" + width);
  addComparison<T, [](T a, T b) { return a < b; }>(forms, "lo", "u" + width);
  addComparison<T, [](T a, T b) { return a <= b; }>(forms, "ls", "u" + width);
  addComparison<T, [](T a, T b) { return (a > b); }>(forms, "hi", "u" + width);
  addComparison<T, [](T a, T b) { return (a >= b); }>(forms, "hs", "u" + width);
}

} // namespace

void addBits(Forms &forms) {
  addLogic<bool>(forms, "pred"), addMove<bool>(forms, "pred");
  addOfWidth<uint16_t>(forms, "16"), addOfWidth<uint32_t>(forms, "32"), addOfWidth<uint64_t>(forms, "64");
  addMove<uint32_t>(forms, "f32"), addMove<uint64_t>(forms, "f64"), addSelection<uint32_t>(forms, "f32"), addSelection<uint64_t>(forms, "f64");
  addFields<uint32_t>(forms, "32"), addFields<uint64_t>(forms, "64");
  addPacks<uint16_t>(forms, "b16"), addPacks<uint32_t>(forms, "b32"), addPacks<uint64_t>(forms, "b64");
  addIntegerComparisons<uint16_t>(forms, "16"), addIntegerComparisons<uint32_t>(forms, "32"), addIntegerComparisons<uint64_t>(forms, "64");
  addFloatComparisons<float>(forms, "f32"), addFloatComparisons<double>(forms, "f64");
  forms["prmt.b32"] = formOf<permuted, uint32_t, uint32_t, uint32_t, uint32_t>();
  forms["shf.l.clamp.b32"] = formOf<[](uint32_t a, uint32_t b, uint32_t c) { return funnel<true>(a, b, std::min(c, 32u)); }, uint32_t, uint32_t, uint32_t, uint32_t>();
  forms["shf.l.wrap.b32"] = formOf<[](uint32_t a, uint32_t b, uint32_t c) { return funnel<true>(a, b, c & 31); }, uint32_t, uint32_t, uint32_t, uint32_t>();
  forms["shf.r.clamp.b32"] = formOf<[](uint32_t a, uint32_t b, uint32_t c) { return funnel<false>(a, b, std::min(c, 32u)); }, uint32_t, uint32_t, uint32_t, uint32_t>();
  forms["shf.r.wrap.b32"] = formOf<[](uint32_t a, uint32_t b, uint32_t c) { return funnel<false>(a, b, c & 31); }, uint32_t, uint32_t, uint32_t, uint32_t>();
  forms["lop3.b32"] = formOf<lookedUp, uint32_t, uint32_t, uint32_t, uint32_t, uint32_t>();
  // Buffers' addresses are the same in the global, the constant and the generic space; a window's are not.
  for (const char *words : {"cvta.global.u64", "cvta.to.global.u64", "cvta.const.u64", "cvta.to.const.u64"})
    forms[words] = formOf<[](uint64_t a) { return a; }, uint64_t, uint64_t>();
  forms["cvta.shared.u64"] = formOf<[](uint64_t a) { return a | kSharedWindow << kBufferBits; }, uint64_t, uint64_t>();
  forms["cvta.to.shared.u64"] = formOf<[](uint64_t a) { return a ^ kSharedWindow << kBufferBits; }, uint64_t, uint64_t>();
  forms["cvta.local.u64"] = formOf<[](uint64_t a) { return a | kLocalWindow << kBufferBits; }, uint64_t, uint64_t>();
  forms["cvta.to.local.u64"] = formOf<[](uint64_t a) { return a ^ kLocalWindow << kBufferBits; }, uint64_t, uint64_t>();
  forms["cvta.param.u64"] = formOf<[](uint64_t a) { return a | kParamWindow << kBufferBits; }, uint64_t, uint64_t>();
}

} // namespace emulator
