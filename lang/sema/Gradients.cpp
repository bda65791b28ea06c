// Gradients: see the header.
#include "lang/sema/Gradients.h"
#include "lang/sema/Reads.h"
#include <algorithm>

namespace peftc::sema {
namespace {
using namespace ast;
using diag::Kind;

/// Whether each example has the point of its own, as far as its shape says.
bool isOfTokens(const KindPoint &point) {
  return point.type && std::any_of(point.type->dims.begin(), point.type->dims.end(), [](const ExprPtr &dim) {
           auto *name = dim->as<NameExpr>();
           return name && (name->name == "seq" || name->name == "keys");
         });
}

/// One clause of a method.
class Clause {
public:
  Clause(const KindDeclStmt &kind, const Block &body, diag::Engine &diags) : kind_(kind), diags_(diags) { gather(body, true); }

  void walk(const Block &body, Reads &reads, std::map<std::string, Range> &replaced) {
    for (const StmtPtr &stmt : body)
      if (auto *let = stmt->as<LetStmt>()) {
        for (const Ident &name : let->names)
          reads.bind(name.text, *let->value);
      } else if (auto *param = stmt->as<ParamStmt>()) {
        reads.hide(param->name.text);
      } else if (auto *sample = stmt->as<SampleStmt>()) {
        reads.hide(sample->name.text);
      } else if (auto *choice = stmt->as<IfStmt>()) {
        Reads yes = reads, no = reads;
        std::map<std::string, Range> inYes = replaced, inNo = replaced;
        walk(choice->thenBody, yes, inYes);
        walk(choice->elseBody, no, inNo);
        reads = Reads::meet(yes, no);
      } else if (auto *loop = stmt->as<ForStmt>()) {
        reads.hide(loop->variable.text);
        walk(loop->body, reads, replaced);
      } else if (auto *event = stmt->as<OnGradStmt>()) {
        Reads inner = reads;
        walk(event->body, inner, replaced);
      } else if (auto *gradient = stmt->as<GradStmt>()) {
        replace(*gradient, reads, replaced);
      }
  }

private:
  /// `certain`: no `if` decides whether the statements hold.
  void gather(const Block &body, bool certain) {
    for (const StmtPtr &stmt : body)
      if (auto *param = stmt->as<ParamStmt>()) {
        params_[param->name.text] = param->storage == ParamStmt::Storage::Param ? "" : "drawn once or kept, not trained";
      } else if (auto *train = stmt->as<TrainStmt>(); train && train->freeze && certain) {
        for (const auto &path : train->selector.paths)
          if (path.size() == 1 && params_.count(path.front().name))
            params_[path.front().name] = "`freeze` says so";
      } else if (auto *choice = stmt->as<IfStmt>()) {
        gather(choice->thenBody, false);
        gather(choice->elseBody, false);
      } else if (auto *loop = stmt->as<ForStmt>()) {
        gather(loop->body, false);
      }
  }

  void replace(const GradStmt &stmt, const Reads &reads, std::map<std::string, Range> &replaced) {
    const Expr &parameter = *stmt.parameter;
    const std::string said(diags_.sources().text(parameter.range));
    if (const std::string why = whyNone(parameter); !why.empty()) {
      diags_.report(Kind::E0358, parameter.range, {said}).here(why);
      return;
    }
    auto [first, isNew] = replaced.emplace(said, parameter.range);
    if (!isNew)
      diags_.report(Kind::E0206, parameter.range, {"grad(" + said + ")"}).label(first->second, "first said here");
    const ReadSet all = reads.of(*stmt.value);
    for (const KindPoint &point : kind_.points)
      if (auto read = all.find(point.name.text); read != all.end() && isOfTokens(point))
        diags_.report(Kind::E0359, read->second, {"`" + point.name.text + "`, which each example has of its own"});
  }

  /// A weight of the site may be trained, and what the method attaches has parameters, which the compiler sees.
  std::string whyNone(const Expr &parameter) const {
    if (parameter.as<MemberExpr>())
      return "";
    if (!parameter.as<NameExpr>())
      return "not a name";
    const std::string &name = parameter.as<NameExpr>()->name;
    if (auto param = params_.find(name); param != params_.end())
      return param->second;
    const bool isWeight = std::any_of(kind_.points.begin(), kind_.points.end(), [&](const KindPoint &point) { return point.name.text == name && !isOfTokens(point); });
    return isWeight ? "" : "no parameter of this method";
  }

  const KindDeclStmt &kind_;
  diag::Engine &diags_;
  std::map<std::string, std::string> params_; ///< why it has no gradient, by name
};

void checkMethod(const MethodStmt &method, const Scope &scope, const Network &network, diag::Engine &diags) {
  auto clause = [&](const Ident &site, const Block &body) {
    auto kind = scope.kinds.find(site.text);
    if (kind == scope.kinds.end())
      return;
    Reads reads(network.children, method);
    std::map<std::string, Range> replaced;
    Clause(*kind->second, body, diags).walk(body, reads, replaced);
  };
  if (method.site)
    return clause(*method.site, method.body);
  for (const StmtPtr &stmt : method.body)
    if (auto *on = stmt->as<OnStmt>())
      clause(on->site, on->body);
    else if (stmt->as<OnGradStmt>())
      diags.report(Kind::E0108, stmt->range, {"`on grad`", "a method beside its clauses"}).help("it stands in the clause whose parameters it is about");
}
} // namespace

void checkGradients(const Spec &spec, diag::Engine &diags) {
  const Network network(spec);
  for (const FilePtr &file : spec.files)
    for (const StmtPtr &stmt : file->statements)
      if (auto *method = stmt->as<MethodStmt>())
        checkMethod(*method, spec.scopes.at(file->source), network, diags);
}

} // namespace peftc::sema
