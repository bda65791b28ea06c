// Code: a few words for writing loops over memory in MLIR (llvm pointers; scf, arith, math and vector on them).
//
// Numbers are i64, f32 and vectors of f32, i32, i1 of the target's lanes. An access is aligned to its elements only, unless it is said to be `whole`: to all of
// its vector, so that a GPU reads it at once.
#pragma once
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/Builders.h"
#include <functional>

namespace peftc::conversion {

/// Fields of the struct that a kernel is called with (runtime/cpu/Kernels.h has the same in C).
enum class CallField : int32_t { data, offsets, squares, sites, scratch, examples, elements, key0, key1, step, pass, lengths, pairs, tasks, scratchBytes, first };

/// What code is made for.
struct Machine {
  unsigned lanes;     ///< f32 elements that are taken at a time
  bool pairs = false; ///< instructions of AVX512_BF16: products of pairs of bf16, and rounding to bf16
  unsigned team = 1;  ///< of a GPU: how many threads do a row together, a power of two
  bool whole = false; ///< operands and results of rows begin where a whole vector may
  unsigned warps = 1; ///< that a team's threads lie in, as many neighbours in each; beside them there lie other teams' in the same warps
  unsigned dealt = 1; ///< teams that share the parts of one row

  static constexpr unsigned kWarp = 32;
  unsigned ofRow() const { return team * dealt; }        ///< threads
  unsigned ofWarp() const { return team / warps; }       ///< a team's threads
  unsigned together() const { return kWarp / ofWarp(); } ///< teams whose threads lie in the same warps
};

class Code {
public:
  Code(mlir::OpBuilder &builder, mlir::Location loc, Machine machine) : b(builder), loc(loc), lanes(machine.lanes), pairs(machine.pairs), team(machine.team), whole(machine.whole), machine(machine) {}

  using Value = mlir::Value;
  mlir::Type f32() const { return b.getF32Type(); }
  mlir::Type i64() const { return b.getI64Type(); }
  mlir::Type pointer() const { return mlir::LLVM::LLVMPointerType::get(b.getContext()); }
  mlir::VectorType vectorOf(mlir::Type element) const { return mlir::VectorType::get({lanes}, element); }

  Value integer(int64_t value);
  Value number(double value); ///< f32
  Value add(Value x, Value y);
  Value sub(Value x, Value y);
  Value mul(Value x, Value y);
  Value mul(Value x, int64_t y);
  Value least(Value x, Value y); ///< of two i64
  Value roundUp(Value x, int64_t multiple);
  Value less(Value x, Value y);

  /// `pointer + index` elements.
  Value at(Value pointer, mlir::Type element, Value index);
  Value at(Value pointer, Value index) { return at(pointer, f32(), index); }
  mlir::Type half() const { return b.getI16Type(); } ///< bf16 in memory
  Value load(Value pointer, mlir::Type type);
  void store(Value value, Value pointer);
  /// A vector of f32; lanes outside `mask` (if there is one) are not touched in memory and are 0.
  Value loadVector(Value pointer, Value mask = {}, bool whole = false);
  void storeVector(Value vector, Value pointer, Value mask = {}, bool whole = false);
  /// The same for bf16 in memory (as i16), f32 in registers; a store rounds to nearest, ties to even.
  Value loadHalves(Value pointer, Value mask = {}, bool whole = false);
  void storeHalves(Value vector, Value pointer, Value mask = {}, bool whole = false);
  Value loadHalf(Value pointer);
  void storeHalf(Value number, Value pointer);
  /// A vector of bf16 as they lie, and what a store makes of f32.
  Value loadHalfBits(Value pointer, bool whole);
  Value rounded(Value vector);
  /// A vector of bf16 as words that hold nothing else.
  Value loadHalfWords(Value pointer, Value mask = {}, bool whole = false);
  Value upperHalf(Value words); ///< the lower halves, moved up
  /// The same for bools in bytes, as i1.
  Value loadBools(Value pointer, Value mask = {}, bool whole = false);
  void storeBools(Value vector, Value pointer, Value mask = {}, bool whole = false);
  Value splat(Value scalar);
  /// `first`, `first` + 1 … as i32.
  Value places(Value first);
  /// A whole number of memory (i64) as i32.
  Value loadWhole(Value pointer);
  /// Lanes 0 … count - 1.
  Value firstLanes(Value count);
  Value firstLanes(int64_t count);
  /// Combines the lanes as a tree.
  Value reduce(Value vector, const std::function<Value(Value, Value)> &combine);

  /// for i = begin; i < end; i += step. `body` gets i and the carried values and returns them anew.
  llvm::SmallVector<Value> loop(Value begin, Value end, int64_t step, llvm::ArrayRef<Value> carried,
                                const std::function<llvm::SmallVector<Value>(Value, mlir::ValueRange)> &body);
  void loop(Value begin, Value end, int64_t step, const std::function<void(Value)> &body);
  void when(Value condition, const std::function<void()> &body);
  void choose(Value condition, const std::function<void()> &body, const std::function<void()> &otherwise);
  /// `body` makes the carried values anew where the condition holds.
  llvm::SmallVector<Value> when(Value condition, llvm::ArrayRef<Value> carried, const std::function<llvm::SmallVector<Value>(mlir::ValueRange)> &body);
  Value isNull(Value pointer);
  void callFunction(Value function, llvm::ArrayRef<Value> arguments); ///< which returns nothing

  // Threads that do a row together. A team of one makes no code of its own. A team of several warps meets at its block's barrier, to which all the
  // block's teams come together, and its warps exchange numbers in shared memory.
  /// This thread's place in its team (i64), made where it is first asked for: in a function's first block.
  Value member();
  Value isMember(int64_t place);
  /// Where this thread's part begins of what begins at `first` and is dealt out in pieces of `size`; its next one is `size * team` further.
  Value ownFirst(Value first, int64_t size);
  /// Which of the teams that share a row this thread's is (i64).
  Value teamOfRow();
  /// What one thread does for all.
  void alone(const std::function<void()> &body);
  /// This thread's warp among the team's (i64), and the team's first warp in its block.
  Value warp();
  Value firstWarp();
  /// `f32 [count]` of shared memory for each warp of a block of `kMostWarps`, this one's at its place among all (`behind` warps further).
  Value shared(int64_t count, Value behind = {});
  static constexpr int64_t kMostWarps = 16;
  /// Where several teams lie in the same warps and there are fewer rows than teams, one without a row does another's again: writes nothing.
  void onlyIf(Value isActive) { active = isActive; }
  void whenActive(const std::function<void()> &body);
  /// What each did to memory the others see from here on.
  void meet();
  /// The members' numbers as one, which all have; the same bits in each, for `combine` is commutative.
  Value across(Value number, const std::function<Value(Value, Value)> &combine);
  /// One of a thread's coordinates in its grid, or of their bounds, as PTX names it.
  Value coordinate(llvm::StringRef name);

  /// The struct that a kernel is called with.
  mlir::LLVM::LLVMStructType callType();
  Value fieldAddress(Value call, CallField field);
  Value field(Value call, CallField field);
  /// The pointer of operand or result `index`.
  Value dataPointer(Value call, int64_t index);

  mlir::OpBuilder &b;
  mlir::Location loc;
  unsigned lanes;
  bool pairs;
  unsigned team;
  bool whole;
  Machine machine;

  static constexpr unsigned kAccess = 16; ///< bytes that a GPU's thread reads at once

private:
  unsigned alignmentOf(unsigned element, bool whole) const { return whole ? std::min(kAccess, element * lanes) : element; } ///< bytes
  Value teamMask();
  Value blockWarp();
  Value acrossWarps(Value number, const std::function<Value(Value, Value)> &combine);
  Value wordsOf(Value halves);
  Value widened(Value words);
  Value member_, active;
};

} // namespace peftc::conversion
