// Warps: shuffles, votes, reductions and products of a warp, against the manual's pseudo-code and plain loops.
#include "tests/gpu/emulator/Case.h"
#include <bit>
#include <cmath>
#include <random>

using namespace emulator;

namespace {

constexpr const char *kLane = "mov.u32 %r0, %laneid;\nmul.wide.u32 %rd2, %r0, 4;\nadd.s64 %rd3, %rd1, %rd2;\nadd.s64 %rd4, %rd0, %rd2;\nld.global.b32 %r1, [%rd4];\n";

std::vector<uint32_t> numbers(size_t count, uint32_t seed) {
  std::mt19937 random(seed);
  std::vector<uint32_t> values(count);
  for (uint32_t &value : values)
    value = random();
  return values;
}

/// The result of each of 32 lanes that have each a number.
std::vector<uint32_t> lanes(const std::string &body, const std::vector<uint32_t> &values) { return valuesOf<uint32_t>(Case{kLane + body + "\nst.global.b32 [%rd3], %r2;", "", {}, {32}, bytesOf(values), "", 128}.run()); }

void testShuffles() {
  const std::vector<uint32_t> values = numbers(32, 1);
  for (const std::string how : {"up", "down", "bfly", "idx"})
    for (const uint32_t b : {0u, 1u, 5u, 16u, 31u})
      for (const uint32_t width : {32u, 8u}) {
        const uint32_t c = (32 - width) << 8 | (how == "up" ? 0 : 31);
        const std::string words = std::to_string(b) + ", " + std::to_string(c) + ", 0xffffffff;";
        const std::vector<uint32_t> got = lanes("shfl.sync." + how + ".b32 %r2, %r1, " + words, values), ranges = lanes("shfl.sync." + how + ".b32 %r3|%p1, %r1, " + words + "\nselp.b32 %r2, 1, 0, %p1;", values);
        for (int lane = 0; lane < 32; ++lane) {
          // By segments of `width` lanes.
          const int begin = lane / static_cast<int>(width) * static_cast<int>(width), end = begin + static_cast<int>(width), step = static_cast<int>(b);
          const int source = how == "up" ? lane - step : how == "down" ? lane + step : how == "bfly" ? lane ^ step : begin + step % static_cast<int>(width);
          const bool inRange = how == "up" ? source >= begin : source < end;
          EXPECT(got[lane] == values[inRange ? source : lane] && ranges[lane] == inRange);
        }
      }
}

void testVotes() {
  const std::vector<uint32_t> values = numbers(32, 2);
  uint32_t odd = 0, sum = 0, all = ~0u, any = 0, none = 0;
  int32_t least = INT32_MAX;
  for (int lane = 0; lane < 32; ++lane) {
    odd |= (values[lane] & 1) << lane, sum += values[lane], all &= values[lane], any |= values[lane], none ^= values[lane];
    least = std::min(least, static_cast<int32_t>(values[lane]));
  }
  const std::string isOdd = "and.b32 %r4, %r1, 1;\nsetp.ne.u32 %p1, %r4, 0;\n";
  const auto everywhere = [&](const std::string &body, uint32_t wanted) {
    for (const uint32_t got : lanes(body, values))
      EXPECT(got == wanted);
  };
  everywhere(isOdd + "vote.sync.ballot.b32 %r2, %p1, 0xffffffff;", odd);
  everywhere(isOdd + "vote.sync.ballot.b32 %r2, !%p1, 0xffffffff;", ~odd);
  everywhere(isOdd + "vote.sync.any.pred %p2, %p1, 0xffffffff;\nselp.b32 %r2, 1, 0, %p2;", 1);
  everywhere(isOdd + "vote.sync.all.pred %p2, %p1, 0xffffffff;\nselp.b32 %r2, 1, 0, %p2;", 0);
  everywhere("redux.sync.add.s32 %r2, %r1, 0xffffffff;", sum);
  everywhere("redux.sync.min.s32 %r2, %r1, 0xffffffff;", static_cast<uint32_t>(least));
  everywhere("redux.sync.and.b32 %r2, %r1, 0xffffffff;", all);
  everywhere("redux.sync.or.b32 %r2, %r1, 0xffffffff;", any);
  everywhere("redux.sync.xor.b32 %r2, %r1, 0xffffffff;", none);
  const std::vector<uint32_t> equal = lanes(isOdd + "match.any.sync.b32 %r2, %r4, 0xffffffff;", values);
  for (int lane = 0; lane < 32; ++lane)
    EXPECT(equal[lane] == (values[lane] & 1 ? odd : ~odd));
  // Half of the lanes by themselves.
  const std::vector<uint32_t> half = lanes("setp.lt.u32 %p1, %r0, 16;\nmov.b32 %r2, 9;\n@!%p1 bra $out;\nredux.sync.max.u32 %r2, %r0, 0x0000ffff;\n$out:", values);
  for (int lane = 0; lane < 32; ++lane)
    EXPECT(half[lane] == (lane < 16 ? 15u : 9u));
}

uint16_t bf16(float value) { return static_cast<uint16_t>(std::bit_cast<uint32_t>(value) >> 16); }

/// Tiles in shared memory, by rows; fragments by ldmatrix (B, which is [depth, 8], transposed on the way); the product of small whole numbers is exact.
void testProduct() {
  std::mt19937 random(3);
  std::vector<uint16_t> memory;
  std::vector<float> a(16 * 16), b(16 * 8);
  for (std::vector<float> *matrix : {&a, &b})
    for (float &value : *matrix) {
      value = static_cast<float>(static_cast<int>(random() % 17) - 8);
      memory.push_back(bf16(value));
    }
  const std::string load = "mov.u32 %r0, %laneid;\nmov.b32 %r1, 0;\n$copy:\nshl.b32 %r2, %r1, 5;\nadd.s32 %r2, %r2, %r0;\nmul.wide.u32 %rd2, %r2, 4;\nadd.s64 %rd3, %rd0, %rd2;\nld.global.b32 %r3, [%rd3];\nmov.u64 %rd4, s;\n"
                           "add.s64 %rd5, %rd4, %rd2;\nst.shared.b32 [%rd5], %r3;\nadd.s32 %r1, %r1, 1;\nsetp.lt.s32 %p1, %r1, 6;\n@%p1 bra $copy;\nbar.sync 0;\n";
  // A: lanes 0-7 rows 0-7, 8-15 rows 8-15, 16-23 rows 0-7 of columns 8 …, 24-31 rows 8-15 of those; a row is 32 bytes. B: lanes 0-15 its rows, of 16 bytes.
  const std::string fragments = "and.b32 %r4, %r0, 15;\nshl.b32 %r5, %r4, 5;\nshr.u32 %r6, %r0, 4;\nshl.b32 %r7, %r6, 4;\nadd.s32 %r8, %r5, %r7;\ncvt.u64.u32 %rd6, %r8;\nadd.s64 %rd7, %rd4, %rd6;\n"
                                "ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%r10, %r11, %r12, %r13}, [%rd7];\nshl.b32 %r9, %r4, 4;\ncvt.u64.u32 %rd8, %r9;\nadd.s64 %rd9, %rd4, %rd8;\n"
                                "ldmatrix.sync.aligned.m8n8.x2.trans.shared.b16 {%r14, %r15}, [%rd9+512];\n";
  const std::string multiply = "mov.f32 %r20, 0f3F800000;\nmma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%r21, %r22, %r23, %r24}, {%r10, %r11, %r12, %r13}, {%r14, %r15}, {%r20, %r20, %r20, %r20};\n"
                               "shr.u32 %r30, %r0, 2;\nand.b32 %r31, %r0, 3;\nshl.b32 %r32, %r30, 5;\nshl.b32 %r33, %r31, 3;\nadd.s32 %r34, %r32, %r33;\ncvt.u64.u32 %rd10, %r34;\nadd.s64 %rd11, %rd1, %rd10;\n"
                               "st.global.v2.b32 [%rd11], {%r21, %r22};\nst.global.v2.b32 [%rd11+256], {%r23, %r24};";
  const Case product{load + fragments + multiply, ".shared .align 16 .b8 s[768];", {}, {32}, bytesOf(memory), "", 512};
  const std::vector<float> got = valuesOf<float>(product.run());
  for (int row = 0; row < 16; ++row)
    for (int column = 0; column < 8; ++column) {
      float wanted = 1;
      for (int k = 0; k < 16; ++k)
        wanted += a[row * 16 + k] * b[k * 8 + column];
      EXPECT(got[row * 8 + column] == wanted);
    }
  // Without the barrier a lane takes what others put there.
  Case wrong = product;
  wrong.body.replace(wrong.body.find("bar.sync 0;"), 11, "");
  expectFault(wrong, {"`ldmatrix.sync.aligned.m8n8.x4.shared.b16`", "race"});
}

} // namespace

int main() {
  testShuffles();
  testVotes();
  testProduct();
  std::puts("ok");
}
