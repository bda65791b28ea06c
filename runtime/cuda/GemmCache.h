// GemmCache: which algorithms were the fastest, in a file for each GPU and version of cuBLASLt, which processes share.
//
// Nothing in it is relied on: a file that is not what it should be is left out, which a note says, and written anew; an algorithm is for the library to check.
// Errs  none: what cannot be written is said once on stderr
#pragma once
#include "runtime/cuda/BlasApi.h"
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>

namespace peftrt::cuda {

struct FastestGemm {
  Algorithm algorithm;
  double microseconds; ///< for people
};

class GemmCache {
public:
  /// Reads it. `device`: the GPU, as far as it decides what is fast; `version`: cuBLASLt's.
  GemmCache(const std::string &folder, const std::string &device, size_t version);
  const FastestGemm *find(const std::string &shape) const;
  void add(const std::string &shape, const FastestGemm &fastest);
  /// Writes what was added since, and keeps what other processes have written meanwhile. Where one of them is writing just now, the next time.
  void save();

private:
  using Entries = std::map<std::string, FastestGemm>;
  Entries read(std::string &why) const;

  const std::string device_, path_;
  const size_t version_;
  Entries entries_, added_;
  bool isOff_ = false;
};

} // namespace peftrt::cuda
