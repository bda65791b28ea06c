// Builtins: one call of a function that the language has without a declaration.
//
// Arguments arrive unevaluated, because an axis may be a name. What exists, with which arguments, is lang/sema/Builtins.def.
#pragma once
#include "compiler/import/Elaborator.h"

namespace peftc::import {

class BuiltinCall {
public:
  BuiltinCall(Elaborator &elaborator, const std::string &name, const std::vector<ast::Argument> &given, Range range, const EnvPtr &env)
      : e(elaborator), name(name), given(given), range(range), env(env) {}
  Value run();

private:
  // ---- arguments: positional in order, or by name (Builtins.cpp)
  const ast::Expr *named(const char *argument) const;
  const ast::Expr *at(size_t index) const;
  size_t positional() const;
  const ast::Expr &need(size_t index, const char *what) const;
  Value value(size_t index, const char *what) { return e.eval(need(index, what), env); }
  Tensor tensor(size_t index, const char *what);
  bool flag(const char *what) const { return named(what) && e.evalBool(*named(what), env); }
  const ast::Expr *axisArgument() const { return named("axis") ? named("axis") : at(1); }
  std::vector<int64_t> axes(const Tensor &x) const; ///< which `axis` means; all of them where it is absent or `all`
  std::vector<double> numbers() const;

  // ---- numbers, lists, modules (Builtins.cpp)
  Value elementwise();
  Value initializer();
  Value pow();
  Value toNumber();
  Value known(double number, bool whole);
  Value chain();
  Value sequence();
  Value base();
  Value len();
  Value isList();
  Value trained();
  Value scan();
  Value has();
  Value drawn();
  Value fail();

  // ---- tensors (TensorBuiltins.cpp)
  std::optional<Value> overSites() const;
  Value extremum();
  Value sum();
  Value size();
  Value argmax();
  Value einsum();
  Value rearrange();
  Value turn();
  Value origin();
  Value gradient();
  Value total();
  Value allSites();
  Value allRows();
  Value placed();
  Value inverse();
  Value grad() { return e.gradientOf(need(0, "parameter")); }
  Value siblings();
  Value join();
  Value transpose();
  Value oneHot();
  Value index();
  Value where();
  Value gather();
  std::vector<Tensor> parts();
  int64_t joinedAxis(const std::vector<Tensor> &parts) const;

  Elaborator &e;
  const std::string &name;
  const std::vector<ast::Argument> &given;
  Range range;
  const EnvPtr &env;
};

} // namespace peftc::import
