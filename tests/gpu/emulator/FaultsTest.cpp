// Faults: what the emulator must find, each in the smallest kernel that does it; and the same kernel put right, in which nothing may be found.
#include "tests/gpu/emulator/Case.h"

using namespace emulator;

namespace {

/// %r0 = index in the block, %rd2 = 4 times it, %rd3 = out + that
const char *const kOwnPlace = "mov.u32 %r0, %tid.x;\nmul.wide.u32 %rd2, %r0, 4;\nadd.s64 %rd3, %rd1, %rd2;\n";

void testBounds() {
  const Case good{"ld.global.b32 %r1, [%rd0+4];\nst.global.b32 [%rd1], %r1;", "", {}, {}, bytesOf<uint32_t>({7, 8}), "", 4};
  EXPECT(valuesOf<uint32_t>(good.run()) == std::vector<uint32_t>{8});
  Case beyond = good;
  beyond.body = "ld.global.b32 %r1, [%rd0+8];\nst.global.b32 [%rd1], %r1;";
  expectFault(beyond, {"k, line 16 of the PTX, block 0 thread 0, `ld.global.b32`", "out of bounds: 4 bytes at 8 of `in`, which has 8"});
  beyond.body = "ld.global.b32 %r1, [%rd0+-4];\nst.global.b32 [%rd1], %r1;";
  expectFault(beyond, {"out of bounds: 4 bytes 4 before `in`"});
  beyond.body = "ld.global.v2.b32 {%r1, %r2}, [%rd0+4];";
  expectFault(beyond, {"out of bounds: 8 bytes at 4"});
  beyond.body = "mov.b64 %rd2, 0;\nld.b32 %r1, [%rd2];";
  expectFault(beyond, {"in no buffer"});
  beyond.body = "mov.b32 %r1, 1;\nst.global.b32 [%rd1+4], %r1;";
  expectFault(beyond, {"of `out`, which has 4"});
  beyond.body = "mov.b32 %r1, 1;\nst.global.b32 [%rd0], %r1;";
  expectFault(beyond, {"writes to `in`", "not to be written"});
  beyond.body = "mov.b64 %rd2, 64;\nmov.b32 %r1, 1;\nst.shared.b32 [%rd2], %r1;";
  beyond.sharedBytes = 64;
  expectFault(beyond, {"`shared memory of the block`, which has 64"});
}

void testAlignment() {
  Case kernel{"ld.global.b32 %r1, [%rd0+2];", "", {}, {}, bytesOf<uint32_t>({7, 8}), "", 4};
  expectFault(kernel, {"misaligned: 4 bytes", "`in`"});
  kernel.body = "ld.global.v2.b32 {%r1, %r2}, [%rd0+4];"; // inside and aligned to its elements, but not to the vector
  kernel.in = bytesOf<uint32_t>({7, 8, 9});
  expectFault(kernel, {"misaligned: 8 bytes"});
}

void testUninitialised() {
  Case kernel{"ld.global.b32 %r1, [%rd1];\nst.global.b32 [%rd1], %r1;", "", {}, {}, "", "", 4};
  expectFault(kernel, {"uninitialised: reads `out` at 0"});
  kernel.body = "mov.b16 %rs1, 1;\nst.global.b16 [%rd1], %rs1;\nld.global.b32 %r1, [%rd1];"; // half of it
  expectFault(kernel, {"uninitialised: reads `out` at 2"});
  kernel.body = "ld.shared.b32 %r1, [s];";
  kernel.before = ".shared .align 4 .b8 s[64];";
  expectFault(kernel, {"uninitialised: reads `shared memory of the block` at 0"});
  kernel.body = "mov.b32 %r1, 5;\nst.global.b32 [%rd1], %r1;\nld.global.b32 %r2, [%rd1];\nadd.s32 %r3, %r1, %r2;\nst.global.b32 [%rd1], %r3;";
  EXPECT(valuesOf<uint32_t>(kernel.run())[0] == 10);
  kernel.body = "add.s32 %r3, %r1, %r2;";
  expectFault(kernel, {"uninitialised: register `%r1` has no value yet"});
  // One of two ways gives it; which is taken shows when it runs.
  const std::string ways = "ld.global.b32 %r5, [%rd0];\nsetp.eq.s32 %p1, %r5, 0;\n@%p1 bra $after;\nmov.b32 %r1, 3;\n$after:\nst.global.b32 [%rd1], %r1;";
  kernel.body = ways, kernel.in = bytesOf<uint32_t>({1});
  EXPECT(valuesOf<uint32_t>(kernel.run())[0] == 3);
  kernel.in = bytesOf<uint32_t>({0});
  expectFault(kernel, {"register `%r1`"});
}

void testRacesInGlobalMemory() {
  Case kernel{kOwnPlace + std::string("st.global.b32 [%rd3], %r0;"), "", {2}, {4}, "", "", 16};
  expectFault(kernel, {"block 1 thread 0", "race: writes `out` at 0, which thread 0 of the grid wrote"}); // both blocks write the same places
  kernel.grid = {1};
  EXPECT((valuesOf<uint32_t>(kernel.run()) == std::vector<uint32_t>{0, 1, 2, 3}));
  kernel.body = kOwnPlace + std::string("st.global.b32 [%rd3], %r0;\nld.global.b32 %r1, [%rd1];"); // all read the first one's
  expectFault(kernel, {"race: reads `out` at 0, which thread 0"});
  kernel.body = kOwnPlace + std::string("st.global.b32 [%rd3], %r0;\nbar.sync 0;\nld.global.b32 %r1, [%rd1];\nbar.sync 0;\nst.global.b32 [%rd3], %r1;");
  EXPECT((valuesOf<uint32_t>(kernel.run()) == std::vector<uint32_t>{0, 0, 0, 0}));
  // Every other barrier less is a race: after readers, a writer.
  kernel.body = kOwnPlace + std::string("st.global.b32 [%rd3], %r0;\nbar.sync 0;\nld.global.b32 %r1, [%rd1];\nst.global.b32 [%rd3], %r1;");
  expectFault(kernel, {"race: reads `out` at 0"});
  kernel.turn = 1; // the readers come first
  expectFault(kernel, {"race: writes `out` at 0, which thread", "read"});
  // Bytes side by side are not the same place.
  kernel.body = "mov.u32 %r0, %tid.x;\ncvt.u64.u32 %rd2, %r0;\nadd.s64 %rd3, %rd1, %rd2;\ncvt.u16.u32 %rs0, %r0;\nst.global.b8 [%rd3], %rs0;";
  kernel.outBytes = 4;
  EXPECT(kernel.run() == std::string("\0\1\2\3", 4));
}

void testAtomics() {
  Case kernel{"atom.global.add.u32 %r1, [%rd1], 1;", "", {3}, {64}, "", bytesOf<uint32_t>({10})};
  EXPECT(valuesOf<uint32_t>(kernel.run())[0] == 10 + 3 * 64);
  kernel.body = "red.relaxed.gpu.global.max.u32 [%rd1], %r1;", kernel.body = "mov.u32 %r1, %ctaid.x;\n" + kernel.body;
  EXPECT(valuesOf<uint32_t>(kernel.run())[0] == 10);
  kernel.body = "mov.b32 %r1, 1;\nst.global.b32 [%rd1], %r1;\natom.global.add.u32 %r2, [%rd1], 1;";
  expectFault(kernel, {"race"}); // the store is no atomic
}

void testSharedMemory() {
  // Each thread takes what its neighbour put there.
  const std::string put = "mov.u32 %r0, %tid.x;\nshl.b32 %r1, %r0, 2;\ncvt.u64.u32 %rd2, %r1;\nmov.u64 %rd4, s;\nadd.s64 %rd5, %rd4, %rd2;\nst.shared.b32 [%rd5], %r0;\n";
  const std::string take = "xor.b64 %rd6, %rd2, 4;\nadd.s64 %rd7, %rd4, %rd6;\nld.shared.b32 %r2, [%rd7];\nadd.s64 %rd3, %rd1, %rd2;\nst.global.b32 [%rd3], %r2;";
  Case kernel{put + "bar.sync 0;\n" + take, ".shared .align 4 .b8 s[256];", {}, {64}, "", "", 256};
  const std::vector<uint32_t> got = valuesOf<uint32_t>(kernel.run());
  for (uint32_t index = 0; index < 64; ++index)
    EXPECT(got[index] == (index ^ 1));
  kernel.body = put + take; // in turns of one instruction each value is there in time, and it is a race all the same
  kernel.turn = 1;
  expectFault(kernel, {"race: reads `shared memory of the block`", "with no barrier between"});
  kernel.body = put + "bar.warp.sync 0xffffffff;\n" + take; // neighbours are of one warp
  EXPECT(valuesOf<uint32_t>(kernel.run()) == got);
  kernel.body = put + "bar.warp.sync 0xffffffff;\nxor.b64 %rd2, %rd2, 128;\n" + take; // of the other warp
  expectFault(kernel, {"race"});
  kernel.body = put + "bar.sync 3, 32;\n" + take; // a warp's own barrier, each its turn
  EXPECT(valuesOf<uint32_t>(kernel.run()) == got);
  // By a generic address, too.
  kernel.body = put + "bar.sync 0;\n" + "cvta.shared.u64 %rd8, %rd5;\nld.b32 %r3, [%rd8];\nadd.s64 %rd3, %rd1, %rd2;\nst.global.b32 [%rd3], %r3;";
  EXPECT(valuesOf<uint32_t>(kernel.run())[5] == 5);
}

void testBarriers() {
  Case kernel{"mov.u32 %r0, %tid.x;\nsetp.lt.u32 %p1, %r0, 32;\n@%p1 bra $out;\nbar.sync 0;\n$out:", "", {}, {64}, "", "", 4};
  expectFault(kernel, {"deadlock: of 64 threads wait 32 in line 19; 32 have ended"});
  kernel.body = "mov.u32 %r0, %tid.x;\nsetp.lt.u32 %p1, %r0, 32;\n@%p1 bra $other;\nbar.sync 0;\nbra $out;\n$other:\nbar.sync 0;\n$out:"; // by warps: allowed
  Statistics statistics;
  kernel.run(&statistics);
  EXPECT(statistics.barriers == 1);
  kernel.body = "mov.u32 %r0, %tid.x;\nand.b32 %r1, %r0, 1;\nsetp.eq.u32 %p1, %r1, 0;\n@%p1 bra $other;\nbar.sync 0;\nbra $out;\n$other:\nbar.sync 0;\n$out:";
  expectFault(kernel, {"a divergent barrier", "of the same warp waits in line"});
  kernel.body = "mov.u32 %r0, %tid.x;\nsetp.lt.u32 %p1, %r0, 32;\n@%p1 bra $other;\nbar.sync 0;\nbra $out;\n$other:\nbar.sync 1;\n$out:";
  expectFault(kernel, {"deadlock", "32 in line 19, 32 in line 22"});
  kernel.body = "$top:\nbra $top;";
  kernel.most = 10'000;
  expectFault(kernel, {"a loop without an end"});
}

void testWarps() {
  Case kernel{"mov.b32 %r1, 1;\nshfl.sync.bfly.b32 %r2, %r1, 1, 31, 0x0000fffe;", "", {}, {32}, "", "", 4};
  expectFault(kernel, {"the mask of lanes lacks the lane itself"});
  kernel.body = "mov.b32 %r1, 1;\nmov.u32 %r0, %laneid;\nsetp.eq.u32 %p1, %r0, 5;\n@%p1 bra $out;\nshfl.sync.bfly.b32 %r2, %r1, 1, 31, 0xffffffff;\n$out:";
  expectFault(kernel, {"takes from lane 5, which the mask lacks"});
  kernel.body = "mov.b32 %r1, 1;\nmov.u32 %r0, %laneid;\nsetp.eq.u32 %p1, %r0, 5;\n@%p1 bra $out;\nshfl.sync.bfly.b32 %r2, %r1, 1, 31, 0xffffffff;\n$out:\nbar.warp.sync 0xffffffff;";
  expectFault(kernel, {"deadlock"});
  kernel.body = "mov.f32 %r1, 0f00000000;\nmov.b32 %r2, 0;\nmma.sync.aligned.m16n8k8.row.col.f32.bf16.bf16.f32 {%r4, %r5, %r6, %r7}, {%r2, %r2}, {%r2}, {%r1, %r1, %r1, %r1};";
  kernel.block = {16};
  expectFault(kernel, {"a whole warp is needed"});
}

void expectRefusal(const std::string &body, const std::vector<std::string> &texts, const std::string &before = "") { expectFault({body, before, {}, {}, "", "", 4}, texts); }

void testTexts() {
  expectRefusal("wgmma.fence.sync.aligned;", {"line 16 of the PTX", "`wgmma.fence.sync.aligned` is not in the subset"});
  expectRefusal("ld.global.b128 %rd2, [%rd0];", {"`ld.global.b128` is not in the subset"});
  expectRefusal("add.rn.s32 %r1, %r2, %r3;", {"`add.rn.s32` is not in the subset"});
  expectRefusal("add.s32 %r1, %r2;", {"has 2 operands, not 3"});
  expectRefusal("add.s32 %r1, %r2, %q;", {"there is no register or variable `%q`"});
  expectRefusal("add.s32 %q, %r2, %r1;", {"there is no register `%q`"});
  expectRefusal("bra $nowhere;", {"there is no label `$nowhere`"});
  expectRefusal("mov.f32 %r1, 1.5;", {"no number of the subset"});
  expectRefusal("", {"`.func` outside a kernel is not in the subset"}, ".func f() { ret; }");
  expectRefusal("mov.b32 %r1, 1;\nmov.b32 %r2, 0;\ndiv.u32 %r3, %r1, %r2;", {"divides by 0"});
  expectRefusal("trap;", {"`trap`: trap"});
}

} // namespace

int main() {
  testBounds();
  testAlignment();
  testUninitialised();
  testRacesInGlobalMemory();
  testAtomics();
  testSharedMemory();
  testBarriers();
  testWarps();
  testTexts();
  std::puts("ok");
}
