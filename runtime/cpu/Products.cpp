// Products: see Products.h.
#include "runtime/cpu/Products.h"
#include "runtime/bundle/Errors.h"
#include <cpuid.h>
#include <cstring>

namespace peftrt {
namespace {

constexpr int64_t kLeastRows = 12, kLeastDepth = 64, kLeastColumns = 64;
constexpr int64_t kAlignmentFloats = 16;

bool isMadeByIntel() {
  unsigned highest = 0, parts[3] = {};
  if (!__get_cpuid(0, &highest, &parts[0], &parts[2], &parts[1]))
    return false;
  return std::memcmp(parts, "GenuineIntel", sizeof parts) == 0;
}

} // namespace

ProductChoice productChoiceOf(const std::string &word) {
  if (word.empty())
    return ProductChoice::byMaker;
  if (word == "generated")
    return ProductChoice::generated;
  if (word == "library")
    return ProductChoice::library;
  throw RuntimeError("R0107", "PEFT_PRODUCTS is `" + word + "`", "it is `generated`, `library`, or unset");
}

Products::Products(const KernelLibrary &library, ProductChoice choice) {
  if (library.target().empty() || choice == ProductChoice::library || (choice == ProductChoice::byMaker && isMadeByIntel()))
    return;
  pack_ = reinterpret_cast<Function>(library.find("product_pack"));
  rows_ = reinterpret_cast<Function>(library.find("product_rows"));
  panel_ = library.target() == "x86-64-v4" ? kPanel : 16;
}

bool Products::serves(int64_t rows, int64_t depth, int64_t columns) const { return rows_ && rows >= kLeastRows && depth >= kLeastDepth && columns >= kLeastColumns; }

/// Grows only.
float *Products::roomFor(int64_t depth, int64_t columns) {
  const size_t floats = depth * ((columns + kPanel - 1) / kPanel * kPanel) + kAlignmentFloats;
  if (packed_.size() < floats)
    packed_ = std::vector<float>(floats);
  const auto begin = reinterpret_cast<uintptr_t>(packed_.data());
  return reinterpret_cast<float *>((begin + 63) / 64 * 64);
}

} // namespace peftrt
