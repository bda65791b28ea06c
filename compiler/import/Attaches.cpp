// Attaches: the statements `attach`, `train` and `freeze` of a program.
//
// In     the module tree; AttachStmt, TrainStmt
// Out    importAttaches: peft.attach without sites. instantiate: their sites, one peft.instance a site, @init
// Errs   E0401 nothing matches, E0402 a site of another kind, E0403 a weight that is not there
#include "compiler/import/Elaborator.h"

namespace peftc::import {
using diag::Kind;
using mlir::nn::NNType;

Callable Elaborator::methodOf(const ast::Expr &expr, const EnvPtr &env) {
  Value value = eval(expr, env);
  auto *callable = value.as<Callable>();
  if (!callable || callable->kind != Callable::Kind::Method)
    fail(Kind::E0350, expr.range, {"this is " + value.describe() + ", not a method"});
  Callable method = *callable;
  if (!method.env)
    method.env = env;
  return method;
}

void Elaborator::requireKind(const Callable &method, const ModuleNode &site, Range range) {
  std::string kind, wanted;
  if (clauseFor(*method.method, site, kind))
    return;
  if (method.method->site)
    wanted = method.method->site->text;
  else
    for (const ast::StmtPtr &stmt : method.method->body)
      if (auto *on = stmt->as<ast::OnStmt>())
        wanted += (wanted.empty() ? "" : " or ") + on->site.text;
  std::string has;
  for (const std::string &name : site.kindNames)
    has += (has.empty() ? "" : " and ") + name;
  auto report = diags_.report(Kind::E0402, range, {method.method->name.text, wanted, site.path.empty() ? "model" : site.path, has.empty() ? "no kind" : has});
  std::string fits;
  for (const auto &child : site.children)
    if (clauseFor(*method.method, *child, kind))
      fits += (fits.empty() ? "" : ", ") + child->name;
  if (!fits.empty())
    report.help("below it " + fits + " would do");
  throw Failed{};
}

void Elaborator::importAttaches() {
  mlir::OpBuilder::InsertionGuard guard(builder_);
  builder_.setInsertionPointToEnd(module_.getBody());
  EnvPtr env = fileEnv(spec_.main().source);
  for (const ast::Stmt *stmt : spec_.attachments) {
    auto *attachStmt = stmt->as<ast::AttachStmt>();
    if (!attachStmt)
      continue;
    Attach attach;
    attach.index = static_cast<int64_t>(attaches_.size());
    attach.stmt = attachStmt;
    attach.method = methodOf(*attachStmt->method, env);
    attach.name = attachStmt->alias ? attachStmt->alias->text : attach.method.method->name.text;
    attach.op = mlir::peft::AttachOp::create(builder_, location(stmt->range), builder_.getI64IntegerAttr(attach.index),
                                             builder_.getStringAttr(attach.name),
                                             builder_.getStringAttr(diags_.sources().text(attachStmt->selector.range)),
                                             builder_.getStrArrayAttr({}));
    attaches_.push_back(std::move(attach));
  }
}

void Elaborator::trainMatches(const std::vector<Match> &matches, bool trainable, Range range) {
  auto set = [&](const std::string &name) {
    if (llvm::StringRef role = parameters_.at(name).getRole(); trainable && (role == "frozen" || role == "buffer"))
      fail(Kind::E0350, range, {"`" + name + "` is drawn once or kept, not trained"});
    parameters_.at(name).setTrainableAttr(builder_.getBoolAttr(trainable));
  };
  std::function<void(ModuleNode &)> all = [&](ModuleNode &node) {
    for (const auto &[local, name] : node.weights)
      set(name);
    for (auto &child : node.children)
      all(*child);
  };
  for (const Match &match : matches)
    if (match.weight.empty())
      all(*match.node);
    else
      set(match.node->weights.at(match.weight));
}

bool Elaborator::attempt(llvm::function_ref<void()> body) {
  try {
    body();
    return true;
  } catch (const Failed &) {
    return false;
  }
}

/// peft-resolve-sites: every selector, so that each that fails has its message.
void Elaborator::resolveSites(const EnvPtr &env) {
  bool failed = false;
  for (const ast::Stmt *stmt : spec_.attachments)
    failed |= !attempt([&] {
      if (auto *train = stmt->as<ast::TrainStmt>())
        draw(train->selector, trained_[stmt] = resolve(train->selector, *root_, env, true, true), env);
    });
  for (Attach &attach : attaches_)
    failed |= !attempt([&] { resolveSites(attach, env); });
  if (failed)
    throw Failed{};
}

void Elaborator::resolveSites(Attach &attach, const EnvPtr &env) {
  for (const Match &match : resolve(attach.stmt->selector, *root_, env, false, true))
    attach.sites.push_back(match.node);
  for (ModuleNode *site : attach.sites)
    requireKind(attach.method, *site, attach.stmt->selector.range);
  draw(attach, env);
  llvm::SmallVector<llvm::StringRef> paths;
  for (ModuleNode *site : attach.sites)
    paths.push_back(site->path.empty() ? llvm::StringRef("model") : llvm::StringRef(site->path));
  // Two attaches of one method at one site keep their parameters apart.
  std::string base = attach.name, name = base;
  auto taken = [&](const std::string &candidate) {
    for (const Attach &other : attaches_) {
      if (&other == &attach)
        return false;
      if (other.name == candidate && llvm::any_of(attach.sites, [&](ModuleNode *site) { return llvm::is_contained(other.sites, site); }))
        return true;
    }
    return false;
  };
  for (int n = 2; taken(name); ++n)
    name = base + "_" + std::to_string(n);
  attach.name = name;
  attach.op.setNameAttr(builder_.getStringAttr(name));
  attach.op.setSitesAttr(builder_.getStrArrayAttr(paths));
}

/// The method at each of its sites. One message an attach: what is wrong at one site mostly is at all.
void Elaborator::instantiate(Attach &attach) {
  int64_t siteIndex = 0;
  diag::Blame blame(diags_, attach.stmt->method->range);
  for (ModuleNode *site : attach.sites) {
    mlir::OpBuilder::InsertionGuard guard(builder_);
    builder_.setInsertionPointToEnd(module_.getBody());
    auto instance = mlir::peft::InstanceOp::create(builder_, location(attach.stmt->range), site->path.empty() ? "model" : site->path,
                                                   attach.index, attach.name);
    instance.getBody().emplaceBlock();
    builder_.setInsertionPointToStart(&instance.getBody().front());
    instantiateAt(attach, attach.method, *site, siteIndex++, attach.name, attach.stmt->range);
  }
}

void Elaborator::instantiate() {
  resolveSites(fileEnv(spec_.main().source));
  // peft-instantiate-methods, in textual order; `train` and `freeze` act where they stand.
  size_t next = 0;
  bool failed = false;
  for (const ast::Stmt *stmt : spec_.attachments)
    if (auto *train = stmt->as<ast::TrainStmt>())
      trainMatches(trained_.at(stmt), !train->freeze, train->range);
    else
      failed |= !attempt([&] { instantiate(attaches_[next++]); });
  if (failed)
    throw Failed{};
  finishInterop(); // behind `train` and `freeze`, which decide what else is saved
  // Close @init.
  init_.getBody().front().getTerminator()->setOperands(initResults_);
  llvm::SmallVector<mlir::Type> types;
  for (mlir::Value value : initResults_)
    types.push_back(value.getType());
  init_.setFunctionType(builder_.getFunctionType({}, types));
  for (size_t i = 0; i < initNames_.size(); ++i)
    init_.setResultAttr(i, "nn.name", builder_.getStringAttr(initNames_[i]));
  for (Attach &attach : attaches_)
    noteParams(attach);
}

void Elaborator::noteParams(Attach &attach) {
  EmitInfo::Attach fact;
  fact.index = attach.index;
  fact.name = attach.name;
  fact.text = std::string(diags_.sources().text(attach.stmt->range));
  for (ModuleNode *site : attach.sites)
    fact.sites.push_back(site->path.empty() ? "model" : site->path);
  fact.changesAtInit = attach.changesAtInit;
  info_.attaches.push_back(std::move(fact));
}

} // namespace peftc::import
