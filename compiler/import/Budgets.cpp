// Budgets: `budget params <= …` against what the attaches and `train` statements make trainable.
//
// Errs   E0501 budget exceeded, with what each attach takes; E0502 nothing is trained
#include "compiler/import/Elaborator.h"
#include <cmath>

namespace peftc::import {
using diag::Kind;
using mlir::nn::NNType;

namespace {
int64_t elements(mlir::nn::ParameterOp op) { return mlir::cast<NNType>(op.getType()).elements(); }

/// A share in percent, with that many significant digits.
std::string percent(double share, int digits) {
  char buffer[48];
  snprintf(buffer, sizeof buffer, "%.*g%%", digits, 100 * share);
  return buffer;
}
/// How often a rank is a dim of each `param` in a method's text.
void countDims(const ast::Block &body, const std::string &rank, std::map<std::string, int> &dims) {
  for (const ast::StmtPtr &stmt : body) {
    if (auto *on = stmt->as<ast::OnStmt>())
      countDims(on->body, rank, dims);
    auto *param = stmt->as<ast::ParamStmt>();
    if (!param)
      continue;
    for (const ast::ExprPtr &dim : param->type->dims)
      if (auto *name = dim->as<ast::NameExpr>(); name && name->name == rank)
        ++dims[param->name.text];
  }
}
/// The rank that an attach says as a number: `lora(r = 8)`.
const ast::NumberExpr *rankOf(const ast::AttachStmt &attach, const ast::MethodStmt &method, std::string &name) {
  auto *call = attach.method->as<ast::CallExpr>();
  for (size_t i = 0; call && i < method.params.size(); ++i) {
    const ast::Parameter &param = method.params[i];
    if (!param.type || param.type->name != "rank")
      continue;
    name = param.name.text;
    for (size_t at = 0; at < call->args.size(); ++at)
      if (call->args[at].name ? call->args[at].name->text == name : at == i)
        return call->args[at].value->as<ast::NumberExpr>();
  }
  return nullptr;
}
std::string sites(size_t count) { return std::to_string(count) + (count == 1 ? " site" : " sites"); }
} // namespace

Elaborator::Trainables Elaborator::countTrainables() const {
  Trainables counts;
  for (const auto &[name, parameter] : parameters_) {
    mlir::nn::ParameterOp op = parameter;
    if (op.getRole() == "base")
      counts.base += elements(op);
    if (op.getTrainable())
      counts.byAttach[op.getAttach()] += elements(op), counts.all += elements(op);
  }
  return counts;
}

/// A smaller rank of one attach that keeps the budget, and what would be trained then.
std::optional<std::pair<std::string, double>> Elaborator::smallerRank(const Trainables &counts, double most) const {
  for (const Attach &attach : attaches_) {
    std::string name;
    auto *number = rankOf(*attach.stmt, *attach.method.method, name);
    if (!number)
      continue;
    std::map<std::string, int> dims;
    countDims(attach.method.method->body, name, dims);
    for (auto rank = static_cast<int64_t>(number->value) - 1; rank >= 1; --rank) {
      double all = static_cast<double>(counts.all);
      for (const auto &[parameter, declared] : parameters_)
        if (mlir::nn::ParameterOp op = declared; op.getTrainable() && static_cast<int64_t>(op.getAttach()) == attach.index)
          if (auto it = dims.find(parameter.substr(parameter.rfind('.') + 1)); it != dims.end() && llvm::StringRef(parameter).ends_with(attach.name + "." + it->first))
            all -= static_cast<double>(elements(op)) * (1 - std::pow(static_cast<double>(rank) / number->value, it->second));
      if (all <= most)
        return std::pair(name + " = " + std::to_string(rank), all);
    }
  }
  return std::nullopt;
}

/// How many parameters an expression means, and whether it says a share of the base model's.
std::pair<double, bool> Elaborator::parametersFrom(const ast::Expr &expr, const EnvPtr &env, const char *what) {
  Value limit = eval(expr, env);
  if (!limit.isNumber())
    fail(Kind::E0354, expr.range, {what});
  auto *number = expr.as<ast::NumberExpr>();
  const bool share = limit.as<double>() && (!number || number->isPercent || limit.number() < 1);
  return {limit.number() * (share ? static_cast<double>(countTrainables().base) : 1), share};
}

void Elaborator::checkBudgets() {
  const Trainables counts = countTrainables();
  for (const ast::BudgetStmt *budget : spec_.budgets)
    checkBudget(*budget, counts);
  if (counts.all == 0)
    fail(Kind::E0502, spec_.model->range, {});
}

void Elaborator::checkBudget(const ast::BudgetStmt &budget, const Trainables &counts) {
  const auto [most, share] = parametersFrom(*budget.limit, fileEnv(budget.range.file), "a budget");
  const double base = static_cast<double>(counts.base);
  if (static_cast<double>(counts.all) <= most)
    return;
  int digits = 3; // as many as tell the two apart
  auto spell = [&](double count) { return share ? percent(count / base, digits) : std::to_string(static_cast<int64_t>(count)); };
  while (digits < 15 && spell(static_cast<double>(counts.all)) == spell(most))
    ++digits;
  auto report = diags_.report(Kind::E0501, budget.range, {spell(static_cast<double>(counts.all)) + (share ? " of the base model" : ""), spell(most)});
  auto taken = [&](int64_t index) {
    auto it = counts.byAttach.find(index);
    return static_cast<double>(it == counts.byAttach.end() ? 0 : it->second);
  };
  digits = 3;
  for (const Attach &attach : attaches_)
    report.label(attach.stmt->method->range, spell(taken(attach.index)) + " from here, at " + sites(attach.sites.size()));
  for (const auto &[stmt, matches] : trained_)
    if (auto *train = stmt->as<ast::TrainStmt>(); taken(-1) > 0 && !train->freeze)
      report.label(train->range, trained_.size() == 1 ? spell(taken(-1)) + " from here" : "part of the " + spell(taken(-1)) + " of the model itself");
  if (auto smaller = smallerRank(counts, most))
    report.help("`" + smaller->first + "` would use " + spell(smaller->second));
  throw Failed{};
}

} // namespace peftc::import
