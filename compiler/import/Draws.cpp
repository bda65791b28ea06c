// Draws: `where … and drawn(within = 0.5%)` in an `attach` or a `train` of the program: which of the sites are taken, by chance.
//
// In     what the rest of the selector matches
// Out    some of it, in its order: `sites` of them, or, in the order in which they are drawn, each that stays `within` so many parameters with those before it
// Errs   E0350 what is drawn is not said, or not here; E0401 nothing fits
//
// What a method adds at a site is known once it is there. So the program is elaborated beside this, at all sites, and its parameters are counted.
#include "compiler/import/Elaborator.h"
#include "compiler/import/Import.h"
#include "mlir/IR/OwningOpRef.h"
#include <algorithm>
#include <numeric>

namespace peftc::import {
using diag::Kind;

/// `drawn(…)`, if the condition is that, or that and others.
const ast::CallExpr *Elaborator::drawOf(const ast::Expr *where) {
  if (!where)
    return nullptr;
  if (auto *both = where->as<ast::BinaryExpr>(); both && both->op == ast::BinaryOp::And) {
    auto *first = drawOf(both->lhs.get());
    return first ? first : drawOf(both->rhs.get());
  }
  auto *call = where->as<ast::CallExpr>();
  auto *name = call ? call->callee->as<ast::NameExpr>() : nullptr;
  return name && name->name == "drawn" ? call : nullptr;
}

/// The same number for a site and a seed everywhere: FNV-1a, and the mixing of splitmix64.
static uint64_t lot(const std::string &site, int64_t seed) {
  uint64_t hash = std::stoull(model::fnv64(std::to_string(seed) + ":" + site), nullptr, 16);
  hash = (hash ^ (hash >> 30)) * 0xbf58476d1ce4e5b9;
  hash = (hash ^ (hash >> 27)) * 0x94d049bb133111eb;
  return hash ^ (hash >> 31);
}

static int64_t elements(mlir::nn::ParameterOp op) { return mlir::cast<mlir::nn::NNType>(op.getType()).elements(); }

/// Parameters of an attach at each of its sites ("": those that several have in common), as they are if nothing is drawn.
std::map<std::string, int64_t> Elaborator::sizesAt(const Attach &attach) const {
  std::map<std::string, int64_t> sizes;
  diag::Engine unheard(diags_.sources()); // what is wrong is said when the sites are made
  EmitInfo info;
  mlir::OwningOpRef<mlir::ModuleOp> beside = mlir::ModuleOp::create(mlir::UnknownLoc::get(context_));
  Elaborator all(spec_, checkpoint_, unheard, *beside, info);
  all.drawsAll_ = true;
  if (!all.attempt([&] { all.importRun(), all.importModel(), all.importAttaches(), all.instantiate(); }))
    return sizes;
  for (auto &[name, op] : all.parameters_)
    if (mlir::nn::ParameterOp parameter = op; parameter.getTrainable() && static_cast<int64_t>(parameter.getAttach()) == attach.index) {
      auto owner = llvm::find_if(attach.sites, [&](const ModuleNode *site) { return llvm::StringRef(name).starts_with(site->path + "."); });
      sizes[owner == attach.sites.end() ? "" : (*owner)->path] += elements(parameter);
    }
  return sizes;
}

/// Parameters of the network at a place and below it.
int64_t Elaborator::weightsAt(const Match &match) const {
  if (!match.weight.empty())
    return elements(parameters_.at(match.node->weights.at(match.weight)));
  int64_t size = 0;
  for (const auto &[local, name] : match.node->weights)
    size += elements(parameters_.at(name));
  for (const auto &child : match.node->children)
    size += weightsAt({child.get(), ""});
  return size;
}

/// Places of those that are taken, of sites of such names and sizes.
std::vector<size_t> Elaborator::taken(const ast::CallExpr &draw, const std::vector<std::string> &names, const std::vector<int64_t> &sizes, int64_t common, const EnvPtr &env) {
  const ast::Expr *sites = nullptr, *within = nullptr, *seed = nullptr;
  for (const ast::Argument &arg : draw.args)
    (!arg.name || arg.name->text == "sites" ? sites : arg.name->text == "within" ? within : seed) = arg.value.get();
  if (!sites == !within)
    fail(Kind::E0350, draw.range, {"`drawn` wants `sites`, how many, or `within`, how many parameters"});
  const int64_t number = seed ? evalInt(*seed, env, "a seed") : 0;
  std::vector<size_t> order(names.size()), found;
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return std::pair(lot(names[a], number), a) < std::pair(lot(names[b], number), b); });
  if (sites) {
    const int64_t count = evalInt(*sites, env, "a number of sites");
    if (count < 1 || count > static_cast<int64_t>(names.size()))
      fail(Kind::E0350, sites->range, {"`drawn` takes " + std::to_string(count) + " of " + std::to_string(names.size()) + " sites"});
    found.assign(order.begin(), order.begin() + count);
  } else {
    const double most = parametersFrom(*within, env, "what is drawn within").first;
    double spent = static_cast<double>(common);
    for (size_t place : order)
      if (spent + static_cast<double>(sizes[place]) <= most)
        spent += static_cast<double>(sizes[place]), found.push_back(place);
    if (found.empty())
      fail(Kind::E0401, within->range, {info_.arch}, "of " + std::to_string(names.size()) + " sites the smallest has " + std::to_string(common + *llvm::min_element(sizes)) +
                                                         " parameters, this is " + std::to_string(static_cast<int64_t>(most)));
  }
  std::sort(found.begin(), found.end());
  return found;
}

/// The sites of an attach of which all are known.
void Elaborator::draw(Attach &attach, const EnvPtr &env) {
  const ast::CallExpr *draw = drawOf(attach.stmt->selector.where.get());
  if (!draw || drawsAll_)
    return;
  const std::map<std::string, int64_t> known = sizesAt(attach);
  auto sizeOf = [&](const std::string &path) { return known.count(path) ? known.at(path) : 0; };
  std::vector<std::string> names;
  std::vector<int64_t> sizes;
  for (const ModuleNode *site : attach.sites)
    names.push_back(site->path), sizes.push_back(sizeOf(site->path));
  std::vector<ModuleNode *> sites;
  for (size_t place : taken(*draw, names, sizes, sizeOf(""), env))
    sites.push_back(attach.sites[place]);
  attach.sites = std::move(sites);
}

void Elaborator::draw(const ast::Selector &selector, std::vector<Match> &matches, const EnvPtr &env) {
  const ast::CallExpr *draw = drawOf(selector.where.get());
  if (!draw || drawsAll_)
    return;
  std::vector<std::string> names;
  std::vector<int64_t> sizes;
  for (const Match &match : matches)
    names.push_back(match.node->path + "." + match.weight), sizes.push_back(weightsAt(match));
  std::vector<Match> some;
  for (size_t place : taken(*draw, names, sizes, 0, env))
    some.push_back(matches[place]);
  matches = std::move(some);
}

} // namespace peftc::import
