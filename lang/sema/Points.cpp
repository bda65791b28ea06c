// Points: see the header.
#include "lang/sema/Points.h"
#include "lang/sema/Reads.h"
#include <optional>

namespace peftc::sema {
namespace {
using namespace ast;
using diag::Kind;

/// What a change of one point may know of another: it is computed before, after, or from the first one.
enum class Turn { Before, After, From };

/// The bodies of modules by kind: name -> the names that it is computed from, however far, and when.
class Flow {
public:
  Flow(const Spec &spec, const Network &network) : network(network) {
    for (const FilePtr &file : spec.files)
      for (const StmtPtr &stmt : file->statements)
        if (auto *arch = stmt->as<ArchStmt>()) {
          add(arch->kinds, arch->body, nullptr);
          for (const FilePtr &other : spec.files)
            for (const StmtPtr &task : other->statements)
              if (auto *use = task->as<TaskStmt>())
                add(arch->kinds, arch->body, &use->body);
        } else if (auto *module = stmt->as<ModuleDeclStmt>()) {
          add(module->kinds, module->body, nullptr);
        }
  }
  /// When `point` is computed, seen from `target`: what is so wherever a module of the kind has both.
  Turn turn(const std::string &kind, const std::string &target, const std::string &point) const {
    std::optional<Turn> all;
    auto it = bodies.find(kind);
    if (it == bodies.end())
      return Turn::Before;
    for (const Sources &sources : it->second) {
      auto read = sources.find(point), changed = sources.find(target);
      if (read == sources.end() || changed == sources.end())
        continue;
      const bool follows = read->second.from.count(target) > 0;
      if (!follows && (read->second.order <= changed->second.order || changed->second.order == kUncertain))
        return Turn::Before;
      all = follows && all != Turn::After ? Turn::From : Turn::After;
    }
    return all.value_or(Turn::Before);
  }

private:
  static constexpr size_t kUncertain = 0;
  struct Source {
    size_t order = kUncertain;  ///< of the statement that computes it
    std::set<std::string> from; ///< names, however far
  };
  using Sources = std::map<std::string, Source>;

  void add(const std::vector<Ident> &kinds, const Block &body, const Block *task) {
    Sources sources;
    walk(body, sources);
    if (task)
      walk(*task, sources);
    for (const Ident &kind : kinds)
      bodies[kind.text].push_back(sources);
  }
  void walk(const Block &body, Sources &sources) {
    for (const StmtPtr &stmt : body)
      if (auto *bind = stmt->as<BindStmt>()) {
        set(sources, bind->name.text, from(*bind->value, sources));
      } else if (auto *let = stmt->as<LetStmt>()) {
        for (const Ident &name : let->names)
          set(sources, name.text, from(*let->value, sources));
      } else if (auto *input = stmt->as<InputStmt>()) {
        set(sources, input->name.text, {});
      } else if (auto *weight = stmt->as<WeightStmt>()) {
        set(sources, weight->name.text, {});
      } else if (auto *module = stmt->as<ModuleStmt>()) {
        if (!module->constructor)
          add(module->kinds, module->body, nullptr);
      } else if (auto *declared = stmt->as<ModuleDeclStmt>()) {
        add(declared->kinds, declared->body, nullptr);
      } else if (auto *choice = stmt->as<IfStmt>()) {
        branches(*choice, sources);
      }
  }
  void set(Sources &sources, const std::string &name, std::set<std::string> from) { sources[name] = {count++, std::move(from)}; }

  /// Only what both branches make of a name is certain; when it is computed is not.
  void branches(const IfStmt &choice, Sources &sources) {
    Sources yes = sources, no = sources;
    walk(choice.thenBody, yes);
    walk(choice.elseBody, no);
    for (const auto &[name, from] : yes) {
      auto other = no.find(name);
      std::set<std::string> &agreed = sources.insert({name, {}}).first->second.from;
      agreed = from.from;
      if (other != no.end())
        std::erase_if(agreed, [&](const std::string &source) { return !other->second.from.count(source); });
    }
    for (const auto &[name, from] : no)
      sources.insert({name, from});
  }
  std::set<std::string> from(const Expr &value, const Sources &sources) const {
    std::set<std::string> out;
    for (const auto &[name, range] : Reads(network.children).of(value))
      if (auto it = sources.find(name); it != sources.end()) {
        out.insert(name);
        out.insert(it->second.from.begin(), it->second.from.end());
      }
    return out;
  }

  const Network &network;
  std::map<std::string, std::vector<Sources>> bodies;
  size_t count = 1;
};

/// One clause of a method.
class Clause {
public:
  Clause(const KindDeclStmt &kind, const Network &network, const Flow &flow, diag::Engine &diags)
      : kind(kind), network(network), flow(flow), diags(diags) {}

  void walk(const Block &body, Reads &reads) {
    for (const StmtPtr &stmt : body)
      if (auto *let = stmt->as<LetStmt>()) {
        for (const Ident &name : let->names)
          reads.bind(name.text, *let->value);
      } else if (auto *param = stmt->as<ParamStmt>()) {
        reads.hide(param->name.text);
        params.insert(param->name.text);
      } else if (auto *sample = stmt->as<SampleStmt>()) {
        reads.hide(sample->name.text);
      } else if (auto *choice = stmt->as<IfStmt>()) {
        Reads yes = reads, no = reads;
        walk(choice->thenBody, yes);
        walk(choice->elseBody, no);
        reads = Reads::meet(yes, no);
      } else if (auto *loop = stmt->as<ForStmt>()) {
        reads.hide(loop->variable.text);
        walk(loop->body, reads);
      } else if (auto *rewire = stmt->as<RewireStmt>()) {
        change(*rewire, reads);
      }
  }

private:
  void change(const RewireStmt &stmt, const Reads &reads) {
    auto *target = stmt.target->as<NameExpr>();
    if (!target)
      return; // a point of a module below: which kind that is, the compiler sees
    const std::string &name = target->name;
    if (params.count(name)) {
      diags.report(Kind::E0199, target->range, {"<- on a parameter"});
      return;
    }
    std::vector<std::string> points;
    bool known = network.rootKinds.count(kind.name.text) && network.rootPoints.count(name);
    for (const KindPoint &point : kind.points) {
      points.push_back(point.name.text);
      known = known || point.name.text == name;
    }
    if (!known) {
      auto report = diags.report(Kind::E0357, target->range, {kind.name.text, name});
      std::string list;
      for (const std::string &point : points)
        list += (list.empty() ? "" : ", ") + point;
      report.here("only points of the site are changed").note("the points of `" + kind.name.text + "` are " + list);
      if (auto better = diag::suggest(name, points))
        report.help("there is `" + *better + "`").fixit(target->range, *better);
      return;
    }
    for (const auto &[point, range] : reads.of(*stmt.value))
      if (Turn turn = flow.turn(kind.name.text, name, point); turn != Turn::Before)
        diags.report(turn == Turn::From ? Kind::E0404 : Kind::E0405, range, {point, name}).label(target->range, "changed here");
  }

  const KindDeclStmt &kind;
  const Network &network;
  const Flow &flow;
  diag::Engine &diags;
  std::set<std::string> params;
};

void checkMethod(const MethodStmt &method, const Scope &scope, const Network &network, const Flow &flow, diag::Engine &diags) {
  auto clause = [&](const Ident &site, const Block &body) {
    auto it = scope.kinds.find(site.text);
    if (it == scope.kinds.end())
      return;
    Reads reads(network.children, method);
    Clause(*it->second, network, flow, diags).walk(body, reads);
  };
  if (method.site)
    return clause(*method.site, method.body);
  std::map<std::string, Range> seen;
  for (const StmtPtr &stmt : method.body)
    if (auto *on = stmt->as<OnStmt>()) {
      auto [it, first] = seen.insert({on->site.text, on->site.range});
      if (!first)
        diags.report(Kind::E0206, on->site.range, {on->site.text}).label(it->second, "first said here");
      clause(on->site, on->body);
    }
}
} // namespace

void checkPoints(const Spec &spec, diag::Engine &diags) {
  const Network network(spec);
  const Flow flow(spec, network);
  for (const FilePtr &file : spec.files)
    for (const StmtPtr &stmt : file->statements)
      if (auto *method = stmt->as<MethodStmt>())
        checkMethod(*method, spec.scopes.at(file->source), network, flow, diags);
}

} // namespace peftc::sema
