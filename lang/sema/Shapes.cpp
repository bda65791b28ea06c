// Shapes: see the header. A method that compares dims itself (`require in == out`) is taken at its word.
#include "lang/sema/Shapes.h"
#include "lang/sema/ShapeOf.h"

namespace peftc::sema {
namespace {
using namespace ast;
using ShapeKind = Shape::Kind;

class Body {
public:
  explicit Body(ShapeOf &shapes) : shapes(shapes) {}

  void walk(const Block &body, ShapeEnv &env) {
    for (const StmtPtr &stmt : body)
      statement(*stmt, env);
  }

private:
  void statement(const Stmt &stmt, ShapeEnv &env) {
    if (auto *let = stmt.as<LetStmt>()) {
      Shape value = shapes.of(*let->value, env);
      for (const Ident &name : let->names)
        env[name.text] = let->tuple ? Shape() : value;
    } else if (auto *param = stmt.as<ParamStmt>()) {
      declare(param->name.text, *param->type, param->init.get(), env);
    } else if (auto *input = stmt.as<InputStmt>()) {
      declare(input->name.text, *input->type, nullptr, env);
    } else if (auto *weight = stmt.as<WeightStmt>()) {
      declare(weight->name.text, *weight->type, weight->init.get(), env);
    } else if (auto *bind = stmt.as<BindStmt>()) {
      env[bind->name.text] = shapes.of(*bind->value, env);
    } else if (auto *sample = stmt.as<SampleStmt>()) {
      env[sample->name.text] = Shape();
    } else if (auto *rewire = stmt.as<RewireStmt>()) {
      change(*rewire, env);
    } else if (auto *loss = stmt.as<LossStmt>()) {
      Shape value = shapes.of(*loss->value, env);
      if (value.isTensor() && value.rank() > 0)
        shapes.mismatch(loss->value->range, "a loss is one number, this is " + value.text());
    } else if (auto *event = stmt.as<OnGradStmt>()) {
      ShapeEnv inner = env;
      walk(event->body, inner);
    } else if (auto *gradient = stmt.as<GradStmt>()) {
      replace(*gradient, env);
    } else if (auto *choice = stmt.as<IfStmt>()) {
      branches(*choice, env);
    } else if (auto *loop = stmt.as<ForStmt>()) {
      ShapeEnv after = env;
      after[loop->variable.text] = Shape::scalar();
      walk(loop->body, after); // the first time around
      agree(env, after);
    }
  }

  void declare(const std::string &name, const TypeExpr &type, const Expr *init, ShapeEnv &env) {
    Shape shape = shapes.of(type, env);
    if (init)
      if (Shape start = shapes.of(*init, env); start.isTensor() && !startsAs(start, shape))
        shapes.mismatch(init->range, "`" + name + "` is " + shape.text() + ", its initial value is " + start.text());
    env[name] = shape;
  }

  /// An initial value is repeated along axes that it lacks.
  bool startsAs(const Shape &start, const Shape &shape) const {
    bool fits = start.rank() <= shape.rank();
    for (size_t i = 0; fits && i < start.rank(); ++i)
      fits = !shapes.differ(start.lengths[start.rank() - 1 - i], shape.lengths[shape.rank() - 1 - i]);
    return fits;
  }

  void change(const RewireStmt &stmt, ShapeEnv &env) {
    Shape value = shapes.of(*stmt.value, env);
    auto *target = stmt.target->as<NameExpr>();
    if (!target || stmt.add || !env.count(target->name))
      return;
    const Shape &point = env[target->name];
    if (!point.isTensor() || !value.isValue())
      return;
    bool fits = value.wide ? point.rank() >= value.rank() : point.rank() == value.rank();
    for (size_t i = 1; fits && i <= value.rank(); ++i)
      fits = !shapes.differ(point.lengths[point.rank() - i], value.lengths[value.rank() - i]);
    if (!fits)
      shapes.mismatch(stmt.value->range, "`" + target->name + "` is " + point.text() + ", this is " + value.text());
  }

  /// A gradient has its parameter's shape.
  void replace(const GradStmt &stmt, const ShapeEnv &env) {
    const Shape parameter = shapes.of(*stmt.parameter, env), value = shapes.of(*stmt.value, env);
    if (!parameter.isTensor() || !value.isValue() || value.wide)
      return;
    bool fits = parameter.rank() == value.rank();
    for (size_t i = 0; fits && i < value.rank(); ++i)
      fits = !shapes.differ(parameter.lengths[i], value.lengths[i]);
    if (!fits)
      shapes.mismatch(stmt.value->range, "the gradient is " + parameter.text() + ", this is " + value.text());
  }

  void branches(const IfStmt &choice, ShapeEnv &env) {
    Shape condition = shapes.condition(*choice.condition, env);
    if (condition.kind == ShapeKind::Bool)
      return walk(condition.flag ? choice.thenBody : choice.elseBody, env);
    ShapeOf::Muted muted(shapes, ShapeOf::compares(*choice.condition));
    ShapeEnv yes = env, no = env;
    walk(choice.thenBody, yes);
    walk(choice.elseBody, no);
    env = yes;
    agree(env, no);
  }

  /// What only one of both has is open.
  static void agree(ShapeEnv &env, const ShapeEnv &other) {
    for (auto &[name, shape] : env) {
      auto it = other.find(name);
      shape = it == other.end() ? Shape() : meet(shape, it->second);
    }
    for (const auto &[name, shape] : other)
      env.insert({name, Shape()});
  }

  ShapeOf &shapes;
};

/// An argument by its type: whole numbers are lengths by their names, functions are what the caller says.
Shape argument(const Parameter &param) {
  if (!param.type)
    return {};
  if (param.type->isTensor)
    return {};
  const std::string &type = param.type->name;
  bool whole = type == "int" || type == "rank" || type == "dim";
  auto *one = param.defaultValue ? param.defaultValue->as<NumberExpr>() : nullptr;
  if (whole)
    return Shape::scalar(one && one->value == 1 ? Length::open(param.name.text) : Length::called(param.name.text, true));
  if (type != "real" && type != "prob")
    return {};
  Shape shape = Shape::scalar(); // unless it is given a tensor: a gate, say
  shape.wide = type == "real";
  return shape;
}

bool comparesDims(const Block &body) {
  for (const StmtPtr &stmt : body)
    if (auto *require = stmt->as<RequireStmt>(); require && ShapeOf::compares(*require->condition))
      return true;
  return false;
}

void checkClause(const std::vector<Parameter> &params, const KindDeclStmt *kind, const Block &body, ShapeOf &shapes) {
  if (comparesDims(body))
    return;
  ShapeEnv env;
  if (kind)
    for (const Ident &dim : kind->dims)
      env[dim.text] = Shape::scalar(Length::called(dim.text));
  if (kind) {
    const ShapeEnv dims = env;
    for (const KindPoint &point : kind->points)
      env[point.name.text] = point.type ? shapes.of(*point.type, dims) : Shape();
    for (const KindPoint &point : kind->points)
      env.insert({point.name.text + "0", env[point.name.text]}); // W0
  }
  for (const Parameter &param : params)
    env[param.name.text] = argument(param);
  Body(shapes).walk(body, env);
}
} // namespace

void checkShapes(const Spec &spec, diag::Engine &diags) {
  const Network network(spec);
  const Alike alike(spec);
  ShapeOf shapes(spec, network, alike, diags);
  for (const FilePtr &file : spec.files) {
    const Scope &scope = spec.scopes.at(file->source);
    auto clause = [&](const MethodStmt &method, const std::string &site, const Block &body) {
      if (auto it = scope.kinds.find(site); it != scope.kinds.end())
        checkClause(method.params, it->second, body, shapes);
    };
    for (const StmtPtr &stmt : file->statements)
      if (auto *method = stmt->as<MethodStmt>()) {
        if (method->site)
          clause(*method, method->site->text, method->body);
        for (const StmtPtr &inner : method->body)
          if (auto *on = inner->as<OnStmt>())
            clause(*method, on->site.text, on->body);
      } else if (auto *module = stmt->as<ModuleDeclStmt>()) {
        checkClause(module->params, nullptr, module->body, shapes);
      }
  }
}

} // namespace peftc::sema
