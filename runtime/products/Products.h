// Products: matrix products of the whole batch, C = A B or C += A B, in f32 and bf16: by code of this folder, or by LibTorch's library.
//
// The library serves other types, CPUs without AVX2, and whoever asks for it to compare with. The choice depends on the CPU and on a product's shape, never on a
// measurement, so that a run that is resumed computes the same numbers.
#pragma once
#include "runtime/products/Code.h"
#include <ATen/core/Tensor.h>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace peftrt {

enum class ProductChoice { own, library, libraryAlone /**< thin products too: what is multiplied is not this CPU's */ };
/// `own`, which is also what nothing means, or `library` (PEFT_PRODUCTS). Errs R0107 another word.
ProductChoice productChoiceOf(const std::string &word);

class Products {
public:
  /// `cpuTarget`: a name of compiler/target/Targets.def to go no further than, or empty for the best that this CPU runs.
  Products(const std::string &cpuTarget, ProductChoice choice);
  ~Products();

  struct Operands {
    const at::Tensor &a; ///< [rows, depth]
    const at::Tensor &b; ///< [depth, columns]; of a bf16 product it may be f32, and is rounded
    bool bIsConstant;    ///< for as long as this lives: its panels are made once
  };
  /// Makes the panels that B needs, in a room of its own for each `place`. False: it is a product for the library, and nothing is done.
  /// `constant`: B, if it stays as it is.
  bool prepare(products::Call &call, const at::Tensor *constant, size_t place = 0);
  /// Makes `branch`, whose rows and columns are those of `call`, which is prepared, a part of it. False: they do not go together, and nothing is done.
  bool join(products::Call &call, products::Call branch, const at::Tensor *constant, size_t place);
  /// Rows first … last - 1 of a product that is prepared; all of it, by all threads.
  void multiplyRows(const products::Call &call, int64_t first, int64_t last) const;
  void multiply(const products::Call &call) const;
  /// Rows are best done in multiples of this.
  static constexpr int64_t kRows = 6;

  /// C [rows, columns] = A B, or A B + `sum`, which may be C itself. All f32 or bf16.
  void multiply(at::Tensor c, const Operands &in, const at::Tensor &sum = {});

  /// What generated kernels may ask for, or null.
  const products::PairFunctions *pairFunctions() const { return code_ && !library_ ? code_->pairs : nullptr; }

  /// What serves large products, for people: of f32, or of bf16.
  std::string servedBy(bool bf16) const;
  int64_t scratchBytes() const; ///< panels made anew each time
  int64_t constantBytes() const { return constantBytes_; } ///< panels of constants

private:
  /// Aligned to cache lines.
  struct Buffer {
    std::unique_ptr<char[]> bytes;
    int64_t size = 0;
    void *begin() const;
    void growTo(int64_t size);
  };
  struct Constant {
    at::Tensor source; ///< held, so that its address stays its own
    Buffer panels;
    at::Tensor rounded; ///< for the library, which knows one type a product
  };
  struct Key {
    const void *data;
    int64_t depth, columns, bDepth, bColumn;
    products::Layout layout;
    bool aIsBf16; ///< then panels of floats hold rounded ones
    auto operator<=>(const Key &) const = default;
  };
  bool isForLibrary(const products::Call &call) const;
  void multiplyByLibrary(at::Tensor c, const Operands &in, const at::Tensor &sum);
  at::Tensor rounded(const Operands &in);
  std::optional<products::Layout> tiledLayoutFor(const products::Call &call) const;
  products::Layout layoutFor(const products::Call &call) const;
  bool isBetterTurned(const products::Call &call) const;
  int64_t panelBytes(const products::Call &call) const;
  void pack(products::Call &call, const at::Tensor *constant, size_t place);
  bool isSummedByStretches(const products::Call &call) const;
  void multiplyStretches(const products::Call &call) const;

  const products::Code *code_;
  const bool library_; ///< for large products
  std::vector<Buffer> scratch_;
  Buffer stretches_; ///< sums of a product that is summed by stretches
  std::map<Key, Constant> constants_;
  int64_t constantBytes_ = 0, constantLimit_;
};

} // namespace peftrt
