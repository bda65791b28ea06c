// Bound: what a number's type may say of it, as in `int >= 0`.
#pragma once
#include <string>

namespace peftc::ast {

struct Bound {
  enum class Op { Below, AtMost, Above, AtLeast } op = Op::AtLeast;
  double number = 0;
  std::string spelling; ///< of the number
  bool holds(double value) const { return op == Op::Below ? value < number : op == Op::AtMost ? value <= number : op == Op::Above ? value > number : value >= number; }
  /// "at least 0"
  std::string words() const { return (op == Op::Below ? "below " : op == Op::AtMost ? "at most " : op == Op::Above ? "above " : "at least ") + spelling; }
};

} // namespace peftc::ast
