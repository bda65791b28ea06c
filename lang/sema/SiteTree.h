// SiteTree: the modules of a program's arch and task as they are written, without lengths of lists.
#pragma once
#include "lang/spec/Spec.h"
#include <memory>
#include <set>

namespace peftc::sema {

struct Place {
  std::string name;
  std::vector<std::string> kinds;
  std::vector<std::unique_ptr<Place>> children; ///< in order of declaration; two of one name where an `if` decides
  std::vector<std::string> weights;
  std::set<std::string> points; ///< values, which are no weights
  bool sure = true;             ///< it stands in no `if`
  bool open = false;            ///< it may hold more than is known here
};

/// The tree under the program's `model`; null without one, or without its arch.
std::unique_ptr<Place> siteTree(const Spec &spec);

} // namespace peftc::sema
