// Elementwise: see the header.
#include "compiler/conversion/Elementwise.h"
#include "dialects/nn/Nn.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "llvm/ADT/TypeSwitch.h"
#include <limits>

using namespace mlir;

namespace peftc::conversion {
namespace {

Value constantLike(Code &code, Type type, double value) {
  Value number = code.number(value);
  return isa<VectorType>(type) ? code.splat(number) : number;
}

Value compare(Code &code, Operation *op, Value x, Value y) {
  bool bools = getElementTypeOrSelf(x.getType()).isInteger(1);
  if (bools)
    return arith::CmpIOp::create(code.b, code.loc, isa<nn::EqOp>(op) ? arith::CmpIPredicate::eq : arith::CmpIPredicate::ne, x, y);
  if (isa<IntegerType>(getElementTypeOrSelf(x.getType()))) {
    auto whole = llvm::TypeSwitch<Operation *, arith::CmpIPredicate>(op)
                     .Case<nn::LtOp>([](auto) { return arith::CmpIPredicate::slt; })
                     .Case<nn::LeOp>([](auto) { return arith::CmpIPredicate::sle; })
                     .Case<nn::GtOp>([](auto) { return arith::CmpIPredicate::sgt; })
                     .Case<nn::GeOp>([](auto) { return arith::CmpIPredicate::sge; })
                     .Case<nn::EqOp>([](auto) { return arith::CmpIPredicate::eq; })
                     .Default([](auto) { return arith::CmpIPredicate::ne; });
    return arith::CmpIOp::create(code.b, code.loc, whole, x, y);
  }
  auto predicate = llvm::TypeSwitch<Operation *, arith::CmpFPredicate>(op)
                       .Case<nn::LtOp>([](auto) { return arith::CmpFPredicate::OLT; })
                       .Case<nn::LeOp>([](auto) { return arith::CmpFPredicate::OLE; })
                       .Case<nn::GtOp>([](auto) { return arith::CmpFPredicate::OGT; })
                       .Case<nn::GeOp>([](auto) { return arith::CmpFPredicate::OGE; })
                       .Case<nn::EqOp>([](auto) { return arith::CmpFPredicate::OEQ; })
                       .Default([](auto) { return arith::CmpFPredicate::UNE; });
  return arith::CmpFOp::create(code.b, code.loc, predicate, x, y);
}

Value sign(Code &code, Value x) {
  Value zero = constantLike(code, x.getType(), 0), one = constantLike(code, x.getType(), 1), minus = constantLike(code, x.getType(), -1);
  Value below = arith::CmpFOp::create(code.b, code.loc, arith::CmpFPredicate::OLT, x, zero), above = arith::CmpFOp::create(code.b, code.loc, arith::CmpFPredicate::OGT, x, zero);
  return arith::SelectOp::create(code.b, code.loc, above, one, arith::SelectOp::create(code.b, code.loc, below, minus, zero));
}

Value complement(Code &code, Value x) {
  Type type = x.getType();
  Value all = isa<VectorType>(type) ? code.firstLanes(static_cast<int64_t>(code.lanes)) : Value(arith::ConstantOp::create(code.b, code.loc, code.b.getBoolAttr(true)));
  return arith::XOrIOp::create(code.b, code.loc, x, all);
}

Value cast(Code &code, nn::CastOp op, Value x) {
  Type to = cast<nn::NNType>(op.getResult().getType()).getElement(), from = getElementTypeOrSelf(x.getType());
  if (from == to)
    return x;
  if (to.isInteger(1))
    return arith::CmpFOp::create(code.b, code.loc, arith::CmpFPredicate::UNE, x, constantLike(code, x.getType(), 0));
  Type type = isa<VectorType>(x.getType()) ? Type(code.vectorOf(code.f32())) : code.f32();
  if (from.isInteger(32))
    return arith::SIToFPOp::create(code.b, code.loc, type, x);
  return arith::SelectOp::create(code.b, code.loc, x, constantLike(code, type, 1), constantLike(code, type, 0));
}

/// exp, log, tanh, erf, sin and cos are polynomials on vectors: a number is a vector's lane.
Value elementary(Code &code, Operation *op, Value x) {
  bool number = !isa<VectorType>(x.getType());
  Value v = number ? code.splat(x) : x;
  Value made = llvm::TypeSwitch<Operation *, Value>(op)
                   .Case<nn::ExpOp>([&](auto) { return math::ExpOp::create(code.b, code.loc, v); })
                   .Case<nn::LogOp>([&](auto) { return math::LogOp::create(code.b, code.loc, v); })
                   .Case<nn::TanhOp>([&](auto) { return math::TanhOp::create(code.b, code.loc, v); })
                   .Case<nn::SinOp>([&](auto) { return math::SinOp::create(code.b, code.loc, v); })
                   .Case<nn::CosOp>([&](auto) { return math::CosOp::create(code.b, code.loc, v); })
                   .Default([&](auto) { return math::ErfOp::create(code.b, code.loc, v); });
  return number ? Value(vector::ExtractOp::create(code.b, code.loc, made, ArrayRef<int64_t>{0})) : made;
}

} // namespace

Value elementwise(Code &code, Operation *op, ArrayRef<Value> v) {
  OpBuilder &b = code.b;
  Location loc = code.loc;
  auto make = [&](auto made) -> Value { return made.getResult(); };
  return llvm::TypeSwitch<Operation *, Value>(op)
      .Case<nn::NegOp>([&](auto) { return make(arith::NegFOp::create(b, loc, v[0])); })
      .Case<nn::ExpOp, nn::LogOp, nn::TanhOp, nn::ErfOp, nn::SinOp, nn::CosOp>([&](auto) { return elementary(code, op, v[0]); })
      .Case<nn::SqrtOp>([&](auto) { return make(math::SqrtOp::create(b, loc, v[0])); })
      .Case<nn::RsqrtOp>([&](auto) { return make(arith::DivFOp::create(b, loc, constantLike(code, v[0].getType(), 1), math::SqrtOp::create(b, loc, v[0]))); })
      .Case<nn::AbsOp>([&](auto) { return make(math::AbsFOp::create(b, loc, v[0])); })
      .Case<nn::FloorOp>([&](auto) { return make(math::FloorOp::create(b, loc, v[0])); })
      .Case<nn::SignOp>([&](auto) { return sign(code, v[0]); })
      .Case<nn::NotOp>([&](auto) { return complement(code, v[0]); })
      .Case<nn::CastOp>([&](nn::CastOp cast) { return conversion::cast(code, cast, v[0]); })
      .Case<nn::AddOp, nn::SubOp>([&](auto made) -> Value {
        const bool whole = getElementTypeOrSelf(v[0].getType()).isInteger(32), sum = isa<nn::AddOp>(made.getOperation());
        if (whole)
          return sum ? make(arith::AddIOp::create(b, loc, v[0], v[1])) : make(arith::SubIOp::create(b, loc, v[0], v[1]));
        return sum ? make(arith::AddFOp::create(b, loc, v[0], v[1])) : make(arith::SubFOp::create(b, loc, v[0], v[1]));
      })
      .Case<nn::MulOp>([&](auto) { return make(arith::MulFOp::create(b, loc, v[0], v[1])); })
      .Case<nn::DivOp>([&](auto) { return make(arith::DivFOp::create(b, loc, v[0], v[1])); })
      .Case<nn::MaxOp>([&](auto) { return make(arith::MaximumFOp::create(b, loc, v[0], v[1])); })
      .Case<nn::MinOp>([&](auto) { return make(arith::MinimumFOp::create(b, loc, v[0], v[1])); })
      .Case<nn::LtOp, nn::LeOp, nn::GtOp, nn::GeOp, nn::EqOp, nn::NeOp>([&](auto) { return compare(code, op, v[0], v[1]); })
      .Case<nn::AndOp>([&](auto) { return make(arith::AndIOp::create(b, loc, v[0], v[1])); })
      .Case<nn::OrOp>([&](auto) { return make(arith::OrIOp::create(b, loc, v[0], v[1])); })
      .Case<nn::SelectOp>([&](auto) { return make(arith::SelectOp::create(b, loc, v[0], v[1], v[2])); })
      .Default([](auto) -> Value { llvm::report_fatal_error("an op that no kernel can hold"); });
}

Value combine(Code &code, StringRef kind, Value x, Value y) {
  if (kind == "sum")
    return arith::AddFOp::create(code.b, code.loc, x, y);
  auto predicate = kind == "max" ? arith::CmpFPredicate::OGT : arith::CmpFPredicate::OLT;
  return arith::SelectOp::create(code.b, code.loc, arith::CmpFOp::create(code.b, code.loc, predicate, x, y), x, y);
}

double neutralOf(StringRef kind) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  return kind == "sum" ? 0 : kind == "max" ? -kInfinity : kInfinity;
}

} // namespace peftc::conversion
