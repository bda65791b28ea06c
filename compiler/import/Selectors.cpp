// Selectors: which nodes (or weights) of the tree a path names.
//
// Errs   E0401 a selector matches nothing: the component that failed, what is there instead, what would match
#include "compiler/import/Elaborator.h"
#include "lang/diag/Suggest.h"
#include <algorithm>

namespace peftc::import {
using diag::Kind;
using Part = ast::SelectorPart;
using Path = std::vector<const Part *>;

static Path pathOf(const std::vector<Part> &parts) {
  Path path;
  for (const Part &part : parts)
    path.push_back(&part);
  return path;
}

/// Component by component, `*` stands for one; a pattern without dots at its front matches any suffix (HF PEFT's rule).
static bool matchesName(const std::string &name, const std::string &pattern) {
  auto split = [](const std::string &text) {
    std::vector<std::string> out(1);
    for (char c : text)
      if (c == '.')
        out.emplace_back();
      else
        out.back() += c;
    return out;
  };
  auto parts = split(name), wanted = split(pattern);
  if (wanted.size() > parts.size())
    return false;
  for (size_t i = 0; i < wanted.size(); ++i)
    if (wanted[i] != "*" && wanted[i] != parts[parts.size() - wanted.size() + i])
      return false;
  return true;
}

/// The nodes (and, at a path's end, weights) that one component leads to from `node`.
void Elaborator::matchPart(const Part &part, ModuleNode &node, const EnvPtr &env, bool weights, std::vector<Match> &out) {
  auto enter = [&](const ModuleRef &ref) {
    int64_t count = static_cast<int64_t>(ref.nodes.size()), start = 0, stop = count, step = 1;
    auto bound = [&](const ast::ExprPtr &expr, int64_t fallback) {
      int64_t value = expr ? evalInt(*expr, env, "an index") : fallback;
      return value < 0 ? value + count : value;
    };
    if (part.indexed && part.index) {
      stop = 1 + (start = bound(part.index, 0));
    } else if (part.indexed) {
      start = std::max<int64_t>(bound(part.start, 0), 0);
      stop = std::min(bound(part.stop, count), count);
      if (step = part.step ? evalInt(*part.step, env, "a step") : 1; step < 1)
        fail(Kind::E0350, part.step->range, {"a selector's step is at least 1, this is " + std::to_string(step)});
    }
    for (int64_t i = start; i < stop; i += step)
      if (i >= 0 && i < count)
        out.push_back({ref.nodes[i], ""});
  };
  std::function<void(ModuleNode &)> below = [&](ModuleNode &from) {
    out.push_back({&from, ""});
    for (auto &child : from.children)
      below(*child);
  };
  switch (part.kind) {
  case Part::Kind::Name:
    if (auto it = node.named.find(part.name); it != node.named.end())
      enter(it->second);
    else if (weights && node.weights.count(part.name))
      out.push_back({&node, part.name});
    else if (auto added = node.attached.find(part.name); added != node.attached.end())
      out.push_back({added->second.get(), ""});
    else if (!node.parent && (part.name == "model" || (spec_.model && part.name == spec_.model->name.text)))
      out.push_back({&node, ""});
    break;
  case Part::Kind::Star:
    for (auto &child : node.children)
      out.push_back({child.get(), ""});
    if (weights)
      for (const std::string &weight : node.weightOrder)
        out.push_back({&node, weight});
    break;
  case Part::Kind::DoubleStar: below(node); break;
  case Part::Kind::Alternatives:
    for (const auto &alternative : part.alternatives)
      if (std::vector<Match> reached; matchPath(pathOf(alternative), node, env, weights, reached) == alternative.size())
        out.insert(out.end(), reached.begin(), reached.end());
    break;
  case Part::Kind::Checkpoint: {
    std::vector<Match> all;
    std::swap(all, out);
    below(node);
    std::swap(all, out);
    for (const Match &match : all)
      if (match.node->hasCheckpoint && !match.node->checkpoint.empty() && matchesName(match.node->checkpoint, part.name) &&
          !(match.node->parent && match.node->parent->checkpoint == match.node->checkpoint))
        out.push_back(match);
    break;
  }
  }
}

/// Follows a path from `node`; returns how many components led somewhere (all of them when it matches).
size_t Elaborator::matchPath(const Path &path, ModuleNode &node, const EnvPtr &env, bool weights, std::vector<Match> &out) {
  std::vector<Match> reached = {{&node, ""}};
  for (size_t at = 0; at < path.size(); ++at) {
    std::vector<Match> next;
    for (const Match &match : reached)
      if (match.weight.empty())
        matchPart(*path[at], *match.node, env, weights && at + 1 == path.size(), next);
    if (next.empty()) {
      out.insert(out.end(), reached.begin(), reached.end()); // how far it came, for the message
      return at;
    }
    reached = std::move(next);
  }
  out.insert(out.end(), reached.begin(), reached.end());
  return path.size();
}

/// `layer` with its `index` and `count`.
static Value indexOf(const ModuleNode &node, const std::string &kind) {
  auto record = std::make_shared<Record>();
  record->name = kind;
  record->fields["index"] = *node.index;
  record->fields["count"] = static_cast<int64_t>(node.parent->named.at(node.name).nodes.size());
  return Value(record);
}

/// Whether a condition holds at a site; what is drawn of all of them is not known yet.
bool Elaborator::holds(const ast::Expr &where, const EnvPtr &scope) {
  if (auto *both = where.as<ast::BinaryExpr>(); both && both->op == ast::BinaryOp::And)
    return holds(*both->lhs, scope) && holds(*both->rhs, scope);
  return drawOf(&where) || evalBool(where, scope);
}

void Elaborator::keepWhere(const ast::Expr &where, const EnvPtr &env, std::vector<Match> &matches) {
  std::vector<Match> kept;
  for (const Match &match : matches) {
    bool keep = false;
    std::vector<std::string> kinds = match.node->kindNames;
    if (kinds.empty())
      kinds.push_back("module");
    for (const std::string &kind : kinds) {
      auto scope = std::make_shared<Env>(env);
      scope->values["kind"] = kind;
      scope->values["name"] = match.node->name;
      scope->values["path"] = match.node->path;
      for (const ModuleNode *up = match.node; up; up = up->parent)
        if (up->index) {
          scope->values.insert({"index", *up->index});
          for (const std::string &enclosing : up->kindNames) // `layer.index`; alone it is the word
            scope->values.insert({enclosing, indexOf(*up, enclosing)});
        }
      for (const auto &[name, decl] : spec_.scopeOf(where.range).kinds)
        scope->values.insert({name, name});
      // A site that is in no list meets no condition on its index.
      struct NoIndex {};
      scope->outside = [](const std::string &name, Range) { return name == "index" ? throw NoIndex{} : std::optional<Value>(); };
      try {
        keep |= holds(where, scope);
      } catch (const NoIndex &) {
      }
    }
    if (keep)
      kept.push_back(match);
  }
  matches = std::move(kept);
}

std::vector<Elaborator::Match> Elaborator::resolve(const ast::Selector &selector, ModuleNode &from, const EnvPtr &env, bool weights, bool mayDraw) {
  std::vector<Match> matches, excluded, unique;
  if (const ast::CallExpr *draw = drawOf(selector.where.get()); draw && !mayDraw)
    fail(Kind::E0350, draw->range, {"only an `attach` or a `train` of the program draws its sites"});
  for (const auto &parts : selector.paths) {
    const Path path = pathOf(parts);
    std::vector<Match> reached;
    if (matchPath(path, from, env, weights, reached) < path.size())
      reportNoMatch(path, from, env, weights);
    requireAlternatives(path, from, env, weights);
    matches.insert(matches.end(), reached.begin(), reached.end());
  }
  for (const auto &path : selector.except)
    if (std::vector<Match> reached; matchPath(pathOf(path), from, env, weights, reached) == path.size())
      excluded.insert(excluded.end(), reached.begin(), reached.end());
  if (selector.where)
    keepWhere(*selector.where, env, matches);
  auto same = [](const Match &a, const Match &b) { return a.node == b.node && a.weight == b.weight; };
  auto under = [](const ModuleNode *node, const ModuleNode *top) {
    for (; node; node = node->parent)
      if (node == top)
        return true;
    return false;
  };
  for (const Match &match : matches) {
    bool drop = llvm::any_of(unique, [&](const Match &m) { return same(m, match); }) ||
                llvm::any_of(excluded, [&](const Match &m) { return m.weight.empty() ? under(match.node, m.node) : same(m, match); });
    if (!drop)
      unique.push_back(match);
  }
  if (unique.empty())
    fail(Kind::E0401, selector.range, {info_.arch}, "nothing is left of this");
  return unique;
}

static std::string spell(const Path &path);
static std::string spell(const Part &part) {
  switch (part.kind) {
  case Part::Kind::Star: return "*";
  case Part::Kind::DoubleStar: return "**";
  case Part::Kind::Checkpoint: return "\"" + part.name + "\"";
  case Part::Kind::Alternatives: {
    std::string list;
    for (const std::vector<Part> &alternative : part.alternatives)
      list += (list.empty() ? "" : ", ") + spell(pathOf(alternative));
    return "{" + list + "}";
  }
  default: return part.indexed ? part.name + "[*]" : part.name;
  }
}
static std::string spell(const Path &path) {
  std::string text;
  for (const Part *part : path)
    text += (text.empty() ? "" : ".") + spell(*part);
  return text;
}

/// `path` with its component `place` replaced.
static Path replaced(const Path &path, size_t place, const Path &by) {
  Path made(path.begin(), path.begin() + place);
  made.insert(made.end(), by.begin(), by.end());
  made.insert(made.end(), path.begin() + place + 1, path.end());
  return made;
}

/// Each word within braces leads somewhere from one place at least: `{q, vv}` is a slip even if `q` matches.
void Elaborator::requireAlternatives(const Path &path, ModuleNode &from, const EnvPtr &env, bool weights) {
  for (size_t place = 0; place < path.size(); ++place)
    for (const std::vector<Part> &alternative : path[place]->alternatives) {
      std::vector<Match> reached;
      const Path whole = replaced(path, place, pathOf(alternative));
      if (matchPath(whole, from, env, weights, reached) < place + alternative.size())
        reportNoMatch(whole, from, env, weights);
    }
}

/// What a component could have been called: children, and at the path's end weights, of where the path had come to.
static std::vector<std::string> namesBelow(const std::vector<ModuleNode *> &nodes, bool weights) {
  std::vector<std::string> names;
  auto add = [&](const std::string &name) {
    if (std::find(names.begin(), names.end(), name) == names.end())
      names.push_back(name);
  };
  for (const ModuleNode *node : nodes) {
    for (const auto &child : node->children)
      add(child->name);
    if (weights)
      for (const std::string &weight : node->weightOrder)
        add(weight);
  }
  return names;
}

void Elaborator::reportNoMatch(const Path &path, ModuleNode &from, const EnvPtr &env, bool weights) {
  std::vector<Match> reached;
  size_t depth = matchPath(path, from, env, weights, reached);
  if (depth == path.size()) // it is an alternative of a part whose whole matches nothing
    fail(Kind::E0401, path.back()->range, {info_.arch}, "nothing is left of this");
  const Part &part = *path[depth];
  const std::string prefix = spell(Path(path.begin(), path.begin() + depth));
  std::vector<ModuleNode *> nodes;
  for (const Match &match : reached)
    nodes.push_back(match.node);
  const std::vector<std::string> there = namesBelow(nodes, depth + 1 == path.size());

  auto report = diags_.report(Kind::E0401, part.range, {info_.arch});
  size_t entries = 0; // of a list that was asked for others
  for (ModuleNode *node : nodes)
    if (auto list = node->named.find(part.name); part.kind == Part::Kind::Name && list != node->named.end())
      entries = std::max(entries, list->second.nodes.size());
  report.here(entries          ? "`" + part.name + "` has " + std::to_string(entries) + (entries == 1 ? " entry" : " entries") + ", from 0"
              : prefix.empty() ? "no module of this name"
                               : "no child of this name under `" + prefix + "`");
  std::string list;
  for (const std::string &name : there)
    list += (list.empty() ? "" : ", ") + name;
  report.note("`" + (prefix.empty() ? info_.arch : prefix) + "` has " + (list.empty() ? "no children" : list));

  // First what would make the whole path match, however it is spelled if there is but one; else what is spelled alike.
  std::map<std::string, size_t> counts;
  std::vector<std::string> matching;
  Part renamed; // with all of a list's indices, whichever were asked for
  renamed.indexed = part.indexed;
  auto with = [&](const std::string &name) {
    renamed.name = name;
    return replaced(path, depth, {&renamed});
  };
  for (const std::string &name : there)
    if (std::vector<Match> found; matchPath(with(name), from, env, weights, found) == path.size()) {
      matching.push_back(name);
      counts[name] = found.size();
    }
  std::optional<std::string> better = diag::suggest(part.name, matching);
  if (!better && matching.size() == 1 && depth + 1 < path.size())
    better = matching.front();
  if (!better)
    better = diag::suggest(part.name, there);
  if (better) {
    const std::string whole = "`" + spell(with(*better)) + "`";
    if (counts.count(*better))
      report.help(whole + " matches " + std::to_string(counts[*better]) + (counts[*better] == 1 ? " site" : " sites"));
    else
      report.help("there is `" + (prefix.empty() ? "" : prefix + ".") + *better + "`");
    if (part.kind == Part::Kind::Name && !part.indexed)
      report.fixit(part.range, *better);
  }
  throw Failed{};
}

} // namespace peftc::import
