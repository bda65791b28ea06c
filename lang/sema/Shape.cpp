// Shape: see the header.
#include "lang/sema/Shape.h"
#include <algorithm>

namespace peftc::sema {
using namespace ast;

Shape Shape::tensor(std::vector<Length> lengths, std::vector<std::string> axes) {
  Shape shape = make(Kind::Tensor, {});
  axes.resize(lengths.size());
  shape.lengths = std::move(lengths);
  shape.axes = std::move(axes);
  return shape;
}

std::string Shape::text() const {
  if (kind == Kind::Number)
    return "a number";
  std::string out;
  for (size_t i = 0; i < lengths.size(); ++i) {
    const Length &length = lengths[i];
    std::string one = length.kind == Length::Kind::Number ? std::to_string(length.number) : !length.name.empty() ? length.name : axes[i];
    out += (i ? ", " : "") + (one.empty() ? "?" : one);
  }
  return "[" + out + "]";
}

Alike::Alike(const Spec &spec) {
  for (const File &file : spec.files)
    for (const StmtPtr &stmt : file.statements)
      if (auto *arch = stmt->as<ArchStmt>())
        for (const StmtPtr &inner : arch->body)
          if (auto *dim = inner->as<DimStmt>())
            if (auto *same = dim->value->as<NameExpr>(); same && root(dim->name.text) != root(same->name))
              parent[root(dim->name.text)] = root(same->name);
}

std::string Alike::root(std::string name) const {
  for (auto it = parent.find(name); it != parent.end(); it = parent.find(name))
    name = it->second;
  return name;
}

bool Alike::differ(const Length &a, const Length &b) const {
  if (a.kind != b.kind || a.kind == Length::Kind::Open)
    return false;
  if (a.kind == Length::Kind::Number)
    return a.number != b.number && a.number != 1 && b.number != 1;
  return root(a.name) != root(b.name);
}

std::optional<Shape> broadcast(const Shape &a, const Shape &b, const Alike &alike) {
  const Shape &big = a.rank() >= b.rank() ? a : b, &small = &big == &a ? b : a;
  if (!big.isTensor())
    return Shape::scalar();
  Shape out = big;
  size_t shift = big.rank() - small.rank();
  for (size_t i = 0; i < small.rank(); ++i) {
    Length &here = out.lengths[i + shift];
    const Length &other = small.lengths[i];
    if (alike.differ(here, other))
      return std::nullopt;
    if (out.axes[i + shift].empty() || here.is(1))
      out.axes[i + shift] = small.axes[i];
    if (here.is(1))
      here = other;
    else if (!(here == other) && !other.is(1))
      here = Length::open(here.name.empty() ? other.name : here.name); // one of both is 1, or they are equal
  }
  return out;
}

Shape meet(const Shape &a, const Shape &b) {
  if (a == b)
    return a;
  if (!a.isTensor() || !b.isTensor() || a.rank() != b.rank())
    return a.kind == b.kind && a.kind == Shape::Kind::Number ? Shape::scalar() : Shape();
  Shape out = a;
  for (size_t i = 0; i < a.rank(); ++i) {
    if (!(a.lengths[i] == b.lengths[i]))
      out.lengths[i] = Length::open();
    if (a.axes[i] != b.axes[i])
      out.axes[i].clear();
  }
  return out;
}

} // namespace peftc::sema
