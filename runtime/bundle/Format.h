// Format: a bundle in memory, and its programs as structs (README.md says what each field means).
//
// `Bundle` holds the sections as they are; `programsOf` and `planOf` parse them, `toJson` is their inverse.
// Errs  R0102 a section lacks something or has it in another form
#pragma once
#include "runtime/bundle/JsonSection.h"
#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace peftrt {

constexpr uint32_t kFormatVersion = 1;
constexpr char kTrailerMagic[] = "PEFTBNDL";
constexpr uint64_t kTrailerSize = 32;
constexpr char kGpuPlan[] = "plan.gpu.json"; ///< a section
/// Kernels of the CPU c are the section kernels/c.so; those of the GPU g kernels/g.ptx, and what belongs to them.
constexpr char kKernelFolder[] = "kernels", kKernelSuffix[] = ".so", kPtxSuffix[] = ".ptx", kCubinSuffix[] = ".cubin", kGpuFactsSuffix[] = ".json";

/// Kernels for one generation of GPUs. Each has an entry (compiler/conversion/Kernels.h).
struct GpuCode {
  std::string ptx;       ///< which the driver of any GPU that is not older compiles
  std::string cubin;     ///< the same, assembled: for GPUs of this generation only; empty where the compiler had no assembler
  int64_t flatShare = 1; ///< elements that a thread takes at a time in kernels of the space `flat`; in others it takes a task
  bool operator==(const GpuCode &) const = default;
};

struct Bundle {
  nlohmann::json manifest;
  JsonSection programs, plan;
  std::string spec;
  std::map<std::string, std::string> kernels{}; ///< name of a CPU (compiler/target/Targets.def) → bytes of a shared object; empty where no step is generated code
  JsonSection gpuPlan{};                        ///< the programs as steps for a GPU; there where such kernels are
  std::map<std::string, GpuCode> gpuKernels{};  ///< name of a GPU (the same file) → its kernels; those that `--target` named
};

/// How long each sequence of each example is: by sequence, then by example.
using Lengths = std::vector<std::vector<int64_t>>;

/// A length: c + k·s, s the tokens of one of the example's sequences.
struct Dim {
  int64_t c = 0, k = 0;
  int64_t sequence = 0; ///< which one; 0 where k is
  int64_t at(int64_t seq) const { return c + k * seq; }
  int64_t at(const Lengths &lengths, int64_t example) const { return ragged() ? at(lengths.at(static_cast<size_t>(sequence))[static_cast<size_t>(example)]) : c; }
  bool ragged() const { return k != 0; }
  bool operator==(const Dim &other) const { return c == other.c && k == other.k && sequence == other.sequence; }
};

enum class ValueType { f32, bf16, i64, i1 };
int64_t widthOf(ValueType type); ///< bytes of an element

struct Value {
  ValueType type = ValueType::f32;
  bool perExample = false; ///< else one for the whole run
  std::vector<Dim> dims;
  bool ragged() const;
};

struct Op {
  std::string op;
  std::vector<int64_t> in, out; ///< indices into the program's values
  nlohmann::json attrs = nlohmann::json::object();
  std::string loc;
};

struct NamedValue {
  std::string name;
  int64_t value = 0;
};

struct Program {
  std::string name;
  bool flat = false; ///< dims [1] stand for the length of the run's vectors (optimizer programs)
  std::vector<NamedValue> inputs;
  std::vector<Value> values;
  std::vector<Op> ops;
  std::vector<NamedValue> results;
};

/// Where the pair of two sequences stands among all pairs: (0, 0), (0, 1), (1, 1), (0, 2) …
constexpr int64_t pairOf(int64_t a, int64_t b) { return a < b ? pairOf(b, a) : a * (a + 1) / 2 + b; }

/// Bytes of a slot: c + e·examples + t·tokens + q·Σ s² + p·threads. Where p is not 0, each thread has its rows of a value in p of them.
/// t and q are the first sequence's; `ts` has a t for each other one, `qs` a q for each pair of sequences but the first.
struct SlotSize {
  int64_t c = 0, e = 0, t = 0, q = 0, p = 0;
  std::vector<int64_t> ts{}, qs{};
};

/// Where a value of a plan lies: in a slot, in another value's bytes (same elements in the same order, or, with a pitch, its rows), or, with both -1,
/// where a parameter or an input already is, or a border that is kept.
struct Place {
  int64_t slot = -1, alias = -1;
  int64_t pitch = 0, column = 0; ///< elements: from a row to the next, and before the first; a pitch of 0: rows lie one behind the other
};

/// A program's steps on planned buffers. `body.ops` are the steps; `kinds` says how each is run.
struct PlanProgram {
  Program body;
  std::vector<SlotSize> slots;
  std::vector<Place> places;     ///< one per value
  std::vector<std::string> kinds; ///< one per op: aten | gemm | random | kernel
  bool streamed = false;         ///< a result is taken when it is made: the next step may write over it
  std::vector<int64_t> bands;    ///< by their number: the most rows that a thread takes at a time
};

std::vector<Program> programsOf(const nlohmann::json &section);
std::vector<PlanProgram> planOf(const nlohmann::json &section);
nlohmann::json toJson(const std::vector<Program> &programs);
nlohmann::json toJson(const std::vector<PlanProgram> &programs);
/// A dim as attributes hold it (`start`, `lo`, `rows`): an integer or {c, k, s}.
Dim dimOf(const nlohmann::json &value);
/// The name of one of an example's sequences: `seq`, `seq1`, …; and the other way about.
std::string nameOfSequence(int64_t sequence);
int64_t sequenceOf(const nlohmann::json &name);
nlohmann::json toJson(const Dim &dim);

/// FNV-1a of the bytes, as 16 hex digits.
std::string fnv64(const std::string &bytes);

} // namespace peftrt
