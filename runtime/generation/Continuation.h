// Continuation: the texts of a batch, written on a token at a time, with what is kept of the tokens before. Where the network reads two texts, the second is
// written in answer to the first, which stays as it is.
//
// Errs  R0102 the bundle cannot write on, R0203 rows of more than token ids
#pragma once
#include "runtime/bundle/Format.h"
#include "runtime/plan/Device.h"
#include "runtime/plan/Executor.h"
#include <set>
#include <string>
#include <vector>

namespace peftrt {

/// Whether a program's input or result of that name is what is kept of a text.
bool isKept(const std::string &name);

class Continuation {
public:
  /// `device`: the executor's, where what is kept lies. `suffix`: "" for the programs with the attaches, "_base" for the network alone. `cached` false: each token from the whole text.
  Continuation(Executor &executor, Device &device, const Bundle &bundle, const std::string &suffix, const RandomState &random, bool cached);

  /// New texts, each with room for so many tokens in all; `read`: what each answers, nothing where the network reads one text. What follows them:
  /// [texts, vocabulary] fp32, unnormalised logarithms of probabilities.
  at::Tensor begin(std::vector<std::vector<int64_t>> texts, std::vector<int64_t> rooms, std::vector<std::vector<int64_t>> read = {});
  /// One token more a text, and what follows it.
  at::Tensor append(const std::vector<int64_t> &tokens);
  /// Only these texts go on, in this order.
  void keep(const std::vector<size_t> &texts);
  /// Largest difference between the shortest text's `logits` and what it gives as a whole, of the largest entry: what a token changes shows most in a short text.
  double differenceFromWhole(const at::Tensor &logits);
  /// From here on each token from the whole text. What follows the texts.
  at::Tensor withoutCache();

  const std::vector<std::vector<int64_t>> &texts() const { return texts_; }
  bool cached() const { return cached_; }
  int64_t cacheBytes() const;

private:
  /// A value that is kept: c + k·tokens rows of `width` numbers a text, tokens being those of the written text or of the one that is read.
  struct Cache {
    std::string name;
    Dim rows;
    int64_t width = 1;
    ValueType type = ValueType::f32;
    at::Tensor values; ///< [rows of all rooms, width]
  };
  /// The batch of these texts; `rooms`: none, or how long each may become.
  Batch batchOf(const std::vector<std::vector<int64_t>> &texts, const std::vector<std::vector<int64_t>> &read, const std::vector<int64_t> &rooms) const;
  /// With all results where the host reads them, but those that are kept.
  Results run(const std::string &program, const Batch &batch);
  at::Tensor nextOf(const Results &results, const std::vector<std::vector<int64_t>> &texts) const;
  void store(const Results &results);
  /// What follows the texts as wholes; what is kept of them, if anything is, is made anew.
  at::Tensor restart();
  /// Rows of a text that is to be `length` long, which answers the given one.
  int64_t rowsOf(const Cache &cache, int64_t length, size_t text) const;
  int64_t roomsBefore(const Cache &cache, size_t text) const;

  Executor &executor_;
  Device &device_;
  RandomState random_;
  std::string whole_, decode_;       ///< programs
  std::vector<std::string> rows_;    ///< names of the rows of token ids, by sequence: the last one is written
  bool cached_;
  std::vector<Cache> caches_;
  std::vector<std::vector<int64_t>> texts_, read_;
  std::vector<int64_t> rooms_;
  at::Tensor stages_; ///< [texts, conditions]: what the texts' lengths alone decide; where it changes, nothing that was kept holds
};

} // namespace peftrt
