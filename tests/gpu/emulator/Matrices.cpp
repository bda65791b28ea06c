// Matrices: mma and ldmatrix of Instructions.h, with the fragments of the manual's 9.7.14.
//
// Numerics  products of halves are exact; sums are in double, rounded once: a GPU's order and precision of sums are its own, so a test may not ask for its bits.
#include "tests/gpu/emulator/Fault.h"
#include "tests/gpu/emulator/Half.h"
#include "tests/gpu/emulator/Instructions.h"

namespace emulator {
namespace {

using Lanes = std::array<Thread *, 32>;

void gatherWarp(Thread &thread, const Instruction &) {
  thread.mask = ~0u;
  thread.state = Thread::State::atWarp;
}

void demandAll(const Lanes &lanes) {
  for (int lane = 0; lane < 32; ++lane)
    if (!lanes[lane])
      throw Fault("a whole warp is needed, and there is no lane " + std::to_string(lane));
}

template <class H> double halfOf(const Thread &thread, const Instruction &i, int first, int element) {
  return static_cast<double>(H{static_cast<uint16_t>(get<uint32_t>(thread, i, first + element / 2) >> 16 * (element % 2))});
}

double tf32Of(const Thread &thread, const Instruction &i, int first, int element) { return bitsAs<float>(get<uint32_t>(thread, i, first + element) & 0xffffe000); }

using ElementOf = double (*)(const Thread &, const Instruction &, int first, int element);
struct Cell {
  int row, column;
};

/// D [16, 8] = A [16, depth] B [depth, 8] + C; registers in the order d, a, b, c.
template <int depth, int elementsOfA, int registersOfA, ElementOf elementOf, auto placeInA, auto placeInB> void multiply(const Lanes &lanes, const Instruction &i) {
  demandAll(lanes);
  double a[16][depth], b[depth][8], d[16][8];
  constexpr int firstOfB = 4 + registersOfA, firstOfC = firstOfB + registersOfA / 2;
  const auto placeInD = [](int group, int inGroup, int element) { return Cell{group + (element < 2 ? 0 : 8), inGroup * 2 + element % 2}; };
  for (int lane = 0; lane < 32; ++lane) {
    const int group = lane / 4, inGroup = lane % 4;
    for (int element = 0; element < elementsOfA; ++element) {
      const Cell place = placeInA(group, inGroup, element);
      a[place.row][place.column] = elementOf(*lanes[lane], i, 4, element);
    }
    for (int element = 0; element < elementsOfA / 2; ++element) {
      const Cell place = placeInB(group, inGroup, element);
      b[place.row][place.column] = elementOf(*lanes[lane], i, firstOfB, element);
    }
    for (int element = 0; element < 4; ++element) {
      const Cell place = placeInD(group, inGroup, element);
      d[place.row][place.column] = get<float>(*lanes[lane], i, firstOfC + element);
    }
  }
  for (int row = 0; row < 16; ++row)
    for (int column = 0; column < 8; ++column)
      for (int k = 0; k < depth; ++k)
        d[row][column] += a[row][k] * b[k][column];
  for (int lane = 0; lane < 32; ++lane)
    for (int element = 0; element < 4; ++element) {
      const Cell place = placeInD(lane / 4, lane % 4, element);
      set<float>(*lanes[lane], i, element, static_cast<float>(d[place.row][place.column]));
    }
}

template <class H> void addHalves(Forms &forms, const std::string &type) {
  const std::string types = ".row.col.f32." + type + "." + type + ".f32";
  forms["mma.sync.aligned.m16n8k16" + types] = {
      gatherWarp, "DSSS",
      multiply<16, 8, 4, halfOf<H>, [](int group, int in, int i) { return Cell{group + ((i / 2) % 2 ? 8 : 0), in * 2 + i % 2 + (i < 4 ? 0 : 8)}; }, [](int group, int in, int i) { return Cell{in * 2 + i % 2 + (i < 2 ? 0 : 8), group}; }>};
  forms["mma.sync.aligned.m16n8k8" + types] = {
      gatherWarp, "DSSS",
      multiply<8, 4, 2, halfOf<H>, [](int group, int in, int i) { return Cell{group + (i < 2 ? 0 : 8), in * 2 + i % 2}; }, [](int group, int in, int i) { return Cell{in * 2 + i, group}; }>};
}

/// Lane 8 m + r gives the address of row r of matrix m; each row has 8 numbers of 16 bits.
template <int count, bool transposed> void loadMatrices(const Lanes &lanes, const Instruction &i) {
  demandAll(lanes);
  uint16_t rows[count * 8][8];
  for (int row = 0; row < count * 8; ++row)
    std::memcpy(rows[row], reach(*lanes[row], i, lanes[row]->r[i.slots[count]] + i.number, 16, Touch::read), 16);
  for (int lane = 0; lane < 32; ++lane)
    for (int matrix = 0; matrix < count; ++matrix) {
      const int row = lane / 4, column = lane % 4 * 2;
      const uint16_t *own = rows[matrix * 8 + row];
      const uint32_t low = transposed ? rows[matrix * 8 + column][row] : own[column], high = transposed ? rows[matrix * 8 + column + 1][row] : own[column + 1];
      set<uint32_t>(*lanes[lane], i, matrix, high << 16 | low);
    }
}

template <int count> void addLoads(Forms &forms, const std::string &name) {
  for (const char *space : {"shared", "shared::cta"}) {
    forms["ldmatrix.sync.aligned.m8n8." + name + "." + space + ".b16"] = {gatherWarp, "Dm", loadMatrices<count, false>};
    forms["ldmatrix.sync.aligned.m8n8." + name + ".trans." + space + ".b16"] = {gatherWarp, "Dm", loadMatrices<count, true>};
  }
}

} // namespace

void addMatrices(Forms &forms) {
  addHalves<F16>(forms, "f16"), addHalves<Bf16>(forms, "bf16");
  forms["mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32"] = {
      gatherWarp, "DSSS",
      multiply<8, 4, 4, tf32Of, [](int group, int in, int i) { return Cell{group + (i % 2 ? 8 : 0), in + (i < 2 ? 0 : 4)}; }, [](int group, int in, int i) { return Cell{in + i * 4, group}; }>};
  addLoads<1>(forms, "x1"), addLoads<2>(forms, "x2"), addLoads<4>(forms, "x4");
}

} // namespace emulator
