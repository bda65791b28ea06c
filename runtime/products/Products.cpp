// Products: see the header.
#include "runtime/products/Products.h"
#include "runtime/bundle/Errors.h"
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <algorithm>
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace peftrt {
namespace {

using namespace products;

constexpr int64_t kLine = 64;          ///< bytes of a cache line
constexpr int64_t kThin = 64;          ///< a side below this makes a product thin
constexpr int64_t kBf16Bytes = 2, kSplitBytes = 6; ///< of a number in a block of tiles: one part, or three
constexpr int64_t kStretch = 512;      ///< of depth: a thin gradient's sums
constexpr int64_t kThreadWork = 1 << 18; ///< multiply-adds that are worth a thread
constexpr int64_t kConstantShare = 4;  ///< of the machine's memory, at most one part in so many is panels of constants

const Code *codeFor(const std::string &target) {
  if (target.empty() && __builtin_cpu_supports("x86-64-v4") && __builtin_cpu_supports("avx512bf16") && mayUseTiles())
    return &codeV4Amx();
  if (target != "x86-64-v3" && __builtin_cpu_supports("x86-64-v4"))
    return target != "x86-64-v4" && __builtin_cpu_supports("avx512bf16") ? &codeV4Bf16() : &codeV4();
  return __builtin_cpu_supports("x86-64-v3") ? &codeV3() : nullptr;
}

bool isThin(const Call &call) { return std::min({call.rows, call.depth, call.columns}) < kThin; }
int64_t parts(int64_t whole, int64_t part) { return (whole + part - 1) / part; }

} // namespace

bool products::mayUseTiles() {
  constexpr int kAskForFeature = 0x1023, kTileData = 18; // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA of Linux
  static const bool may = [] {
    unsigned a = 0, b = 0, c = 0, d = 0;
    const bool hasTilesOfBf16 = __get_cpuid_count(7, 0, &a, &b, &c, &d) && (d >> 22 & 1) && (d >> 24 & 1);
    return hasTilesOfBf16 && ::syscall(SYS_arch_prctl, kAskForFeature, kTileData) == 0;
  }();
  return may;
}

ProductChoice productChoiceOf(const std::string &word) {
  if (word.empty() || word == "own")
    return ProductChoice::own;
  if (word == "library")
    return ProductChoice::library;
  throw RuntimeError("R0107", "PEFT_PRODUCTS is `" + word + "`", "it is `own`, `library`, or unset");
}

void *Products::Buffer::begin() const { return reinterpret_cast<void *>((reinterpret_cast<uintptr_t>(bytes.get()) + kLine - 1) / kLine * kLine); }

void Products::Buffer::growTo(int64_t wanted) {
  if (wanted <= size)
    return;
  bytes.reset(); // before, so that both are never there
  bytes.reset(new char[wanted + kLine]);
  size = wanted;
}

Products::Products(const std::string &cpuTarget, ProductChoice choice)
    : code_(choice == ProductChoice::libraryAlone ? nullptr : codeFor(cpuTarget)), library_(choice == ProductChoice::library),
      constantLimit_(static_cast<int64_t>(::sysconf(_SC_PHYS_PAGES)) * ::sysconf(_SC_PAGESIZE) / kConstantShare) {}

Products::~Products() = default;

std::string Products::servedBy(bool bf16) const {
  if (!code_ || library_)
    return "LibTorch's library";
  return code_ == &codeV3() ? "own code, AVX2" : code_ == &codeV4Amx() ? (bf16 ? "own code, AMX" : "own code, AMX (f32 in three parts of bf16)") : bf16 && code_->dots ? "own code, AVX512_BF16" : "own code, AVX-512";
}

bool Products::isForLibrary(const Call &call) const {
  if (call.aIsBf16 != call.cIsBf16)
    return false; // it knows one type a product, and sums in it
  return library_ && !isThin(call);
}

std::optional<Layout> Products::tiledLayoutFor(const Call &call) const {
  if (code_->side == 0 || (call.bColumn != 1 && call.bDepth != 1))
    return std::nullopt;
  if (call.aIsBf16 && call.aDepth == 1)
    return call.depth % code_->side == 0 || (call.depth < code_->side && call.depth % 2 == 0) ? std::optional(Layout::tiles) : std::nullopt;
  const bool isLarge = call.rows >= kThin && call.columns >= code_->side && call.depth >= code_->side; // few rows would wait for B's bytes, which are made or half as many again
  if (call.cIsBf16 || call.aIsBf16 != call.bIsBf16 || !isLarge || (call.aRow != 1 && call.aDepth != 1))
    return std::nullopt;
  return call.aIsBf16 ? Layout::tiles : Layout::splitTiles;
}

Layout Products::layoutFor(const Call &call) const {
  if (const std::optional<Layout> tiled = tiledLayoutFor(call))
    return *tiled;
  if (call.aIsBf16 && call.aDepth == 1)
    return Layout::pairs;
  const bool lies = call.bColumn == 1 && call.columns % code_->panel == 0 && call.aIsBf16 == call.bIsBf16;
  if (lies && code_->dots && call.aIsBf16 && call.aRow == 1 && !call.cIsBf16)
    return Layout::pairsAsItLies;
  return lies ? Layout::asItLies : Layout::floats;
}

int64_t Products::panelBytes(const Call &call) const {
  const auto wholeBlocks = [&](int64_t length) { return parts(length, code_->side) * code_->side; };
  if (call.layout == Layout::tiles || call.layout == Layout::splitTiles)
    return (call.layout == Layout::tiles ? kBf16Bytes : kSplitBytes) * wholeBlocks(call.depth) * wholeBlocks(call.columns);
  return (call.depth + 1) * parts(call.columns, code_->panel) * code_->panel * (call.layout == Layout::pairs ? 2 : 4);
}

void Products::pack(Call &call, const at::Tensor *constant, size_t place) {
  const int64_t bytes = panelBytes(call);
  if (scratch_.size() <= place)
    scratch_.resize(place + 1);
  Buffer *buffer = &scratch_[place];
  if (constant) {
    const Key key{call.b, call.depth, call.columns, call.bDepth, call.bColumn, call.layout, call.aIsBf16};
    const auto found = constants_.find(key);
    if (found != constants_.end()) {
      call.packed = found->second.panels.begin();
      return;
    }
    if (constantBytes_ + bytes <= constantLimit_) {
      constantBytes_ += bytes;
      Constant &made = constants_[key];
      made.source = *constant;
      buffer = &made.panels;
    }
  }
  buffer->growTo(bytes);
  call.packed = buffer->begin();
  const int64_t panels = parts(call.columns, code_->panel), grain = std::max<int64_t>(1, panels * kThreadWork / std::max<int64_t>(1, 8 * call.depth * call.columns));
  at::parallel_for(0, panels, grain, [&](int64_t begin, int64_t end) { code_->pack(call, begin, end); });
}

int64_t Products::scratchBytes() const {
  int64_t bytes = stretches_.size;
  for (const Buffer &buffer : scratch_)
    bytes += buffer.size;
  return bytes;
}

/// Whether Cᵀ = Bᵀ Aᵀ can read A where it lies, for a B that would leave a panel partly empty: the gradient of a low-rank branch.
bool Products::isBetterTurned(const Call &call) const {
  return call.aRow == 1 && call.depth > 1 && call.bColumn == 1 && call.columns < code_->panel && call.rows % code_->panel == 0 && call.aIsBf16 == call.bIsBf16;
}

bool Products::prepare(Call &call, const at::Tensor *constant, size_t place) {
  if (!code_ || call.depth == 0 || isForLibrary(call))
    return false;
  if (isBetterTurned(call)) {
    std::swap(call.a, call.b);
    std::swap(call.rows, call.columns);
    std::swap(call.cRow, call.cColumn);
    std::swap(call.aDepth, call.bDepth);
    std::swap(call.aRow, call.bColumn);
    constant = nullptr;
  }
  call.layout = layoutFor(call);
  if (call.layout != Layout::asItLies && call.layout != Layout::pairsAsItLies && call.rows > 0 && call.columns > 0)
    pack(call, constant, place);
  if (isSummedByStretches(call))
    stretches_.growTo(parts(call.depth, kStretch) * call.rows * call.columns * static_cast<int64_t>(sizeof(float)));
  return true;
}

/// A thin gradient over many tokens: threads that shared out its columns would each read every token's line, of which the others made the most.
bool Products::isSummedByStretches(const Call &call) const {
  const bool lies = call.layout == Layout::pairsAsItLies || (call.layout == Layout::asItLies && !call.aIsBf16);
  return lies && call.aRow == 1 && !call.cIsBf16 && call.rows < kThin && call.depth > kStretch;
}

/// Each stretch of depth has sums of its own, which are added in their order: threads change no bit.
void Products::multiplyStretches(const Call &call) const {
  const int64_t stretches = parts(call.depth, kStretch), size = call.rows * call.columns, bytes = call.aIsBf16 ? 2 : 4;
  auto *sums = static_cast<float *>(stretches_.begin());
  at::parallel_for(0, stretches, 1, [&](int64_t begin, int64_t end) {
    for (int64_t stretch = begin; stretch < end; ++stretch) {
      const int64_t start = stretch * kStretch;
      Call part = call;
      part.a = static_cast<const char *>(call.a) + start * call.aDepth * bytes, part.b = static_cast<const char *>(call.b) + start * call.bDepth * bytes;
      part.depth = std::min(kStretch, call.depth - start);
      part.c = sums + stretch * size, part.sum = nullptr, part.cRow = call.columns, part.cColumn = 1;
      code_->multiply(part, {0, call.rows, 0, parts(call.columns, code_->panel)});
    }
  });
  const auto at = [&](auto *c, int64_t row, int64_t column) -> auto & { return c[row * call.cRow + column * call.cColumn]; };
  at::parallel_for(0, call.columns, kThreadWork / 8, [&](int64_t begin, int64_t end) {
    for (int64_t row = 0; row < call.rows; ++row)
      for (int64_t column = begin; column < end; ++column) {
        float sum = call.sum ? at(static_cast<const float *>(call.sum), row, column) : 0;
        for (int64_t stretch = 0; stretch < stretches; ++stretch)
          sum += sums[stretch * size + row * call.columns + column];
        at(static_cast<float *>(call.c), row, column) = sum;
      }
  });
}

bool Products::join(Call &call, Call branch, const at::Tensor *constant, size_t place) {
  const bool hasBlocks = (call.layout == Layout::tiles && call.depth % code_->side == 0) || call.layout == Layout::splitTiles;
  const bool canBeBlocks = (branch.aRow == 1 || branch.aDepth == 1) && (branch.bDepth == 1 || branch.bColumn == 1);
  const bool isSplit = call.layout == Layout::splitTiles;
  if (!hasBlocks || !canBeBlocks || branch.aIsBf16 != call.aIsBf16 || (isSplit && branch.bIsBf16) || branch.depth == 0 || branch.depth > kMostBranchDepth)
    return false;
  branch.layout = call.layout;
  if (call.columns > 0)
    pack(branch, constant, place);
  call.branch = {branch.a, branch.packed, branch.aRow, branch.aDepth, branch.depth};
  return true;
}

void Products::multiplyRows(const Call &call, int64_t first, int64_t last) const {
  if (call.columns > 0)
    code_->multiply(call, {first, last, 0, parts(call.columns, code_->panel)});
}

/// Threads by rows, or by panels where there are more of them; whichever, each element is summed alike.
void Products::multiply(const Call &call) const {
  const int64_t rows = parts(call.rows, kRows), panels = parts(call.columns, code_->panel), tasks = std::max(rows, panels);
  if (call.rows == 0 || call.columns == 0)
    return;
  if (isSummedByStretches(call))
    return multiplyStretches(call);
  const int64_t grain = std::max<int64_t>(1, tasks * kThreadWork / std::max<int64_t>(1, call.rows * call.depth * call.columns));
  at::parallel_for(0, tasks, grain, [&](int64_t begin, int64_t end) {
    const Part part = rows >= panels ? Part{begin * kRows, std::min(end * kRows, call.rows), 0, panels} : Part{0, call.rows, begin, end};
    code_->multiply(call, part);
  });
}

/// B as bf16; of a constant made once.
at::Tensor Products::rounded(const Operands &in) {
  if (!in.bIsConstant)
    return in.b.to(at::kBFloat16);
  Constant &made = constants_[{in.b.data_ptr(), in.b.size(0), in.b.size(1), in.b.stride(0), in.b.stride(1), Layout::asItLies, true}];
  if (!made.rounded.defined()) {
    made.source = in.b;
    made.rounded = in.b.to(at::kBFloat16);
    constantBytes_ += static_cast<int64_t>(made.rounded.nbytes());
  }
  return made.rounded;
}

void Products::multiplyByLibrary(at::Tensor c, const Operands &in, const at::Tensor &sum) {
  const at::ScalarType type = in.a.scalar_type();
  const at::Tensor b = in.b.scalar_type() == type ? in.b : type == at::kBFloat16 ? rounded(in) : in.b.to(type);
  if (c.scalar_type() == type)
    sum.defined() ? at::addmm_out(c, sum, in.a, b) : at::mm_out(c, in.a, b);
  else
    c.copy_(sum.defined() ? at::mm(in.a, b).to(c.scalar_type()) + sum : at::mm(in.a, b));
}

void Products::multiply(at::Tensor c, const Operands &in, const at::Tensor &sum) {
  const auto isBf16 = [](const at::Tensor &tensor) { return tensor.scalar_type() == at::kBFloat16; };
  const auto isNumber = [&](const at::Tensor &tensor) { return isBf16(tensor) || tensor.scalar_type() == at::kFloat; };
  const at::Tensor &a = in.a, &b = in.b;
  Call call{a.data_ptr(), b.data_ptr(), nullptr, c.data_ptr(), a.stride(0), a.stride(1), b.stride(0), b.stride(1), c.stride(0), c.stride(1), a.size(0), a.size(1), b.size(1), nullptr, isBf16(a), isBf16(b), isBf16(c), Layout::floats, {}};
  if (!isNumber(a) || !isNumber(b) || !isNumber(c) || !prepare(call, in.bIsConstant ? &b : nullptr))
    return multiplyByLibrary(c, in, sum);
  if (sum.defined() && sum.strides() != c.strides())
    c.copy_(sum);
  if (sum.defined())
    call.sum = sum.strides() == c.strides() ? sum.data_ptr() : c.data_ptr();
  multiply(call);
}

} // namespace peftrt
