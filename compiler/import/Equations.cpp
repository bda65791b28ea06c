// Equations: `einsum("s h e, k h e -> h s k", q, k)` and `rearrange(x, "s (h e) -> s h e", h = 12)`.
//
// Names in an equation are words; axes of the result are called by them.
#include "compiler/import/Elaborator.h"
#include <sstream>

namespace peftc::import {
using diag::Kind;

static std::vector<std::string> words(const std::string &text) {
  std::istringstream stream(text);
  std::vector<std::string> out;
  for (std::string word; stream >> word;)
    out.push_back(word);
  return out;
}

Tensor Elaborator::einsum(const std::string &equation, const std::vector<Tensor> &operands, Range range) {
  size_t arrow = equation.find("->"), comma = equation.find(',');
  if (arrow == std::string::npos || operands.empty() || operands.size() > 2 || (operands.size() == 2) != (comma != std::string::npos))
    fail(Kind::E0350, range, {"an equation is `a b, b c -> a c` for two values, `a b -> b a` for one"});
  std::map<std::string, char> letters;
  auto spell = [&](const std::vector<std::string> &names) {
    std::string out;
    for (const std::string &name : names) {
      auto [it, inserted] = letters.insert({name, static_cast<char>('a' + letters.size())});
      out += it->second;
    }
    return out;
  };
  auto out = words(equation.substr(arrow + 2));
  if (operands.size() == 1) {
    // Sum over what the result lacks, then permute.
    auto in = words(equation.substr(0, arrow));
    std::vector<int64_t> gone;
    std::vector<std::string> left;
    for (size_t i = 0; i < in.size(); ++i)
      if (std::find(out.begin(), out.end(), in[i]) == out.end())
        gone.push_back(static_cast<int64_t>(i));
      else
        left.push_back(in[i]);
    Tensor x = gone.empty() ? operands[0] : reduce("sum", operands[0], gone, false, range);
    std::vector<int64_t> perm;
    for (const std::string &name : out)
      perm.push_back(std::find(left.begin(), left.end(), name) - left.begin());
    return emit<mlir::nn::TransposeOp>(range, {x.value}, {attr("perm", intsAttr(perm))}, out);
  }
  std::string lhs = spell(words(equation.substr(0, comma)));
  std::string rhs = spell(words(equation.substr(comma + 1, arrow - comma - 1)));
  return contract(asFloat(operands[0], range), asFloat(operands[1], range), lhs + "," + rhs + "->" + spell(out), out, range);
}

/// `s (h e)` -> {{"s"}, {"h", "e"}}.
static std::optional<std::vector<std::vector<std::string>>> groups(const std::string &text) {
  std::vector<std::vector<std::string>> out;
  std::string spaced;
  for (char c : text)
    spaced += c == '(' || c == ')' ? std::string(" ") + c + " " : std::string(1, c);
  bool open = false;
  for (const std::string &word : words(spaced)) {
    if (word == "(") {
      if (open)
        return std::nullopt;
      open = true;
      out.emplace_back();
    } else if (word == ")") {
      if (!open)
        return std::nullopt;
      open = false;
    } else if (open) {
      out.back().push_back(word);
    } else {
      out.push_back({word});
    }
  }
  return open ? std::nullopt : std::optional(out);
}

Tensor Elaborator::rearrange(const Tensor &input, const std::string &pattern, const std::map<std::string, int64_t> &sizes,
                             Range range) {
  size_t arrow = pattern.find("->");
  auto left = arrow == std::string::npos ? std::nullopt : groups(pattern.substr(0, arrow));
  auto right = arrow == std::string::npos ? std::nullopt : groups(pattern.substr(arrow + 2));
  if (!left || !right || static_cast<int64_t>(left->size()) != input.type().rank())
    fail(Kind::E0350, range, {"the pattern `" + pattern + "` does not fit " + mlir::nn::toString(input.type())});
  Tensor x = input;
  std::vector<std::string> names;
  for (const auto &group : *left) {
    int64_t axis = static_cast<int64_t>(names.size());
    if (group.size() > 1) {
      int64_t total = x.type().getDims()[axis].constant, known = 1, unknown = -1;
      std::vector<int64_t> lengths;
      for (const std::string &name : group) {
        auto it = sizes.find(name);
        if (it == sizes.end() && unknown >= 0)
          fail(Kind::E0350, range, {"the lengths of `" + group[unknown] + "` and `" + name + "` are both unknown"});
        if (it == sizes.end())
          unknown = static_cast<int64_t>(lengths.size());
        else
          known *= it->second;
        lengths.push_back(it == sizes.end() ? 0 : it->second);
      }
      if (unknown >= 0) {
        if (known == 0 || total % known)
          fail(Kind::E0350, range, {"an axis of length " + std::to_string(total) + " does not split into parts of " + std::to_string(known)});
        lengths[unknown] = total / known;
      }
      std::vector<std::string> axes = x.axes;
      axes.erase(axes.begin() + axis);
      axes.insert(axes.begin() + axis, group.begin(), group.end());
      x = emit<mlir::nn::SplitOp>(range, {x.value}, {attr("axis", intAttr(axis)), attr("sizes", intsAttr(lengths))}, axes);
    }
    names.insert(names.end(), group.begin(), group.end());
  }
  std::vector<int64_t> perm;
  std::vector<std::string> ordered, axes;
  for (const auto &group : *right)
    for (const std::string &name : group) {
      auto it = std::find(names.begin(), names.end(), name);
      if (it == names.end())
        fail(Kind::E0350, range, {"`" + name + "` is not on the left of `" + pattern + "`"});
      perm.push_back(it - names.begin());
      ordered.push_back(name);
      axes.push_back(x.axes[it - names.begin()].empty() ? name : x.axes[it - names.begin()]);
    }
  if (perm.size() != names.size())
    fail(Kind::E0350, range, {"`" + pattern + "` loses an axis"});
  if (!std::is_sorted(perm.begin(), perm.end()))
    x = emit<mlir::nn::TransposeOp>(range, {x.value}, {attr("perm", intsAttr(perm))}, axes);
  else
    x.axes = axes;
  int64_t axis = 0;
  for (const auto &group : *right) {
    if (group.size() > 1) {
      std::vector<std::string> merged = x.axes;
      merged.erase(merged.begin() + axis + 1, merged.begin() + axis + static_cast<int64_t>(group.size()));
      merged[axis] = "";
      x = emit<mlir::nn::MergeOp>(range, {x.value}, {attr("axis", intAttr(axis)), attr("count", intAttr(group.size()))}, merged);
    }
    ++axis;
  }
  return x;
}

} // namespace peftc::import
