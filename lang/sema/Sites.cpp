// Sites: see the header.
#include "lang/sema/Sites.h"
#include "lang/diag/Suggest.h"
#include "lang/sema/NameScope.h"
#include "lang/sema/SiteTree.h"
#include <algorithm>
#include <optional>

namespace peftc::sema {
namespace {
using namespace ast;
using diag::Kind;
using Parts = std::vector<SelectorPart>;
using Places = std::vector<const Place *>;

std::string listed(const std::vector<std::string> &names, const char *between = ", ") {
  std::string list;
  for (const std::string &name : names)
    list += (list.empty() ? "" : between) + name;
  return list;
}

std::vector<std::string> sitesOf(const MethodStmt &method) {
  std::vector<std::string> sites;
  if (method.site)
    sites.push_back(method.site->text);
  for (const StmtPtr &stmt : method.body)
    if (auto *on = stmt->as<OnStmt>())
      sites.push_back(on->site.text);
  return sites;
}
bool fits(const Place &place, const std::vector<std::string> &sites) {
  return std::any_of(place.kinds.begin(), place.kinds.end(), [&](auto &kind) { return std::count(sites.begin(), sites.end(), kind) > 0; });
}

class Paths {
public:
  Paths(const Spec &spec, const Place &root, diag::Engine &diags) : spec(spec), root(root), diags(diags) {}

  struct Reached {
    Places places;
    bool weight = false;  ///< a weight of these
    bool known = true;    ///< false: the text does not decide
    bool nowhere = false; ///< reported
  };

  Reached follow(const Parts &parts, bool weights) { return follow(parts, {&root}, weights, parts.empty() ? Range{} : parts[0].range); }
  const Place &tree() const { return root; }

private:
  Reached follow(const Parts &parts, Places from, bool weights, Range first) {
    Reached reached{std::move(from), false, true, false};
    for (size_t i = 0; i < parts.size(); ++i) {
      const bool last = i + 1 == parts.size();
      Reached next = step(parts[i], reached.places, weights && last, first);
      if (!next.known || next.nowhere)
        return next;
      if (next.places.empty()) {
        report(parts[i], reached.places, weights && last, first);
        next.nowhere = true;
        return next;
      }
      reached = std::move(next);
    }
    return reached;
  }

  static std::optional<double> whole(const ExprPtr &expr) {
    auto *number = expr ? expr->as<NumberExpr>() : nullptr;
    return number && number->isInteger ? std::optional(number->value) : std::nullopt;
  }

  /// `[3..3]` has nothing in it, however long the list is.
  bool isEmptyRange(const SelectorPart &part) {
    const auto begin = whole(part.start), end = whole(part.stop);
    if (!begin || !end || *end > *begin)
      return false;
    diags.report(Kind::E0401, part.range, {root.name}).here("from " + std::string(diags.sources().text(part.start->range)) + " up to, not including, " + std::string(diags.sources().text(part.stop->range)));
    return true;
  }

  Reached step(const SelectorPart &part, const Places &from, bool weights, Range first) {
    using K = SelectorPart::Kind;
    Reached out;
    if (isEmptyRange(part)) {
      out.nowhere = true;
      return out;
    }
    for (const Place *place : from) {
      if (part.kind == K::Name)
        byName(part, *place, weights, out);
      else if (part.kind == K::Star)
        for (const auto &child : place->children)
          out.places.push_back(child.get());
      else if (part.kind == K::DoubleStar)
        below(*place, out.places);
      if (place->open || (part.kind == K::Star && weights))
        out.known = false;
    }
    if (part.kind == K::Checkpoint)
      out.known = false; // names of tensors
    if (part.kind == K::Alternatives)
      for (const Parts &alternative : part.alternatives) {
        Reached one = follow(alternative, from, weights, first);
        out.known = out.known && one.known;
        out.nowhere = out.nowhere || one.nowhere;
        out.weight = out.weight || one.weight;
        out.places.insert(out.places.end(), one.places.begin(), one.places.end());
      }
    return out;
  }

  void byName(const SelectorPart &part, const Place &place, bool weights, Reached &out) {
    bool found = false;
    for (const auto &child : place.children)
      if (child->name == part.name) {
        out.places.push_back(child.get());
        found = true;
      }
    if (found)
      return;
    if (weights && std::count(place.weights.begin(), place.weights.end(), part.name)) {
      out.places.push_back(&place);
      out.weight = true;
    } else if (&place == &root && (part.name == "model" || part.name == spec.model->name.text)) {
      out.places.push_back(&place);
    }
  }

  static void below(const Place &place, Places &out) {
    out.push_back(&place);
    for (const auto &child : place.children)
      below(*child, out);
  }

  void report(const SelectorPart &part, const Places &reached, bool weights, Range first) {
    std::vector<std::string> there;
    auto add = [&](const std::string &name) {
      if (std::find(there.begin(), there.end(), name) == there.end())
        there.push_back(name);
    };
    bool point = false;
    for (const Place *place : reached) {
      for (const auto &child : place->children)
        add(child->name);
      for (const std::string &weight : place->weights)
        if (weights)
          add(weight);
      point = point || place->points.count(part.name);
    }
    // As it is written up to here: within braces, up to them.
    std::string prefix(diags.sources().text({part.range.file, first.begin, part.range.begin}));
    prefix = prefix.substr(0, prefix.find('{'));
    while (!prefix.empty() && (prefix.back() == '.' || prefix.back() == ' '))
      prefix.pop_back();
    auto report = diags.report(Kind::E0401, part.range, {root.name});
    report.here(point && weights ? "a value, not a weight" : prefix.empty() ? "no module of this name" : "no child of this name under `" + prefix + "`");
    report.note("`" + (prefix.empty() ? root.name : prefix) + "` has " + (there.empty() ? "no children" : listed(there)));
    if (auto better = diag::suggest(part.name, there)) {
      report.help("there is `" + (prefix.empty() ? "" : prefix + ".") + *better + "`");
      if (part.kind == SelectorPart::Kind::Name && !part.indexed)
        report.fixit(part.range, *better);
    }
  }

  const Spec &spec;
  const Place &root;
  diag::Engine &diags;
};

/// Whether a condition holds of a site of this kind; nothing where that hangs on more than the kind.
std::optional<bool> holds(const Expr &where, const std::string &kind) {
  if (auto *unary = where.as<UnaryExpr>(); unary && unary->op == UnaryOp::Not) {
    auto inner = holds(*unary->operand, kind);
    return inner ? std::optional(!*inner) : std::nullopt;
  }
  auto *binary = where.as<BinaryExpr>();
  if (!binary)
    return std::nullopt;
  if (binary->op == BinaryOp::And || binary->op == BinaryOp::Or) {
    const bool decides = binary->op == BinaryOp::Or;
    auto a = holds(*binary->lhs, kind), b = holds(*binary->rhs, kind);
    if ((a && *a == decides) || (b && *b == decides))
      return decides;
    return a && b ? std::optional(!decides) : std::nullopt;
  }
  auto *left = binary->lhs->as<NameExpr>(), *right = binary->rhs->as<NameExpr>();
  if (!left || !right || left->name != "kind" || (binary->op != BinaryOp::Eq && binary->op != BinaryOp::Ne))
    return std::nullopt;
  return (right->name == kind) == (binary->op == BinaryOp::Eq);
}

/// `where kind == …` leaves nothing of what the paths reach.
void leavesSomething(const Selector &selector, Paths &paths, diag::Engine &diags) {
  if (!selector.where)
    return;
  for (const Parts &parts : selector.paths) {
    auto reached = paths.follow(parts, false);
    if (!reached.known || reached.nowhere)
      return;
    for (const Place *place : reached.places) {
      std::vector<std::string> kinds = place->kinds.empty() ? std::vector<std::string>{"module"} : place->kinds;
      if (place->open || std::any_of(kinds.begin(), kinds.end(), [&](const std::string &kind) { return holds(*selector.where, kind).value_or(true); }))
        return;
    }
  }
  diags.report(Kind::E0401, selector.range, {paths.tree().name}).here("nothing is left of this").label(selector.where->range, "no site that the paths reach is so");
}

void attach(const AttachStmt &stmt, const Spec &spec, Paths &paths, diag::Engine &diags) {
  auto *call = stmt.method->as<CallExpr>();
  auto *name = (call ? *call->callee : *stmt.method).as<NameExpr>();
  const auto &methods = spec.scopeOf(stmt.range).methods;
  auto method = name ? methods.find(name->name) : methods.end();
  if (!diags.hasErrors())
    leavesSomething(stmt.selector, paths, diags);
  const bool filtered = stmt.selector.where || !stmt.selector.except.empty();
  for (const Parts &parts : stmt.selector.paths) {
    auto reached = paths.follow(parts, false);
    if (!reached.known || reached.nowhere || filtered || method == methods.end())
      continue;
    const std::vector<std::string> sites = sitesOf(*method->second);
    auto wrong = std::find_if(reached.places.begin(), reached.places.end(), [&](const Place *place) { return place->sure && !fits(*place, sites); });
    if (wrong == reached.places.end() || sites.empty())
      continue;
    const Range range{parts.front().range.file, parts.front().range.begin, parts.back().range.end};
    std::string path(diags.sources().text(range)), has = listed((*wrong)->kinds, " and ");
    auto report = diags.report(Kind::E0402, range, {name->name, listed(sites, " or "), path, has.empty() ? "no kind" : has});
    std::vector<std::string> inner;
    for (const auto &child : (*wrong)->children)
      if (fits(*child, sites))
        inner.push_back(child->name);
    if (!inner.empty())
      report.help("below it " + listed(inner) + " would do");
  }
}

/// What the parameters of an attach are called by.
std::string nameOf(const AttachStmt &stmt) {
  auto *call = stmt.method->as<CallExpr>();
  auto *name = (call ? call->callee.get() : stmt.method.get())->as<NameExpr>();
  return stmt.alias ? stmt.alias->text : name ? name->name : "";
}

/// Whether a method attaches something by that name.
bool attaches(const Block &body, const std::string &name) {
  return std::any_of(body.begin(), body.end(), [&](const StmtPtr &stmt) {
    if (auto *attach = stmt->as<AttachStmt>())
      return nameOf(*attach) == name;
    if (auto *choice = stmt->as<IfStmt>())
      return attaches(choice->thenBody, name) || attaches(choice->elseBody, name);
    auto *on = stmt->as<OnStmt>();
    return on && attaches(on->body, name);
  });
}

/// Whether a method declares a parameter of that name.
bool declares(const Block &body, const std::string &name) {
  return std::any_of(body.begin(), body.end(), [&](const StmtPtr &stmt) {
    if (auto *param = stmt->as<ParamStmt>())
      return param->name.text == name;
    if (auto *choice = stmt->as<IfStmt>())
      return declares(choice->thenBody, name) || declares(choice->elseBody, name);
    auto *on = stmt->as<OnStmt>();
    return on && declares(on->body, name);
  });
}

/// `train y` in a method: weights and modules of its site are trained, nothing else.
void trainInMethod(const TrainStmt &stmt, const MethodStmt &method, const std::string &kind, const Network &network, diag::Engine &diags) {
  for (const Parts &parts : stmt.selector.paths) {
    const SelectorPart &part = parts.front();
    if (part.kind != SelectorPart::Kind::Name || network.children.count(part.name) || network.weights.count(part.name) ||
        (parts.size() == 1 && part.name == "model") || attaches(method.body, part.name))
      continue;
    const bool own = declares(method.body, part.name);
    if (own && stmt.freeze && parts.size() == 1)
      continue;
    auto report = diags.report(Kind::E0403, part.range, {kind, part.name});
    report.here(own ? "a parameter of the method, which is trained anyway" : "no weight of any module");
    if (auto better = diag::suggest(part.name, {network.weights.begin(), network.weights.end()}))
      report.help("there is `" + *better + "`").fixit(part.range, *better);
  }
}

/// A path through what an attach adds: which that is, the compiler sees.
bool throughAttach(const Parts &parts, const Spec &spec) {
  return std::any_of(parts.begin(), parts.end(), [&](const SelectorPart &part) {
    return part.kind == SelectorPart::Kind::Name && std::any_of(spec.attachments.begin(), spec.attachments.end(), [&](const Stmt *stmt) {
             auto *attach = stmt->as<AttachStmt>();
             return attach && nameOf(*attach) == part.name;
           });
  });
}

void trains(const Block &body, const MethodStmt &method, const std::string &kind, const Network &network, diag::Engine &diags) {
  for (const StmtPtr &stmt : body)
    if (auto *train = stmt->as<TrainStmt>()) {
      trainInMethod(*train, method, kind, network, diags);
    } else if (auto *choice = stmt->as<IfStmt>()) {
      trains(choice->thenBody, method, kind, network, diags);
      trains(choice->elseBody, method, kind, network, diags);
    } else if (auto *on = stmt->as<OnStmt>()) {
      trains(on->body, method, on->site.text, network, diags);
    }
}
} // namespace

void checkSites(const Spec &spec, diag::Engine &diags) {
  const Network network(spec);
  for (const FilePtr &file : spec.files)
    for (const StmtPtr &stmt : file->statements)
      if (auto *method = stmt->as<MethodStmt>())
        trains(method->body, *method, method->site ? method->site->text : method->name.text, network, diags);
  auto root = siteTree(spec);
  if (!root)
    return;
  Paths paths(spec, *root, diags);
  for (const Stmt *stmt : spec.attachments)
    if (auto *train = stmt->as<TrainStmt>())
      for (const Parts &parts : train->selector.paths)
        paths.follow(parts, true);
    else
      attach(*stmt->as<AttachStmt>(), spec, paths, diags);
  if (spec.optimize)
    for (const OptimizerGroup &group : spec.optimize->groups)
      for (const Parts &parts : group.selector.paths)
        if (!throughAttach(parts, spec))
          paths.follow(parts, true);
}

} // namespace peftc::sema
