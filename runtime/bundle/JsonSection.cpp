// JsonSection: see the header.
#include "runtime/bundle/JsonSection.h"
#include "runtime/bundle/Errors.h"
#include "runtime/bundle/Json.h"

namespace peftrt {

const nlohmann::json &JsonSection::value() const {
  if (!value_) {
    auto read = std::make_shared<nlohmann::json>(parseJson(text_));
    if (!read->is_object())
      throw RuntimeError("R0103", "`" + path_ + "` is damaged: " + name_ + " is not JSON", "copy the file again, or compile the spec again");
    value_ = std::move(read);
  }
  return *value_;
}

} // namespace peftrt
