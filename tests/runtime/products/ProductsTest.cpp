// Products: every instruction set that this CPU has against double precision, at shapes on both sides of every block's and panel's edge; all ways in which operands
// may lie; parts of a result against the whole; pairs of kernels; what the class chooses, and that panels of constants are made once.
#include "runtime/products/Products.h"
#include "tests/runtime/Expect.h"
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <array>
#include <cmath>
#include <limits>
#include <vector>

using namespace peftrt;
using products::Call;
using products::Code;
using products::Layout;

namespace {

struct Named {
  const char *name;
  const Code *code;
};

std::vector<Named> codes() {
  std::vector<Named> found;
  if (__builtin_cpu_supports("x86-64-v3"))
    found.push_back({"AVX2", &products::codeV3()});
  if (__builtin_cpu_supports("x86-64-v4"))
    found.push_back({"AVX-512", &products::codeV4()});
  if (__builtin_cpu_supports("x86-64-v4") && __builtin_cpu_supports("avx512bf16"))
    found.push_back({"AVX512_BF16", &products::codeV4Bf16()});
  if (found.size() == 3 && products::mayUseTiles())
    found.push_back({"AMX", &products::codeV4Amx()});
  return found;
}

/// How far `got` is from `a` `b` (+ `before`), of its largest entry or of what such sums usually are.
double errorOf(const at::Tensor &got, const at::Tensor &a, const at::Tensor &b, const at::Tensor &before) {
  at::Tensor expected = at::mm(a.to(at::kDouble), b.to(at::kDouble));
  if (before.defined())
    expected = expected + before.to(at::kDouble);
  return ((got.to(at::kDouble) - expected).abs().max() / expected.abs().max().clamp_min(std::sqrt(static_cast<double>(a.size(1))))).item<double>();
}

struct Case {
  int64_t rows, depth, columns;
  bool aTurned, bTurned, cTurned, adds;
  at::ScalarType aType, bType, cType;
  int64_t branch = 0; ///< its depth
};

at::Tensor numbers(int64_t rows, int64_t columns, bool turned, at::ScalarType type) {
  return turned ? at::randn({columns, rows}).to(type).t() : at::randn({rows, columns}).to(type);
}

Call callOf(const at::Tensor &a, const at::Tensor &b, const at::Tensor &c, bool adds) {
  const auto isBf16 = [](const at::Tensor &tensor) { return tensor.scalar_type() == at::kBFloat16; };
  return {a.data_ptr(), b.data_ptr(), nullptr, c.data_ptr(), a.stride(0), a.stride(1), b.stride(0), b.stride(1), c.stride(0), c.stride(1), a.size(0), a.size(1), b.size(1), adds ? c.data_ptr() : nullptr, isBf16(a), isBf16(b), isBf16(c), Layout::floats, {}};
}

/// The first cache line from there on.
void *lineAt(void *from) { return reinterpret_cast<void *>((reinterpret_cast<uintptr_t>(from) + 63) / 64 * 64); }

/// The other side of a branch in blocks, and H as it lies. Held by the caller.
struct BranchOperands {
  at::Tensor a, b;
  std::vector<float> packed;
  BranchOperands(const Code &code, const Case &one, Call &call)
      : a(numbers(one.rows, one.branch, one.bTurned, one.aType)), b(numbers(one.branch, one.columns, one.aTurned, one.bType)),
        packed((one.branch + 32) * (one.columns + code.panel) * 3 / 2 + 16, std::numeric_limits<float>::quiet_NaN()) {
    Call branch = callOf(a, b, a, false);
    branch.columns = one.columns, branch.layout = call.layout, branch.packed = lineAt(packed.data());
    code.pack(branch, 0, (one.columns + code.panel - 1) / code.panel);
    call.branch = {branch.a, branch.packed, branch.aRow, branch.aDepth, one.branch};
  }
};

/// In one part, then in single rows and panels: the same bits.
double check(const Code &code, const Case &one, Layout layout) {
  const at::Tensor a = numbers(one.rows, one.depth, one.aTurned, one.aType), b = numbers(one.depth, one.columns, one.bTurned, one.bType);
  const int64_t panels = (one.columns + code.panel - 1) / code.panel;
  const at::Tensor before = numbers(one.rows + 3, one.columns + 3, one.cTurned, one.cType), whole = before.clone(), pieces = before.clone();
  const int64_t places = (one.depth + 31) / 32 * 32, wide = one.columns + code.panel;
  std::vector<float> packed((places + 1) * wide * 3 / 2 + 16, std::numeric_limits<float>::quiet_NaN()); // what is not written must not be read
  const auto result = [&](const at::Tensor &all) { return all.narrow(0, 0, one.rows).narrow(1, 0, one.columns); };
  Call call = callOf(a, b, result(whole), one.adds);
  call.layout = layout;
  call.packed = lineAt(packed.data());
  if (layout != Layout::asItLies && layout != Layout::pairsAsItLies)
    code.pack(call, 0, panels);
  std::optional<BranchOperands> branch;
  if (one.branch > 0)
    branch.emplace(code, one, call);
  code.multiply(call, {0, one.rows, 0, panels});
  call.c = pieces.data_ptr();
  call.sum = one.adds ? before.data_ptr() : nullptr; // bytes of their own
  for (int64_t row = 0; row < one.rows; row += 5)
    for (int64_t panel = 0; panel < panels; ++panel)
      code.multiply(call, {row, std::min(row + 5, one.rows), panel, panel + 1});
  EXPECT(at::equal(whole, pieces));
  EXPECT(at::equal(whole.narrow(1, one.columns, 3), before.narrow(1, one.columns, 3)) && at::equal(whole.narrow(0, one.rows, 3), before.narrow(0, one.rows, 3)));
  const at::Tensor left = branch ? at::cat({a, branch->a}, 1) : a, right = branch ? at::cat({b, branch->b}, 0) : b;
  return errorOf(result(whole), left, one.aType == at::kBFloat16 ? right.to(at::kBFloat16) : right, one.adds ? result(before) : at::Tensor());
}

void checkCode(const Named &named) {
  const Code &code = *named.code;
  double worst[2] = {0, 0};
  for (const int64_t rows : {1, 5, 8, 13, 31, 50, 200})
    for (const int64_t depth : {1, 7, 8, 64, 96, 511, 1030})
      for (const int64_t columns : {1, 8, 9, 17, 33, 64, 65, 128, 200})
        for (const bool bf16 : {false, true}) {
          const uint64_t draw = static_cast<uint64_t>(rows * 7919 + depth * 31 + columns + bf16);
          const at::ScalarType type = bf16 ? at::kBFloat16 : at::kFloat;
          const Case one{rows, depth, columns, (draw & 1) != 0, (draw & 2) != 0, (draw & 8) != 0, (draw & 4) != 0, type, bf16 && draw % 5 ? type : at::kFloat, bf16 && draw % 3 ? type : at::kFloat};
          std::vector<Layout> layouts = {Layout::floats};
          if (bf16 && !one.aTurned)
            layouts.push_back(Layout::pairs);
          if (!one.bTurned && columns % code.panel == 0 && one.aType == one.bType)
            layouts.push_back(Layout::asItLies);
          if (code.dots && bf16 && one.aTurned && !one.bTurned && columns % code.panel == 0 && one.bType == type && one.cType == at::kFloat)
            layouts.push_back(Layout::pairsAsItLies);
          if (code.side > 0 && (!bf16 || (one.aTurned ? rows > 1 && one.cType == at::kFloat : depth % code.side == 0 || (depth < code.side && depth % 2 == 0))))
            layouts.push_back(bf16 ? Layout::tiles : Layout::splitTiles);
          for (const Layout layout : layouts) {
            const bool isBlocks = layout == Layout::splitTiles || (layout == Layout::tiles && (one.aTurned || depth % code.side == 0));
            Case both = one;
            both.branch = isBlocks ? std::array{0, 1, 8, 31, 64, 128}[draw % 6] : 0;
            const double error = check(code, both, layout), bound = one.cType == at::kBFloat16 ? 1.0 / 250 : 2e-6;
            if (!(error <= bound))
              std::fprintf(stderr, "%s: %ld x %ld x %ld, layout %d: off by %.2e\n", named.name, rows, depth, columns, static_cast<int>(layout), error);
            EXPECT(error <= bound);
            double &most = worst[one.cType == at::kBFloat16];
            most = std::max(most, error);
          }
        }
  std::printf("%s: f32 %.1e, bf16 %.1e of the largest entry\n", named.name, worst[0], worst[1]);
}

/// Ties to even, infinities and NaN, as LibTorch rounds.
void checkRounding(const Code &code) {
  const float huge = std::numeric_limits<float>::max(), infinity = std::numeric_limits<float>::infinity(), nan = std::numeric_limits<float>::quiet_NaN();
  const at::Tensor numbers = at::tensor({1.0f, 1.00390625f, 1.01171875f, -1.00390625f, 3.3895314e38f, huge, infinity, -infinity, nan, 0.0f, -0.0f, 1e-30f, 0.1f, 65536.5f, -7.7f, 2.0f, 1.5f});
  const at::Tensor a = at::ones({1, 1}, at::kBFloat16), b = numbers.unsqueeze(0), c = at::empty({1, numbers.numel()}, at::kBFloat16);
  std::vector<float> packed(4 * code.panel);
  Call call = callOf(a, b, c, false);
  call.packed = packed.data();
  code.pack(call, 0, (numbers.numel() + code.panel - 1) / code.panel);
  code.multiply(call, {0, 1, 0, (numbers.numel() + code.panel - 1) / code.panel});
  EXPECT(at::allclose(c[0].to(at::kFloat), numbers.to(at::kBFloat16).to(at::kFloat), 0, 0, true));
}

uint32_t *wordsOf(const at::Tensor &tensor) { return static_cast<uint32_t *>(tensor.data_ptr()); }

/// Pairs of a kernel's scratch: A by rows and turned, sizes on both sides of a tile's edges, and nothing beyond them touched.
void checkPairs(const products::PairFunctions &functions) {
  double worst[2] = {0, 0};
  for (const int64_t rows : {1, 15, 16, 17, 32, 50})
    for (const int64_t pairs : {1, 4, 16, 17, 40})
      for (const int64_t columns : {16, 32, 48, 96})
        for (const int64_t how : {0, 1, 2, 3}) {
          const bool turned = (rows + pairs + columns / 16 + how) % 2 != 0, isBf16 = (how & products::kCIsBf16) != 0, adds = (how & products::kAdds) != 0;
          const at::Tensor a = at::randn({rows, 2 * pairs}).to(at::kBFloat16), b = at::randn({2 * pairs, columns}).to(at::kBFloat16);
          const at::Tensor before = at::randn({rows + 1, columns + 5}).to(isBf16 ? at::kBFloat16 : at::kFloat), c = before.clone();
          const at::Tensor aPairs = a.view(at::kInt).contiguous(), bPairs = b.view({pairs, 2, columns}).transpose(1, 2).contiguous().view(at::kInt).squeeze(-1); // words
          at::Tensor lies = aPairs;
          if (turned) {
            lies = at::full({pairs, rows}, 0x7fc07fc0, at::kInt);
            functions.turn(wordsOf(aPairs), pairs, wordsOf(lies), rows, rows, pairs);
            EXPECT(at::equal(lies, aPairs.t()));
          }
          functions.multiply(c.data_ptr(), wordsOf(lies), wordsOf(bPairs), columns + 5, turned ? 1 : pairs, turned ? rows : 1, columns, rows, pairs, columns, how);
          const auto result = [&](const at::Tensor &all) { return all.narrow(0, 0, rows).narrow(1, 0, columns); };
          const double error = errorOf(result(c), a, b, adds ? result(before) : at::Tensor());
          EXPECT(error <= (isBf16 ? 1.0 / 250 : 2e-6));
          EXPECT(at::equal(c.narrow(0, rows, 1), before.narrow(0, rows, 1)) && at::equal(c.narrow(1, columns, 5), before.narrow(1, columns, 5)));
          worst[isBf16] = std::max(worst[isBf16], error);
        }
  std::printf("pairs: f32 %.1e, bf16 %.1e of the largest entry\n", worst[0], worst[1]);
}

void checkChoice() {
  Products own("", ProductChoice::own), library("", ProductChoice::library);
  const at::Tensor a = at::randn({100, 96}), b = at::randn({80, 96}).t(), sum = at::randn({100, 80});
  at::Tensor c = at::zeros({100, 80});
  for (Products *products : {&own, &library}) {
    products->multiply(c, {a, b, false});
    EXPECT(errorOf(c, a, b, {}) < 2e-6);
    products->multiply(c, {a, b, false}, sum);
    EXPECT(errorOf(c, a, b, sum) < 2e-6);
    at::Tensor half = at::zeros({100, 80}, at::kBFloat16), exact = at::zeros({100, 80});
    const at::Tensor low = a.to(at::kBFloat16), weight = b.to(at::kBFloat16);
    for (const bool constant : {true, true, false}) { // a weight in f32 is rounded
      products->multiply(half, {low, b, constant});
      EXPECT(errorOf(half, low, weight, {}) < 1.0 / 250);
      products->multiply(exact, {low, b, constant});
      EXPECT(errorOf(exact, low, weight, {}) < 2e-6);
    }
    at::Tensor wide = at::zeros({100, 80}, at::kDouble);
    products->multiply(wide, {a.to(at::kDouble), b.to(at::kDouble), false});
    EXPECT(errorOf(wide, a, b, {}) < 1e-14);
  }
  Products narrowest("x86-64-v3", ProductChoice::own); // whose panels of an f32 matrix are two: floats, and pairs that are widened
  at::Tensor half = at::zeros({100, 80}, at::kBFloat16);
  for (Products *products : {&own, &narrowest}) {
    products->multiply(half, {a.to(at::kBFloat16), b, true});
    products->multiply(c, {a, b, true});
    EXPECT(errorOf(c, a, b, {}) < 2e-6);
  }
  own.multiply(c, {a, b, true});
  const int64_t bytes = own.constantBytes();
  const at::Tensor once = c.clone();
  own.multiply(c, {a, b, true});
  EXPECT(bytes > 0 && own.constantBytes() == bytes && at::equal(c, once));
  own.multiply(c, {a, b, true}, c);
  EXPECT(at::allclose(c, once * 2));
  at::Tensor gradient = at::zeros({128, 8});
  const at::Tensor tokens = at::randn({70, 128}), low = at::randn({70, 8});
  own.multiply(gradient, {tokens.t(), low, false});
  EXPECT(errorOf(gradient, tokens.t(), low, {}) < 2e-6);
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16}) // a thin gradient over many tokens, both ways round
    for (const int64_t rank : {8, 40}) {
      const at::Tensor many = at::randn({1500, 128}).to(type), thin = at::randn({1500, rank}).to(type), before = at::randn({128, rank});
      at::Tensor once = before.clone(), turned = at::empty({rank, 128}), alone = before.clone();
      own.multiply(once, {many.t(), thin, false}, once);
      own.multiply(turned, {thin.t(), many, false});
      EXPECT(errorOf(once, many.t(), thin, before) < 2e-6 && errorOf(turned, thin.t(), many, {}) < 2e-6);
      const int threads = at::get_num_threads();
      at::set_num_threads(threads == 1 ? 2 : 1);
      own.multiply(alone, {many.t(), thin, false}, alone);
      at::set_num_threads(threads);
      EXPECT(at::equal(once, alone));
    }
  own.multiply(at::empty({0, 80}), {a.narrow(0, 0, 0), b, false});
  own.multiply(c, {a.narrow(1, 0, 0), b.narrow(0, 0, 0), false});
  EXPECT(at::equal(c, at::zeros({100, 80})));
  at::set_num_threads(1);
  own.multiply(c, {a, b, false});
  EXPECT(at::equal(c, once));
  EXPECT_ERROR("R0107", "`none`", productChoiceOf("none"));
}

} // namespace

int main() {
  at::manual_seed(3);
  for (const Named &named : codes()) {
    checkCode(named);
    checkRounding(*named.code);
    if (named.code->pairs)
      checkPairs(*named.code->pairs);
  }
  if (!codes().empty())
    checkChoice();
  return 0;
}
