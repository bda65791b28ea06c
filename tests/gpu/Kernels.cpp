// Kernels: stands in for a bundle's generated code: a trainer's kernels, called as those of a CPU are (runtime/cpu/Kernels.h), run from PTX in the emulator.
//
// In    a bundle's folder that also holds `kernels.ptx`; a shared object of the test has a function for each kernel, which calls `emulateKernel`
// Out   what the kernel writes, in the trainer's own memory; a line `symbol instructions` in the folder's `ran.txt` for each launch
// Errs  to stderr, and the process ends with 3: what the emulator finds, and results that were not written whole
//
// Every operand and result is a buffer of its own with its exact size, by the types that the plan gives it; what is only read cannot be written.
#include "runtime/bundle/Format.h"
#include "runtime/cpu/Kernels.h"
#include "tests/gpu/emulator/Fault.h"
#include "tests/gpu/emulator/Grid.h"
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <set>
#include <sstream>

namespace {

constexpr uint32_t kBlock = 128; ///< threads of a block, where any number does (compiler/conversion/Kernels.cpp)

using emulator::Buffer;
using emulator::Fault;
using peftrt::KernelCall;
using peftrt::Value;

/// A value, and how far apart its rows lie; 0: one behind the other.
struct Operand {
  Value value;
  int64_t pitch = 0;
};

/// What the plan says of a kernel.
struct Called {
  std::vector<Operand> in, out;
  peftrt::Dim scratch;
  size_t sites = 0;
  bool flat = false;
  std::vector<int64_t> pitches; ///< of the tables of sums over rows
  std::set<size_t> sums;        ///< results that these are of, and another entry makes
  int64_t stretch = 1;          ///< rows that a line of a table is of
  bool addsUp = false;          ///< that other entry: it reads the tables and nothing else
  uint64_t team = 1;            ///< threads that share scratch
  uint32_t block = 0;           ///< threads of a block, where the code asks for that many; else as many as the test says
};

struct Subject {
  emulator::Memory memory;
  std::unique_ptr<emulator::Module> module;
  std::map<std::string, Called> calls;
  int64_t sequences = 1;
  emulator::Size3 grid, block;
  std::string folder;
};

std::string contents(const std::string &path) {
  std::ifstream file(path, std::ios::binary);
  if (!file)
    throw Fault("cannot read " + path);
  return {std::istreambuf_iterator<char>(file), {}};
}

bool isSame(const std::vector<Operand> &left, const std::vector<Operand> &right) {
  return std::equal(left.begin(), left.end(), right.begin(), right.end(), [](const Operand &a, const Operand &b) {
    return a.value.type == b.value.type && a.value.perExample == b.value.perExample && a.value.dims == b.value.dims && a.pitch == b.pitch;
  });
}

/// Takes the sums of `op` from what its kernel writes. Returns how the entry is called that makes them.
Called takeSums(const peftrt::Op &op, Called &called) {
  Called addsUp;
  for (const nlohmann::json &sum : op.attrs.at("sums")) {
    addsUp.out.push_back(called.out.at(sum.at("result")));
    addsUp.pitches.push_back(sum.at("pitch"));
    called.sums.insert(sum.at("result").get<size_t>());
  }
  called.pitches = addsUp.pitches, called.stretch = op.attrs.at("stretch"), addsUp.addsUp = true;
  return addsUp;
}

Operand operandOf(const peftrt::PlanProgram &program, int64_t value) { return {program.body.values[static_cast<size_t>(value)], program.places[static_cast<size_t>(value)].pitch}; }

void readPlan(Subject &subject) {
  for (const peftrt::PlanProgram &program : peftrt::planOf(nlohmann::json::parse(contents(subject.folder + "/plan.json")))) {
    for (const Value &value : program.body.values)
      for (const peftrt::Dim &dim : value.dims)
        subject.sequences = std::max(subject.sequences, dim.sequence + 1);
    for (size_t index = 0; index < program.body.ops.size(); ++index) {
      const peftrt::Op &op = program.body.ops[index];
      if (program.kinds[index] != "kernel")
        continue;
      Called called;
      for (const int64_t value : op.in)
        called.in.push_back(operandOf(program, value));
      for (const int64_t value : op.out)
        called.out.push_back(operandOf(program, value));
      called.team = op.attrs.at("team");
      if (const uint32_t block = op.attrs.at("block"); block != kBlock)
        called.block = block;
      called.scratch = peftrt::dimOf(op.attrs.at("scratch")), called.sites = op.attrs.at("sites").size(), called.flat = program.body.flat;
      const std::string symbol = op.attrs.at("symbol");
      if (op.attrs.contains("sums"))
        subject.calls.emplace(symbol + "__sums", takeSums(op, called));
      const auto [found, isNew] = subject.calls.emplace(symbol, called);
      if (!isNew && !(isSame(found->second.in, called.in) && isSame(found->second.out, called.out)))
        throw Fault("the plan calls `" + symbol + "` with operands of different types");
    }
  }
}

/// The bundle of a folder: its plan, its text, and in `grid.txt` how many blocks and threads.
Subject &subjectOf(const std::string &folder) {
  static std::map<std::string, Subject> subjects;
  const auto [found, isNew] = subjects.try_emplace(folder);
  Subject &subject = found->second;
  if (!isNew)
    return subject;
  subject.folder = folder;
  readPlan(subject);
  subject.module = std::make_unique<emulator::Module>(subject.memory, contents(folder + "/kernels.ptx"));
  std::istringstream(contents(folder + "/grid.txt")) >> subject.grid.x >> subject.block.x;
  return subject;
}

/// Memory of one launch, until it is over.
class Operands {
public:
  Operands(Subject &subject, const Called &called, const KernelCall &call, int64_t tasks) : subject_(subject), called_(called), call_(call) {
    const int64_t stretches = called.addsUp ? call.elements : (tasks + called.stretch - 1) / called.stretch;
    for (size_t index = 0; index < called.in.size(); ++index)
      place("operand " + std::to_string(index), called.in[index], false);
    if (called.addsUp)
      placeTables(stretches, false);
    for (size_t index = 0; index < called.out.size(); ++index)
      if (called.sums.count(index))
        places_.push_back(nullptr);
      else
        place("result " + std::to_string(index), called.out[index], true);
    if (!called.addsUp)
      placeTables(stretches, true);
    for (const auto &[pointer, row] : rows_) {
      auto buffer = std::make_unique<Buffer>(row.name, row.size, row.isRead, row.isWritten, static_cast<char *>(pointer));
      buffer->shift = reinterpret_cast<uintptr_t>(pointer) % 16; // as it would be misaligned where it lies
      if (!row.isRead)
        results_.push_back(buffer.get());
      for (uint64_t behind = row.width; row.pitch && behind < row.size; behind += row.pitch) // another value's, or nobody's
        buffer->markWritten(behind + buffer->shift, std::min(row.pitch - row.width, row.size - behind));
      addresses_[pointer] = own(std::move(buffer));
    }
  }
  ~Operands() {
    for (const uint64_t address : owned_)
      subject_.memory.remove(address);
  }
  Operands(const Operands &) = delete;
  Operands &operator=(const Operands &) = delete;

  /// The parameter of the entry (compiler/conversion/Kernels.h).
  std::string parameters(int64_t tasks) {
    for (void *const place : places_)
      pointers_.push_back(place ? addresses_.at(place) : 0);
    const int64_t examples = call_.examples, sequences = subject_.sequences;
    const uint64_t scratch = scratchBytes();
    struct {
      uint64_t data, offsets, squares, sites, scratch;
      int64_t examples, elements;
      uint32_t key[2], step, pass;
      uint64_t lengths, pairs;
      int64_t tasks;
      uint64_t scratchBytes;
      int64_t first;
    } call{constant("the table of operands", pointers_.data(), pointers_.size() * 8), constant("the offsets of examples", call_.offsets, sequences * (examples + 1) * 8),
           constant("the squares of examples", call_.squares, sequences * (sequences + 1) / 2 * (examples + 1) * 8), constant("the sites of random numbers", call_.sites, called_.sites * 4),
           ownScratch(scratch * subject_.grid.all() * (called_.block ? called_.block : subject_.block.all()) / called_.team), examples, call_.elements, {call_.key[0], call_.key[1]}, call_.step, call_.pass,
           constant("the lengths of examples", call_.lengths, sequences * examples * 8), 0, tasks, scratch, 0};
    static_assert(sizeof call == sizeof(KernelCall));
    callBytes_.assign(reinterpret_cast<const char *>(&call), sizeof call);
    const uint64_t place = constant("the call", callBytes_.data(), callBytes_.size());
    return {reinterpret_cast<const char *>(&place), sizeof place};
  }

  void checkWhole() const {
    for (const Buffer *result : results_)
      if (const uint64_t place = result->firstUnwritten(); place < result->size)
        throw Fault("leaves `" + result->name + "` unwritten from byte " + std::to_string(place) + " of " + std::to_string(result->size));
  }

private:
  struct Row {
    std::string name;
    uint64_t size = 0;
    uint64_t width = 0, pitch = 0; ///< bytes of a row in a table, and from one to the next
    bool isRead = false, isWritten = false;
  };

  void place(const std::string &name, const Operand &operand, bool isResult) {
    const uint64_t bytes = bytesOf(operand.value);
    uint64_t width = static_cast<uint64_t>(peftrt::widthOf(operand.value.type));
    for (size_t axis = 1; axis < operand.value.dims.size(); ++axis)
      width *= static_cast<uint64_t>(operand.value.dims[axis].c);
    if (operand.pitch == 0 || bytes == 0) {
      place(name, bytes, isResult);
      return;
    }
    const uint64_t pitch = static_cast<uint64_t>(operand.pitch * peftrt::widthOf(operand.value.type));
    Row &row = place(name, (bytes / width - 1) * pitch + width, isResult);
    row.width = width, row.pitch = pitch;
  }

  /// The next of the call's data. Operands and results at one place are one buffer.
  Row &place(const std::string &name, uint64_t bytes, bool isResult) {
    void *const data = call_.data[places_.size()];
    places_.push_back(data);
    Row &row = rows_[data];
    row.name += (row.name.empty() ? "" : " and ") + name;
    row.size = std::max(row.size, bytes);
    (isResult ? row.isWritten : row.isRead) = true;
    return row;
  }

  void placeTables(int64_t stretches, bool isResult) {
    for (size_t index = 0; index < called_.pitches.size(); ++index)
      place("table " + std::to_string(index) + " of sums", static_cast<uint64_t>(stretches * called_.pitches[index]) * sizeof(float), isResult);
  }

  /// Tokens of an example's sequence, as far apart as they lie.
  int64_t room(int64_t sequence, int64_t example) const {
    const int64_t *offsets = call_.offsets + sequence * (call_.examples + 1);
    return offsets[example + 1] - offsets[example];
  }

  uint64_t bytesOf(const Value &value) const {
    int64_t elements = 0;
    if (called_.flat && value.dims.size() == 1 && value.dims[0].c == 1) {
      elements = call_.elements;
    } else {
      for (int64_t example = 0; example < (value.perExample ? call_.examples : 1); ++example) {
        int64_t own = 1;
        for (const peftrt::Dim &dim : value.dims)
          own *= dim.ragged() ? dim.at(room(dim.sequence, example)) : dim.c;
        elements += own;
      }
    }
    return static_cast<uint64_t>(elements * peftrt::widthOf(value.type));
  }

  uint64_t scratchBytes() const {
    int64_t longest = 0;
    for (int64_t example = 0; example < call_.examples; ++example)
      longest = std::max(longest, room(called_.scratch.sequence, example));
    return static_cast<uint64_t>(called_.scratch.at(longest));
  }

  uint64_t own(std::unique_ptr<Buffer> buffer) { return owned_.emplace_back(subject_.memory.add(std::move(buffer))); }
  /// Vectors read beyond a row that was written and leave out what they found there; NaN everywhere shows in the numbers if one does not.
  uint64_t ownScratch(uint64_t size) {
    auto buffer = std::make_unique<Buffer>("scratch", size, true, true);
    std::fill_n(buffer->at(0, size, 1), size, static_cast<char>(0xff));
    return own(std::move(buffer));
  }
  uint64_t constant(const std::string &name, const void *bytes, uint64_t size) {
    static char none;
    return own(std::make_unique<Buffer>(name, size, true, false, size ? static_cast<char *>(const_cast<void *>(bytes)) : &none));
  }

  Subject &subject_;
  const Called &called_;
  const KernelCall &call_;
  std::vector<void *> places_; ///< of the call's data; null for what is made elsewhere
  std::map<void *, Row> rows_;
  std::map<void *, uint64_t> addresses_;
  std::vector<uint64_t> pointers_, owned_;
  std::string callBytes_;
  std::vector<const Buffer *> results_;
};

} // namespace

extern "C" void emulateKernel(const char *folder, const char *symbol, const KernelCall *call, int64_t begin, int64_t end) {
  try {
    Subject &subject = subjectOf(folder);
    if (begin != 0)
      throw Fault(std::string(symbol) + ": an entry begins at task 0, not " + std::to_string(begin));
    const Called &called = subject.calls.at(symbol);
    Operands operands(subject, called, *call, end);
    emulator::Launch launch;
    launch.grid = subject.grid, launch.block = called.block ? emulator::Size3{called.block} : subject.block;
    launch.parameters = operands.parameters(end);
    emulator::Statistics statistics;
    emulator::run(subject.memory, subject.module->kernel(std::string(symbol) + "__entry"), launch, statistics);
    operands.checkWhole();
    std::ofstream(subject.folder + "/ran.txt", std::ios::app) << symbol << " " << statistics.instructions << "\n";
  } catch (const std::exception &error) {
    std::fprintf(stderr, "emulator: %s: %s\n", symbol, error.what());
    std::_Exit(3);
  }
}
