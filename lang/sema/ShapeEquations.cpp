// ShapeEquations: shapes of `einsum("s h e, k h e -> h s k", q, k)` and `rearrange(x, "s (h e) -> s h e", h = 12)`.
#include "lang/sema/ShapeOf.h"
#include <sstream>

namespace peftc::sema {

Shape ShapeOf::einsum(const std::string &equation, const std::vector<Shape> &operands, Range range) {
  auto words = [](const std::string &text) {
    std::istringstream stream(text);
    std::vector<std::string> out;
    for (std::string word; stream >> word;)
      out.push_back(word);
    return out;
  };
  size_t arrow = equation.find("->");
  if (arrow == std::string::npos)
    return {};
  std::istringstream left(equation.substr(0, arrow));
  std::map<std::string, Length> lengths;
  size_t index = 0;
  for (std::string group; std::getline(left, group, ',') && index < operands.size(); ++index) {
    const Shape &x = operands[index];
    if (!x.isTensor())
      continue;
    auto axes = words(group);
    if (axes.size() != x.rank()) {
      mismatch(range, "`" + equation + "` takes " + std::to_string(axes.size()) + " axes, this is " + x.text());
      return {};
    }
    for (size_t i = 0; i < axes.size(); ++i) {
      Length &length = lengths[axes[i]];
      if (alike_.differ(length, x.lengths[i])) {
        mismatch(range, "`" + axes[i] + "` of `" + equation + "` is " + Shape::tensor({length}, {}).text() + " and " + Shape::tensor({x.lengths[i]}, {}).text());
        return {};
      }
      if (length.kind == Length::Kind::Open)
        length = x.lengths[i];
    }
  }
  auto axes = words(equation.substr(arrow + 2));
  std::vector<Length> out;
  for (const std::string &axis : axes)
    out.push_back(lengths.count(axis) ? lengths[axis] : Length::open());
  return Shape::tensor(out, axes);
}

/// `s (h e)` -> {{"s"}, {"h", "e"}}; nothing where brackets do not match.
static std::optional<std::vector<std::vector<std::string>>> groupsOf(const std::string &text) {
  std::string spaced;
  for (char c : text)
    spaced += c == '(' || c == ')' ? std::string(" ") + c + " " : std::string(1, c);
  std::istringstream stream(spaced);
  std::vector<std::vector<std::string>> out;
  bool open = false;
  for (std::string word; stream >> word;) {
    if (word == "(" || word == ")") {
      if (open == (word == "("))
        return std::nullopt;
      open = word == "(";
      if (open)
        out.emplace_back();
    } else if (open) {
      out.back().push_back(word);
    } else {
      out.push_back({word});
    }
  }
  return open ? std::nullopt : std::optional(out);
}

Shape ShapeOf::rearrange(const std::string &pattern, const Shape &x, const std::map<std::string, Length> &sizes, Range range) {
  size_t arrow = pattern.find("->");
  auto left = arrow == std::string::npos ? std::nullopt : groupsOf(pattern.substr(0, arrow));
  auto right = arrow == std::string::npos ? std::nullopt : groupsOf(pattern.substr(arrow + 2));
  if (!left || !right || left->size() != x.rank()) {
    mismatch(range, "the pattern `" + pattern + "` does not fit " + x.text());
    return {};
  }
  std::map<std::string, std::pair<Length, std::string>> parts; // its length and what its axis is called
  for (size_t i = 0; i < left->size(); ++i) {
    const std::vector<std::string> &group = (*left)[i];
    size_t unknown = 0;
    for (const std::string &name : group) {
      unknown += !sizes.count(name);
      parts[name] = group.size() == 1 ? std::pair(x.lengths[i], x.axes[i].empty() ? name : x.axes[i])
                                      : std::pair(sizes.count(name) ? sizes.at(name) : Length::open(name), name);
    }
    if (group.size() > 1 && unknown > 1)
      mismatch(range, "the lengths of more than one of `" + pattern + "` in brackets are unknown");
  }
  std::vector<Length> lengths;
  std::vector<std::string> axes;
  size_t used = 0;
  for (const auto &group : *right) {
    for (const std::string &name : group) {
      ++used;
      if (!parts.count(name)) {
        mismatch(range, "`" + name + "` is not on the left of `" + pattern + "`");
        return {};
      }
    }
    lengths.push_back(group.size() == 1 ? parts[group[0]].first : Length::open());
    axes.push_back(group.size() == 1 ? parts[group[0]].second : "");
  }
  if (used < parts.size())
    mismatch(range, "`" + pattern + "` loses an axis");
  return Shape::tensor(std::move(lengths), std::move(axes));
}

} // namespace peftc::sema
