// Space: see the header. What is left open is found by a walk over the program's statements; each place gives it its name.
#include "lang/sema/Space.h"
#include "lang/diag/Suggest.h"
#include "lang/sema/Literals.h"
#include <algorithm>
#include <map>
#include <set>

namespace peftc::sema {
namespace {
using namespace ast;
using diag::Kind;

constexpr int64_t kMostElements = 1000; ///< of a subset: more layers than any network has
const std::vector<std::string> kStrategies = {"tpe", "random", "nsga2"};

const Declaration *declared(const Scope &scope, const std::string &name) {
  const auto in = [&](const auto &table) -> const Declaration * {
    auto it = table.find(name);
    return it == table.end() ? nullptr : it->second;
  };
  for (const Declaration *found : {in(scope.methods), in(scope.optimizers), in(scope.schedules), in(scope.fns)})
    if (found)
      return found;
  return nullptr;
}

const NameExpr *calleeOf(const Expr &value) {
  auto *call = value.as<CallExpr>();
  return (call ? *call->callee : value).as<NameExpr>();
}

std::string listed(const std::vector<std::string> &names) {
  std::string list;
  for (size_t i = 0; i < names.size(); ++i)
    list += (i == 0 ? "" : i + 1 == names.size() ? " or " : ", ") + names[i];
  return list;
}

class Walk {
public:
  Walk(const Spec &spec, diag::Engine &diags) : diags(diags), scope(spec.scopes.at(spec.main().source)) {
    for (const StmtPtr &stmt : spec.main().statements)
      statement(*stmt);
    if (space.objectives.empty())
      space.objectives.push_back({"loss", false});
  }
  Space space;

private:
  void statement(const Stmt &stmt) {
    within.clear();
    if (auto *let = stmt.as<LetStmt>())
      expr(*let->value, let->names[0].text, true);
    else if (auto *input = stmt.as<SpecInputStmt>(); input && input->parameter.defaultValue)
      expr(*input->parameter.defaultValue, input->parameter.name.text, true);
    else if (auto *attach = stmt.as<AttachStmt>())
      this->attach(*attach);
    else if (auto *optimize = stmt.as<OptimizeStmt>())
      this->optimize(*optimize);
    else if (auto *run = stmt.as<RunStmt>())
      fields("run", run->fields);
    else if (auto *task = stmt.as<TaskUseStmt>())
      this->task = calleeOf(*task->task);
    else if (auto *search = stmt.as<SearchStmt>())
      searches(*search);
  }

  void fields(const std::string &name, const std::vector<Field> &all) {
    for (const Field &field : all)
      expr(*field.value, name + "." + field.name.text, true);
  }
  void optimize(const OptimizeStmt &stmt) {
    call(*stmt.optimizer, "optimize");
    if (stmt.schedule)
      call(*stmt.schedule, "schedule");
    for (const OptimizerGroup &group : stmt.groups)
      fields("group", group.fields);
  }
  /// A call whose arguments are named after what is called.
  void call(const Expr &value, const std::string &otherwise) {
    auto *callee = calleeOf(value);
    expr(value, callee ? callee->name : otherwise, true);
  }

  // ---- attaches
  void attach(const AttachStmt &stmt) {
    auto *callee = calleeOf(*stmt.method);
    std::string name = stmt.alias ? stmt.alias->text : callee ? callee->name : "method";
    const int nth = ++attached[name];
    name += nth > 1 ? std::to_string(nth) : "";
    OpenAttach open{stmt.range, stmt.maybe, "", {}};
    if (stmt.maybe)
      within = open.name = add({OpenChoice::Kind::Maybe, name, {"yes", "no"}, "", *stmt.maybe, false});
    expr(*stmt.method, name, true);
    for (const auto &path : stmt.selector.paths)
      parts(path, name, open);
    for (const auto &path : stmt.selector.except)
      parts(path, name, open);
    if (stmt.selector.where)
      expr(*stmt.selector.where, name + ".where", true);
    if (open.maybe || !open.subsets.empty())
      space.attaches.push_back(std::move(open));
  }
  void parts(const std::vector<SelectorPart> &path, const std::string &name, OpenAttach &open) {
    for (const SelectorPart &part : path) {
      if (part.kind == SelectorPart::Kind::Subset)
        subset(part, name, open);
      else
        for (const Expr *bound : {part.index.get(), part.start.get(), part.stop.get(), part.step.get()})
          if (bound)
            expr(*bound, name + "." + part.name, true);
      for (const auto &alternative : part.alternatives)
        parts(alternative, name, open);
    }
  }
  void subset(const SelectorPart &part, const std::string &name, OpenAttach &open) {
    auto *first = part.start->as<NumberExpr>(), *last = part.stop->as<NumberExpr>();
    if (!first || !last || !first->isInteger || !last->isInteger || first->value >= last->value || last->value - first->value > kMostElements) {
      diags.report(Kind::E0353, Range{part.range.file, part.start->range.begin, part.stop->range.end}, {"choose subset", "of a range like 0..12", "this"});
      return;
    }
    OpenAttach::Subset found{part.range, part.name, static_cast<int64_t>(first->value), {}};
    if (part.indexed) // the range of a part ends with its index
      diags.report(Kind::E0101, part.range, {"index"}).here("which of the `" + part.name + "` is what is chosen");
    for (auto index = found.first; index < static_cast<int64_t>(last->value); ++index)
      found.elements.push_back(add({OpenChoice::Kind::Element, name + "." + part.name + "[" + std::to_string(index) + "]", {"yes", "no"}, within, part.range, false}));
    open.subsets.push_back(std::move(found));
  }

  // ---- values
  /// `name`: of what is found in it. `whole`: nothing binds what stands there to its neighbours.
  void expr(const Expr &value, const std::string &name, bool whole) {
    if (auto *choose = value.as<ChooseExpr>())
      return this->choose(*choose, name, whole);
    if (auto *call = value.as<CallExpr>())
      return arguments(*call, name);
    if (auto *list = value.as<ListExpr>()) {
      for (size_t i = 0; i < list->items.size(); ++i)
        expr(*list->items[i], name + "[" + std::to_string(i) + "]", true);
    } else if (auto *index = value.as<IndexExpr>()) {
      expr(*index->object, name, false);
      for (const Subscript &at : index->subscripts)
        for (const Expr *bound : {at.index.get(), at.start.get(), at.stop.get(), at.step.get()})
          if (bound)
            expr(*bound, name, false);
    } else {
      for (const Expr *operand : operands(value))
        expr(*operand, name, false);
    }
  }
  static std::vector<const Expr *> operands(const Expr &value) {
    if (auto *unary = value.as<UnaryExpr>())
      return {unary->operand.get()};
    if (auto *binary = value.as<BinaryExpr>())
      return {binary->lhs.get(), binary->rhs.get()};
    if (auto *branch = value.as<IfExpr>())
      return {branch->condition.get(), branch->thenValue.get(), branch->elseValue.get()};
    if (auto *member = value.as<MemberExpr>())
      return {member->object.get()};
    if (auto *lambda = value.as<LambdaExpr>())
      return {lambda->body.get()};
    if (auto *each = value.as<ComprehensionExpr>())
      return {each->over.get(), each->body.get()};
    if (auto *block = value.as<BlockExpr>())
      return {block->value.get()};
    return {};
  }
  void arguments(const CallExpr &call, const std::string &name) {
    auto *callee = call.callee->as<NameExpr>();
    const Declaration *what = callee ? declared(scope, callee->name) : nullptr;
    for (size_t i = 0; i < call.args.size(); ++i) {
      const Argument &argument = call.args[i];
      const std::string formal = argument.name ? argument.name->text : what && i < what->params.size() ? what->params[i].name.text : std::to_string(i);
      expr(*argument.value, name + "." + formal, true);
    }
    if (call.from)
      expr(*call.from, name + ".from", false);
  }
  void choose(const ChooseExpr &choose, const std::string &name, bool whole) {
    OpenChoice found{OpenChoice::Kind::Value, name, {}, within, choose.range, !whole};
    for (const ExprPtr &alternative : choose.alternatives) {
      std::string text = textOf(alternative->range);
      if (std::find(found.values.begin(), found.values.end(), text) != found.values.end())
        diags.report(Kind::E0206, alternative->range, {text});
      found.values.push_back(std::move(text));
    }
    add(std::move(found));
  }
  /// In one line, one space between words.
  std::string textOf(Range range) const {
    std::string out;
    for (char c : diags.sources().text(range)) {
      const bool space = c == ' ' || c == '\n' || c == '\t' || c == '\r';
      if (!space)
        out += c;
      else if (!out.empty() && out.back() != ' ')
        out += ' ';
    }
    return out;
  }
  /// Under a name of its own, which it returns.
  std::string add(OpenChoice choice) {
    const std::string base = choice.name;
    for (int nth = 2; !names.insert(choice.name).second; ++nth)
      choice.name = base + "#" + std::to_string(nth);
    space.choices.push_back(std::move(choice));
    return space.choices.back().name;
  }

  // ---- search
  void searches(const SearchStmt &stmt) {
    if (space.search)
      diags.report(Kind::E0206, stmt.range, {"search"}).label(*space.search, "first said here");
    space.search = stmt.range;
    for (const SearchStmt::Objective &objective : stmt.objectives)
      aim(objective);
    if (!stmt.strategy)
      return;
    auto *callee = calleeOf(*stmt.strategy);
    if (!callee || std::find(kStrategies.begin(), kStrategies.end(), callee->name) == kStrategies.end()) {
      diags.report(Kind::E0353, stmt.strategy->range, {"strategy", listed(kStrategies), "`" + textOf(callee ? callee->range : stmt.strategy->range) + "`"});
      return;
    }
    space.strategy.name = callee->name;
    if (auto *call = stmt.strategy->as<CallExpr>())
      for (const Argument &argument : call->args)
        setting(callee->name, argument);
  }
  void setting(const std::string &strategy, const Argument &argument) {
    const std::map<std::string, int64_t *> known = {{"trials", &space.strategy.trials}, {"seed", &space.strategy.seed}};
    const std::string name = argument.name ? argument.name->text : "trials";
    if (!known.count(name)) {
      diags.report(Kind::E0209, argument.name->range, {strategy, name}).note("`" + strategy + "` has trials, seed");
      return;
    }
    auto *number = argument.value->as<NumberExpr>();
    const int64_t least = name == "trials" ? 1 : 0;
    if (!number || !number->isInteger || number->value < static_cast<double>(least))
      diags.report(Kind::E0353, argument.value->range, {name, "a whole number, at least " + std::to_string(least), "`" + textOf(argument.value->range) + "`"});
    else
      *known.at(name) = static_cast<int64_t>(number->value);
  }
  void aim(const SearchStmt::Objective &objective) {
    std::vector<std::string> known = {"loss", "params"};
    if (task && scope.tasks.count(task->name))
      for (const StmtPtr &stmt : scope.tasks.at(task->name)->body)
        if (auto *metric = stmt->as<MetricStmt>())
          known.push_back(metric->name.text);
    const std::string &name = objective.name.text;
    for (const Objective &earlier : space.objectives)
      if (earlier.name == name)
        diags.report(Kind::E0206, objective.name.range, {name});
    if (std::find(known.begin(), known.end(), name) == known.end()) {
      auto report = diags.report(Kind::E0357, objective.name.range, {"search", name});
      if (auto better = diag::suggest(name, known))
        report.help("there is `" + *better + "`").fixit(objective.name.range, *better);
      else
        report.note("what can be looked for is " + listed(known));
    }
    space.objectives.push_back({name, objective.maximize});
  }

  diag::Engine &diags;
  const Scope &scope;
  const NameExpr *task = nullptr;
  std::string within;                  ///< the Maybe that the present statement depends on
  std::map<std::string, int> attached; ///< how many attaches of a name there were
  std::set<std::string> names;
};
} // namespace

Space spaceOf(const Spec &spec, diag::Engine &diags) { return Walk(spec, diags).space; }

} // namespace peftc::sema
