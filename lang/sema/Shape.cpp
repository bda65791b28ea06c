// Shape: see the header.
#include "lang/sema/Shape.h"
#include <algorithm>
#include <numeric>

namespace peftc::sema {
using namespace ast;

bool Length::operator==(const Length &other) const {
  if (kind != other.kind)
    return false;
  if (kind == Kind::Product)
    return number == other.number && over == other.over && powers == other.powers;
  return number == other.number && name == other.name;
}

/// A length as a product of one.
static Length widened(const Length &length) {
  Length out = Length::make(Length::Kind::Product, 1, "");
  if (length.kind == Length::Kind::Product)
    return length;
  if (length.kind == Length::Kind::Number)
    out.number = length.number;
  else
    out.powers[length.name] = 1;
  if (length.argument)
    out.arguments.insert(length.name);
  return out;
}

Length Length::product(const Length &a, const Length &b, bool inverse) {
  if (a.kind == Kind::Open || b.kind == Kind::Open)
    return open();
  Length out = widened(a), by = widened(b);
  if (inverse)
    std::swap(by.number, by.over);
  if (by.over <= 0 || by.number <= 0 || out.number <= 0 || out.number > 1 << 30 || by.number > 1 << 30 || by.over > 1 << 30 || out.over > 1 << 30)
    return open();
  for (const auto &[name, power] : by.powers)
    if ((out.powers[name] += inverse ? -power : power) == 0)
      out.powers.erase(name);
  out.arguments.insert(by.arguments.begin(), by.arguments.end());
  const int64_t shared = std::gcd(out.number * by.number, out.over * by.over);
  out.number = out.number * by.number / shared;
  out.over = out.over * by.over / shared;
  out.name.clear();
  if (out.powers.empty() && out.over == 1)
    return of(out.number);
  if (out.number == 1 && out.over == 1 && out.powers.size() == 1 && out.powers.begin()->second == 1)
    return called(out.powers.begin()->first, out.arguments.count(out.powers.begin()->first) > 0);
  return out;
}

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
  for (const FilePtr &file : spec.files)
    for (const StmtPtr &stmt : file->statements)
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

/// Neither side is chosen by the other: what is left of a / b holds no dim, and is not 1.
bool Alike::differByQuotient(const Length &a, const Length &b) const {
  auto rooted = [&](const Length &length) {
    Length out = widened(length);
    std::map<std::string, int> powers;
    for (const auto &[name, power] : out.powers)
      powers[out.arguments.count(name) ? name : root(name)] += power;
    out.powers = powers;
    return out;
  };
  const Length ratio = Length::product(rooted(a), rooted(b), true);
  if (ratio.kind == Length::Kind::Number)
    return ratio.number != 1;
  if (ratio.kind == Length::Kind::Name)
    return ratio.argument;
  if (ratio.kind == Length::Kind::Open)
    return false;
  return std::all_of(ratio.powers.begin(), ratio.powers.end(), [&](auto &factor) { return ratio.arguments.count(factor.first) > 0; });
}

bool Alike::differ(const Length &a, const Length &b) const {
  if ((a.kind == Length::Kind::Product || b.kind == Length::Kind::Product) && a.kind >= Length::Kind::Name && b.kind >= Length::Kind::Name)
    return differByQuotient(a, b);
  if (a.kind != b.kind || a.kind == Length::Kind::Open)
    return false;
  if (a.kind == Length::Kind::Number)
    return a.number != b.number && a.number != 1 && b.number != 1;
  return root(a.name) != root(b.name);
}

std::optional<Shape> broadcast(const Shape &a, const Shape &b, const Alike &alike) {
  const Shape &big = a.rank() >= b.rank() ? a : b, &small = &big == &a ? b : a;
  Shape out = big.isTensor() ? big : Shape::scalar();
  out.wide = a.wide || b.wide;
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
  for (Length &length : out.lengths)
    if (out.wide && length.is(1))
      length = Length::open();
  return out;
}

Shape meet(const Shape &a, const Shape &b) {
  if (a == b)
    return a;
  if (!a.isTensor() || !b.isTensor() || a.rank() != b.rank())
    return a.kind == b.kind && a.kind == Shape::Kind::Number && !a.wide && !b.wide ? Shape::scalar() : Shape();
  Shape out = a;
  out.wide = a.wide || b.wide;
  for (size_t i = 0; i < a.rank(); ++i) {
    if (!(a.lengths[i] == b.lengths[i]))
      out.lengths[i] = Length::open();
    if (a.axes[i] != b.axes[i])
      out.axes[i].clear();
  }
  return out;
}

} // namespace peftc::sema
