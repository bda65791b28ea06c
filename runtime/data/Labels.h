// Labels: names of classes and their indices.
//
// Made from the training rows: integers that all lie in 0 … n-1 are their own indices; other integers are sorted as numbers,
// anything else as bytes. Saved with the run, so that every later mode reads and writes the same names.
// Errs   R0137 a label that the map lacks, R0138 more labels than classes
#pragma once
#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

namespace peftrt {

class Labels {
public:
  Labels() = default;
  /// `classes`: how many the model tells apart; `where` names the file in errors.
  static Labels fromNames(const std::set<std::string> &names, int64_t classes, const std::string &where);
  static Labels fromJson(const nlohmann::json &names);
  nlohmann::json toJson() const { return names_; }

  bool empty() const { return names_.empty(); }
  int64_t size() const { return static_cast<int64_t>(names_.size()); }
  /// The class of `name`, or -1.
  int64_t indexOf(const std::string &name) const;
  /// Its name; classes beyond the map are `LABEL_<index>`.
  std::string nameOf(int64_t index) const;
  /// For messages: the names, shortened.
  std::string listed() const;

private:
  explicit Labels(std::vector<std::string> names);
  std::vector<std::string> names_;
  std::map<std::string, int64_t> index_;
};

} // namespace peftrt
