// Instructions: the subset of PTX, an entry for each opcode as it is written. What has no entry is an error that names it.
//
// A shape is a letter for each operand: d a register that is given, s a source, p a predicate that may be negated, m an address, l a label, t a table of labels,
// D and S vectors of as many as there are, * one or a vector.
// Opcodes whose first operand is a pair (`setp.lt.s32 %p|%q`) end in `|` here, those of mov that unpack and pack in `{` and `}`, barriers with a count in `,2`.
#pragma once
#include "tests/gpu/emulator/Program.h"
#include <cstring>
#include <unordered_map>
#include <utility>

namespace emulator {

struct Form {
  Handler run = nullptr;
  std::string shape;
  Together together = nullptr;
};
using Forms = std::unordered_map<std::string, Form>;

void addIntegers(Forms &forms);    ///< Integers.cpp
void addBits(Forms &forms);        ///< Bits.cpp: shifts, fields, logic, moves, selections
void addFloats(Forms &forms);      ///< Floats.cpp: f32, f64
void addHalves(Forms &forms);      ///< Halves.cpp: f16, bf16 and pairs of them
void addConversions(Forms &forms); ///< Conversions.cpp
void addControl(Forms &forms);     ///< Control.cpp: branches, barriers
void addWarps(Forms &forms);       ///< Warps.cpp: what lanes do together
void addMatrices(Forms &forms);    ///< Matrices.cpp: mma, ldmatrix

/// ld, st, atom, red: by what their modifiers say. Without an opcode of these: nothing.
bool formAccess(const std::string &opcode, size_t elements, Form &form, Instruction &instruction); ///< Accesses.cpp

template <class T> T bitsAs(uint64_t bits) {
  T value;
  std::memcpy(static_cast<void *>(&value), &bits, sizeof value);
  return value;
}
template <> inline bool bitsAs<bool>(uint64_t bits) { return bits & 1; }

template <class T> uint64_t bitsOf(T value) {
  uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof value);
  return bits;
}

template <class T> T get(const Thread &thread, const Instruction &instruction, size_t operand) { return bitsAs<T>(thread.r[instruction.slots[operand]]); }
template <class T> void set(Thread &thread, const Instruction &instruction, size_t operand, T value) { thread.r[instruction.slots[operand]] = bitsOf(value); }

/// d = F(sources)
template <auto F, class R, class... A> void apply(Thread &thread, const Instruction &instruction) {
  [&]<size_t... K>(std::index_sequence<K...>) { set<R>(thread, instruction, 0, F(get<A>(thread, instruction, K + 1)...)); }(std::index_sequence_for<A...>());
}

template <auto F, class R, class... A> Form formOf() { return {apply<F, R, A...>, "d" + std::string(sizeof...(A), 's')}; }

} // namespace emulator
