// Budgets: `budget params <= …` against what the attaches and `train` statements make trainable.
//
// Errs   E0501 budget exceeded, with what each attach takes; E0502 nothing is trained
#include "compiler/import/Elaborator.h"

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

void Elaborator::checkBudgets() {
  const Trainables counts = countTrainables();
  for (const ast::BudgetStmt *budget : spec_.budgets)
    checkBudget(*budget, counts);
  if (counts.all == 0)
    fail(Kind::E0502, spec_.model->range, {});
}

void Elaborator::checkBudget(const ast::BudgetStmt &budget, const Trainables &counts) {
  Value limit = eval(*budget.limit, fileEnv(budget.range.file));
  if (!limit.isNumber())
    fail(Kind::E0354, budget.limit->range, {"a budget"});
  // A share of the base model, or a number of parameters.
  auto *number = budget.limit->as<ast::NumberExpr>();
  const bool share = limit.as<double>() && (!number || number->isPercent || limit.number() < 1);
  const double base = static_cast<double>(counts.base), most = share ? limit.number() * base : limit.number();
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
  throw Failed{};
}

} // namespace peftc::import
