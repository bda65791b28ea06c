// Accesses: ld, st, atom and red of Instructions.h: what their modifiers say, and the handlers.
#include "tests/gpu/emulator/Fault.h"
#include "tests/gpu/emulator/Instructions.h"
#include <algorithm>
#include <set>

namespace emulator {
namespace {

std::vector<std::string> split(const std::string &opcode) {
  std::vector<std::string> parts;
  for (size_t begin = 0; begin <= opcode.size();) {
    size_t end = std::min(opcode.find('.', begin), opcode.size());
    if (opcode.compare(end, 2, "..") == 0)
      end = opcode.size();
    parts.push_back(opcode.substr(begin, end - begin));
    begin = end + 1;
  }
  return parts;
}

template <class T> void load(Thread &thread, const Instruction &i) {
  const uint64_t address = thread.r[i.slots[i.count]] + i.number;
  const char *bytes = reach(thread, i, address, i.count * sizeof(T), Touch::read);
  for (int element = 0; element < i.count; ++element) {
    T value;
    std::memcpy(&value, bytes + element * sizeof(T), sizeof value);
    if (i.slots[element] != kNone) // `_`; a register may be wider than the type
      thread.r[i.slots[element]] = std::is_signed_v<T> ? static_cast<uint64_t>(static_cast<int64_t>(value)) : static_cast<uint64_t>(value);
  }
}

template <class T> void store(Thread &thread, const Instruction &i) {
  char *bytes = reach(thread, i, thread.r[i.slots[0]] + i.number, i.count * sizeof(T), Touch::write);
  for (int element = 0; element < i.count; ++element) {
    const T value = bitsAs<T>(thread.r[i.slots[element + 1]]);
    std::memcpy(bytes + element * sizeof(T), &value, sizeof value);
  }
}

Handler loadOf(const std::string &type) {
  static const std::map<std::string, Handler> kLoads = {
      {"b8", load<uint8_t>},   {"u8", load<uint8_t>},   {"s8", load<int8_t>},   {"b16", load<uint16_t>}, {"u16", load<uint16_t>}, {"s16", load<int16_t>}, {"b32", load<uint32_t>},
      {"u32", load<uint32_t>}, {"f32", load<uint32_t>}, {"s32", load<int32_t>}, {"b64", load<uint64_t>}, {"u64", load<uint64_t>}, {"f64", load<uint64_t>}, {"s64", load<int64_t>}};
  const auto found = kLoads.find(type);
  return found == kLoads.end() ? nullptr : found->second;
}

Handler storeOf(const std::string &type) {
  const int width = type.size() < 2 || !std::strchr("busf", type[0]) ? 0 : std::atoi(type.c_str() + 1);
  return width == 8 ? store<uint8_t> : width == 16 ? store<uint16_t> : width == 32 ? store<uint32_t> : width == 64 ? store<uint64_t> : nullptr;
}

/// Old value; new one in memory. `red` has no register for the old one.
template <class T, auto F, int sources, bool returns> void atomic(Thread &thread, const Instruction &i) {
  constexpr int address = returns ? 1 : 0;
  char *bytes = reach(thread, i, thread.r[i.slots[address]] + i.number, sizeof(T), Touch::atomic);
  T old;
  std::memcpy(&old, bytes, sizeof old);
  const T first = get<T>(thread, i, address + 1);
  T now;
  if constexpr (sources == 2)
    now = F(old, first, get<T>(thread, i, address + 2));
  else
    now = F(old, first);
  std::memcpy(bytes, &now, sizeof now);
  if constexpr (returns)
    if (i.slots[0] != kNone)
      set<T>(thread, i, 0, old);
}

using Atomics = std::map<std::string, Form>;

template <class T, auto F, int sources = 1> void addAtomic(Atomics &atomics, const std::string &name) {
  const std::string values(sources, 's');
  atomics["atom." + name] = {atomic<T, F, sources, true>, "dm" + values};
  atomics["red." + name] = {atomic<T, F, sources, false>, "m" + values};
}

template <class T> void addBitAtomics(Atomics &atomics, const std::string &type) {
  addAtomic<T, [](T a, T b) { return a & b; }>(atomics, "and." + type);
  addAtomic<T, [](T a, T b) { return a | b; }>(atomics, "or." + type);
  addAtomic<T, [](T a, T b) { return a ^ b; }>(atomics, "xor." + type);
  addAtomic<T, [](T, T b) { return b; }>(atomics, "exch." + type);
  addAtomic<T, [](T a, T b, T c) { return a == b ? c : a; }, 2>(atomics, "cas." + type);
}

template <class T> void addOrderAtomics(Atomics &atomics, const std::string &type) {
  addAtomic<T, [](T a, T b) { return std::min(a, b); }>(atomics, "min." + type);
  addAtomic<T, [](T a, T b) { return std::max(a, b); }>(atomics, "max." + type);
}

const Atomics &atomics() {
  static const Atomics kAtomics = [] {
    Atomics all;
    addBitAtomics<uint32_t>(all, "b32"), addBitAtomics<uint64_t>(all, "b64");
    addOrderAtomics<uint32_t>(all, "u32"), addOrderAtomics<int32_t>(all, "s32"), addOrderAtomics<uint64_t>(all, "u64"), addOrderAtomics<int64_t>(all, "s64");
    for (const char *type : {"u32", "s32"})
      addAtomic<uint32_t, [](uint32_t a, uint32_t b) { return a + b; }>(all, std::string("add.") + type);
    addAtomic<uint64_t, [](uint64_t a, uint64_t b) { return a + b; }>(all, "add.u64");
    addAtomic<float, [](float a, float b) { return a + b; }>(all, "add.f32");
    addAtomic<double, [](double a, double b) { return a + b; }>(all, "add.f64");
    addAtomic<uint32_t, [](uint32_t a, uint32_t b) { return (a >= b) ? 0 : a + 1; }>(all, "inc.u32");
    addAtomic<uint32_t, [](uint32_t a, uint32_t b) { return a == 0 || (a > b) ? b : a - 1; }>(all, "dec.u32");
    return all;
  }();
  return kAtomics;
}

const std::map<std::string, Space> kSpaces = {{"global", Space::global}, {"shared", Space::shared}, {"shared::cta", Space::shared}, {"local", Space::local}, {"param", Space::param}, {"const", Space::constant}};
/// How caches are to be used, and to whom an order shows: nothing that is computed depends on it here.
const std::set<std::string> kAdvice = {"weak", "nc", "ca", "cg", "cs", "lu", "cv", "wb", "wt", "cta", "cluster", "gpu", "sys", "L1::evict_normal", "L1::evict_first", "L1::evict_last", "L1::no_allocate", "L2::64B", "L2::128B", "L2::256B"};
const std::set<std::string> kStrong = {"volatile", "relaxed", "acquire", "release", "acq_rel"};

} // namespace

bool formAccess(const std::string &opcode, size_t elements, Form &form, Instruction &instruction) {
  const std::vector<std::string> parts = split(opcode);
  const bool isLoad = parts[0] == "ld", isStore = parts[0] == "st", isAtomic = parts[0] == "atom" || parts[0] == "red";
  if (!isLoad && !isStore && !isAtomic)
    return false;
  instruction.strong = isAtomic;
  size_t count = 1;
  std::string rest;
  for (size_t index = 1; index < parts.size(); ++index) {
    const std::string &part = parts[index];
    if (const auto space = kSpaces.find(part); space != kSpaces.end())
      instruction.space = space->second;
    else if (kStrong.count(part))
      instruction.strong = true;
    else if (part == "v2" || part == "v4" || part == "v8")
      count = part[1] - '0';
    else if (!kAdvice.count(part))
      rest += "." + part;
  }
  if (isAtomic) {
    const auto found = atomics().find(parts[0] + rest);
    if (found == atomics().end() || count != 1)
      return false;
    form = found->second;
    return true;
  }
  if (rest.empty() || count != elements)
    return false;
  instruction.count = static_cast<uint8_t>(count);
  form = {isLoad ? loadOf(rest.substr(1)) : storeOf(rest.substr(1)), isLoad ? "Dm" : "mS"};
  return form.run != nullptr;
}

} // namespace emulator
