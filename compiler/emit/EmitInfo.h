// EmitInfo: facts of a program that no tensor operation says, on their way from `import` to the manifest.
//
// `import` and `sites` fill the first part from the checked program; the driver fills the second from files. Everything else in
// the manifest is read from the module: `nn.parameter` (with its discardable attribute `peft.group`, an i64, absent = 0),
// the programs, and the module attribute `nn.merge`.
#pragma once
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

namespace peftc {

struct EmitInfo {
  /// A column of a batch and how it is read from a row of data.
  struct Row {
    std::string name;
    std::string encoder;                          ///< what the runtime knows: runtime/data/README.md
    nlohmann::json args = nlohmann::json::array();
    bool perSeq = false;                          ///< one entry a token, else one an example
    std::string dtype = "i64";                    ///< f32 | i64
    int64_t examples = 1;                         ///< how many the row is of
    int64_t sequence = 0;                         ///< which of an example's sequences its tokens are
  };
  /// Hyperparameters of one group; group 0 is everything that no other one selects.
  struct Group {
    nlohmann::json hyper = nlohmann::json::object();
    std::vector<std::string> fields;              ///< what the group says itself
  };
  struct Attach {
    int64_t index = 0;
    std::string name;                             ///< what its parameters are called by
    std::string text;                             ///< as written
    std::vector<std::string> sites;               ///< paths
    std::optional<std::string> changesAtInit;     ///< `at_init changes("…")`: the reason; else the logits stay at first
  };

  // ---- from the program: import, sites
  std::string arch;
  std::string prefix;                             ///< before the names of weights where a task's head is saved too
  std::string mergedClass;                        ///< `architectures` of a merged checkpoint
  std::optional<int64_t> vocabSize, maxPositions; ///< token ids are below the one; no row is longer than the other
  std::vector<Row> rows;
  int64_t examplesOfRow() const {
    for (const Row &row : rows)
      if (row.examples > 1)
        return row.examples;
    return 1;
  }
  std::vector<std::string> metrics;
  nlohmann::json run = nlohmann::json::object();  ///< option -> value
  std::string optimizerName;
  std::vector<std::string> optimizerStates;
  std::vector<Group> groups;
  std::vector<Attach> attaches;
  nlohmann::json interop = nlohmann::json::object(); ///< what the program is in other software's files: runtime/bundle/README.md
  bool readsRuns = false;                         ///< something starts as a run left it

  // ---- from files: the driver
  std::string specText;
  std::string modelPath;                          ///< absolute
  std::string configFnv64;                        ///< of config.json's bytes, 16 hex digits
  nlohmann::json config = nlohmann::json::object();
};

} // namespace peftc
