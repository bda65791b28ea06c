// JsonSection: a section of a bundle that is JSON: its text, and its value from when someone asks for it. Who only carries a bundle from file to file reads none.
//
// Errs  R0103 the text is not a JSON object
#pragma once
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

namespace peftrt {

class JsonSection {
public:
  JsonSection() = default;
  JsonSection(const nlohmann::json &value) : text_(value.dump()) {}
  /// `name` and `path`: which section of which file, for the error.
  JsonSection(std::string text, const std::string &name, const std::string &path) : text_(std::move(text)), name_(name), path_(path) {}

  const std::string &text() const { return text_; }
  const nlohmann::json &value() const;

private:
  std::string text_ = "{}", name_, path_;
  mutable std::shared_ptr<const nlohmann::json> value_;
};

} // namespace peftrt
