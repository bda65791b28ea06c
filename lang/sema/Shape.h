// Shape: what is known of a value without a checkpoint: how many axes, and how long by which name.
//
// Lengths are names of dims and arguments, numbers, products of those, or something that is not followed. Two lengths are certainly
// unlike when they are unlike numbers, unlike names that no arch of the program says are one, or when their quotient is a number or made
// of arguments only: `d / reduction` is not `d`; `heads * head_dim` may be.
#pragma once
#include "lang/spec/Spec.h"
#include <map>
#include <memory>
#include <optional>
#include <set>

namespace peftc::sema {

struct Length {
  enum class Kind { Open, Number, Name, Product } kind = Kind::Open; ///< Open: of a text's length, computed, or not followed
  int64_t number = 0;
  std::string name; ///< of an Open one or a Product too, where it has one: for messages
  bool argument = false;             ///< Name: of a method's argument, not of a dim
  std::map<std::string, int> powers; ///< Product: of names
  std::set<std::string> arguments;   ///< Product: which of them are
  int64_t over = 1;                  ///< Product: number / over is its factor
  static Length open(std::string name = "") { return make(Kind::Open, 0, std::move(name)); }
  static Length of(int64_t number) { return make(Kind::Number, number, ""); }
  static Length called(std::string name, bool argument = false) {
    Length length = make(Kind::Name, 0, std::move(name));
    length.argument = argument;
    return length;
  }
  static Length make(Kind kind, int64_t number, std::string name) {
    Length length;
    length.kind = kind;
    length.number = number;
    length.name = std::move(name);
    return length;
  }
  static Length product(const Length &a, const Length &b, bool inverse); ///< a * b, or a / b
  bool is(int64_t value) const { return kind == Kind::Number && number == value; }
  bool operator==(const Length &other) const;
};

struct Shape {
  enum class Kind { Open, None, Bool, Number, Tensor, Word, Function } kind = Kind::Open;
  bool flag = false;               ///< Bool
  bool wide = false;               ///< Number, Tensor: an argument that may be a tensor is in it, so it may have more axes in front
  Length number;                   ///< Number: as a length
  std::vector<Length> lengths;     ///< Tensor
  std::vector<std::string> axes;   ///< Tensor: by the kind's names, "" where there is none
  std::string word;                ///< Word: an axis handed on
  const ast::FnStmt *fn = nullptr; ///< Function: a fn, or a lambda, or the builtin `word`
  const ast::LambdaExpr *lambda = nullptr;

  static Shape scalar(Length number = {}) { return make(Kind::Number, std::move(number)); }
  static Shape truth(bool flag) { Shape shape = make(Kind::Bool, {}); shape.flag = flag; return shape; }
  static Shape tensor(std::vector<Length> lengths, std::vector<std::string> axes);
  static Shape make(Kind kind, Length number) { Shape shape; shape.kind = kind; shape.number = std::move(number); return shape; }
  bool isTensor() const { return kind == Kind::Tensor; }
  /// A tensor or a number: what arithmetic takes.
  bool isValue() const { return kind == Kind::Tensor || kind == Kind::Number; }
  size_t rank() const { return lengths.size(); }
  bool operator==(const Shape &other) const = default;
  std::string text() const;
};

/// Names of dims that some arch says are the same: `dim kv_heads = heads`.
class Alike {
public:
  explicit Alike(const Spec &spec);
  /// Certainly, whatever the checkpoint: neither is 1, which is repeated.
  bool differ(const Length &a, const Length &b) const;

private:
  std::string root(std::string name) const;
  bool differByQuotient(const Length &a, const Length &b) const;
  std::map<std::string, std::string> parent;
};

/// The shape of both together, right-aligned; nothing when they certainly do not fit.
std::optional<Shape> broadcast(const Shape &a, const Shape &b, const Alike &alike);
/// What holds whichever of both it is.
Shape meet(const Shape &a, const Shape &b);

} // namespace peftc::sema
