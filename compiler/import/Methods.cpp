// Methods: what a method does at one site: its parameters, and the points that it reads and rewires.
//
// Out    ops in the body of the peft.instance; nn.parameter and initial values for its parameters
// Errs   E0353 a rank above the site's dimensions, E0357 no such point, E0403 a weight that the site does not have
#include "compiler/import/Elaborator.h"
#include "llvm/ADT/StringExtras.h"

namespace peftc::import {
using diag::Kind;
using mlir::nn::NNType;

static std::string layerPath(const ModuleNode &node) { return node.path.empty() ? "model" : node.path; }

/// The clause of a method that fits a site, and the kind that it is written for.
const ast::Block *Elaborator::clauseFor(const ast::MethodStmt &method, const ModuleNode &site, std::string &kind) const {
  auto has = [&](const std::string &name) {
    return std::find(site.kindNames.begin(), site.kindNames.end(), name) != site.kindNames.end();
  };
  if (method.site) {
    kind = method.site->text;
    return has(kind) ? &method.body : nullptr;
  }
  for (const ast::StmtPtr &stmt : method.body)
    if (auto *on = stmt->as<ast::OnStmt>(); on && has(on->site.text)) {
      kind = on->site.text;
      return &on->body;
    }
  return nullptr;
}

/// Whether a module below the node has the site's weights.
static bool sharesWeights(const ModuleNode &node, const ModuleNode &site) {
  return node.tiedTo == &site || llvm::any_of(node.children, [&](const auto &child) { return sharesWeights(*child, site); });
}

std::optional<Value> Elaborator::siteName(Instance &instance, const std::string &name, Range range) {
  ModuleNode &site = *instance.site;
  const ast::KindDeclStmt &kind = *instance.kind;
  if (auto it = instance.params.find(name); it != instance.params.end())
    return parameter(it->second, parameterAxes_[it->second], range);
  for (const ast::Ident &dim : kind.dims)
    if (dim.text == name)
      if (auto value = lookup(name, site.env, range))
        return value;
  bool declared = std::any_of(kind.points.begin(), kind.points.end(), [&](const ast::KindPoint &p) { return p.name.text == name; });
  if (site.points.count(name) && (declared || !site.parent))
    return readPoint(instance, site, name, range);
  if (declared)
    fail(Kind::E0403, range, {layerPath(site), name});
  if (name.size() > 1 && name.back() == '0' && site.weights.count(name.substr(0, name.size() - 1))) {
    const std::string &weight = site.weights.at(name.substr(0, name.size() - 1));
    return parameter(weight, parameterAxes_[weight], range);
  }
  if (name == "site" || name == "layer") {
    auto record = std::make_shared<Record>();
    record->name = name;
    if (name == "site") {
      record->fields["index"] = instance.siteIndex;
      record->fields["count"] = static_cast<int64_t>(instance.attach->sites.size());
      record->fields["path"] = site.path;
      record->fields["tied"] = site.tiedTo || sharesWeights(*root_, site);
      return Value(record);
    }
    for (const ModuleNode *up = &site; up; up = up->parent)
      if (up->index) {
        record->fields["index"] = *up->index;
        record->fields["count"] = static_cast<int64_t>(up->parent->named.at(up->name).nodes.size());
        return Value(record);
      }
  }
  return std::nullopt;
}

Tensor Elaborator::readPoint(Instance &instance, ModuleNode &site, const std::string &point, Range range) {
  const PointInfo &info = site.points.at(point);
  if (instance.given && !inInit_ && &site == instance.site && point == instance.point)
    return *instance.given;
  if (inInit_) {
    // At initialisation only weights exist.
    auto it = site.weights.find(point);
    if (it == site.weights.end())
      fail(Kind::E0354, range, {"an initial value"}, "`" + point + "` depends on the text that is read");
    return parameter(it->second, info.axes, range);
  }
  auto op = mlir::peft::ReadOp::create(builder_, location(range), info.type, layerPath(site), point);
  reads_[op] = range;
  return {op.getResult(), info.axes};
}

void Elaborator::instantiateAt(Attach &attach, const Callable &method, ModuleNode &site, int64_t siteIndex,
                               const std::string &name, Range range) {
  Instance instance;
  instance.attach = &attach;
  instance.site = &site;
  instance.siteIndex = siteIndex;
  instance.name = name;
  std::string kind;
  requireKind(method, site, range);
  const ast::Block *body = clauseFor(*method.method, site, kind);
  instance.kind = spec_.scopeOf(method.method->range).kinds.at(kind);
  enterMethod(instance, method, *body, range);
}

void Elaborator::enterMethod(Instance &instance, const Callable &method, const ast::Block &body, Range range, const std::function<void()> &bound) {
  const ast::MethodStmt &decl = *method.method;
  diag::Blame blame(diags_, method.call ? method.call->range : range); // whose arguments these are
  static const std::vector<ast::Argument> none;
  // A rank is at most the smaller of the kind's first two dims (`in`, `out`), or its one.
  int64_t limit = 0;
  for (const ast::Ident &dim : instance.kind->dims)
    if (auto value = lookup(dim.text, instance.site->env, dim.range); value && value->as<int64_t>())
      limit = limit ? std::min(limit, *value->as<int64_t>()) : *value->as<int64_t>();
  if (instance.kind->dims.size() > 2)
    limit = 0;

  auto argEnv = std::make_shared<Env>(method.env);
  Instance *shared = &instance;
  argEnv->outside = [this, shared](const std::string &name, Range at) -> std::optional<Value> {
    if (name == "layer" || name == "site")
      return siteName(*shared, name, at);
    return std::nullopt;
  };
  auto scope = std::make_shared<Env>(fileEnv(decl.range.file));
  scope->outside = [this, shared](const std::string &name, Range at) { return siteName(*shared, name, at); };
  scope->outsideModule = [shared](const std::string &name) -> std::optional<ModuleRef> {
    auto it = shared->site->named.find(name);
    if (it != shared->site->named.end())
      return it->second;
    return std::nullopt;
  };
  instance.env = bindParameters(decl.params, method.call ? method.call->args : none, argEnv, scope, decl.name.text,
                                method.call ? method.call->range : range, limit);
  if (method.call && method.call->from) {
    instance.runs = runsOf(*method.call->from, argEnv);
    instance.trainedAs = decl.name.text;
    instance.frozen = method.call->frozen;
    instance.fromRange = method.call->from->range;
  } else if (instance_ && !instance_->runs.empty()) { // a part of one that a run has trained
    instance.runs = instance_->runs;
    instance.trainedAs = instance_->trainedAs + instance.name.substr(instance_->name.size());
    instance.frozen = instance_->frozen;
    instance.fromRange = instance_->fromRange;
  }
  if (bound)
    bound();
  Instance *outer = std::exchange(instance_, &instance);
  std::string random = std::exchange(randomScope_, instance.site->path + "/" + instance.name);
  llvm::scope_exit restore([&] {
    instance_ = outer;
    randomScope_ = random;
  });
  for (const ast::StmtPtr &stmt : body)
    execMethodStmt(instance, *stmt);
  // The scope's closures point at this instance; nothing may outlive it.
  scope->outside = nullptr;
  scope->outsideModule = nullptr;
  argEnv->outside = nullptr;
}

void Elaborator::execMethodStmt(Instance &instance, const ast::Stmt &stmt) {
  if (auto *let = stmt.as<ast::LetStmt>()) {
    execLet(*let, instance.env);
  } else if (auto *param = stmt.as<ast::ParamStmt>()) {
    addParam(instance, *param);
  } else if (auto *rewire = stmt.as<ast::RewireStmt>()) {
    execRewire(instance, *rewire);
  } else if (auto *sample = stmt.as<ast::SampleStmt>()) {
    execSample(instance, *sample);
  } else if (auto *choice = stmt.as<ast::IfStmt>()) {
    for (const ast::StmtPtr &inner : branch(*choice, instance.env))
      execMethodStmt(instance, *inner);
  } else if (auto *loop = stmt.as<ast::ForStmt>()) {
    execFor(*loop, instance.env, [&](const ast::Stmt &inner) { execMethodStmt(instance, inner); });
  } else if (auto *row = stmt.as<ast::RowStmt>()) {
    addRow(*row, instance.env);
    instance.env->values[row->name.text] = readPoint(instance, *root_, row->name.text, stmt.range);
  } else if (auto *attach = stmt.as<ast::AttachStmt>()) {
    execNestedAttach(instance, *attach);
  } else if (auto *train = stmt.as<ast::TrainStmt>()) {
    execTrain(instance, *train);
  } else if (auto *require = stmt.as<ast::RequireStmt>()) {
    execRequire(*require, instance.env);
  } else if (auto *loss = stmt.as<ast::LossStmt>()) {
    Tensor term = asFloat(toTensor(eval(*loss->value, instance.env), f32(), loss->value->range), loss->value->range);
    if (term.type().rank() != 0)
      fail(Kind::E0350, loss->value->range, {"a loss is one number, this is " + mlir::nn::toString(term.type())});
    if (loss->add) {
      mlir::peft::LossOp::create(builder_, location(stmt.range), term.value);
    } else {
      reads_[mlir::peft::RewireOp::create(builder_, location(stmt.range), "model", "loss", term.value)] = stmt.range;
    }
  } else if (auto *event = stmt.as<ast::OnGradStmt>()) {
    execOnGrad(instance, *event);
  } else if (auto *interop = stmt.as<ast::InteropStmt>()) {
    execInterop(instance, *interop);
  } else if (auto *init = stmt.as<ast::AtInitStmt>()) {
    if (!init->identity && !instance.attach->changesAtInit)
      instance.attach->changesAtInit = init->reason;
  } else {
    fail(Kind::E0350, stmt.range, {"this statement does not belong into a method"});
  }
}

/// What a parameter's name begins with.
std::string Elaborator::paramScope(const Instance &instance, const ast::ParamStmt &stmt, const std::string &method) {
  const ModuleNode &owner = paramOwner(instance, stmt);
  return owner.path.empty() ? method : owner.path + "." + method;
}

/// Where a parameter belongs: the site, or what all sites that share it have in common.
ModuleNode &Elaborator::paramOwner(const Instance &instance, const ast::ParamStmt &stmt) {
  ModuleNode *owner = instance.site;
  if (stmt.shared && !stmt.sharedPer)
    return *root_;
  if (stmt.shared && owner->weights.count(stmt.sharedPer->text)) {
    while (owner->tiedTo)
      owner = const_cast<ModuleNode *>(owner->tiedTo);
  } else if (stmt.shared) {
    auto isOf = [&](const ModuleNode &node) { return llvm::is_contained(node.kindNames, stmt.sharedPer->text) || (!node.parent && stmt.sharedPer->text == "model"); };
    while (owner && !isOf(*owner))
      owner = owner->parent;
    if (!owner)
      fail(Kind::E0403, stmt.sharedPer->range, {layerPath(*instance.site), stmt.sharedPer->text}, "nothing around the site is of this kind");
  }
  return *owner;
}

/// What an attach added to a module, by its dotted name, for selectors; made when it is asked for.
static ModuleNode &attachedTo(ModuleNode &owner, llvm::StringRef name) {
  ModuleNode *node = &owner;
  for (llvm::StringRef part : llvm::split(name, '.')) {
    std::unique_ptr<ModuleNode> &next = node->attached[part.str()];
    if (!next) {
      next = std::make_unique<ModuleNode>();
      next->path = node->path.empty() ? part.str() : node->path + "." + part.str();
      next->name = part.str();
      next->parent = node;
    }
    node = next.get();
  }
  return *node;
}

/// The parameter `l.B` of what the method being elaborated has attached to its own site; null if it is none.
const std::string *Elaborator::partsParameter(const ast::MemberExpr &expr) const {
  auto *part = expr.object->as<ast::NameExpr>();
  if (!part || !instance_)
    return nullptr;
  const ModuleNode *node = instance_->site;
  const std::string path = instance_->name + "." + part->name;
  for (llvm::StringRef step : llvm::split(path, '.')) {
    auto next = node->attached.find(step.str());
    if (next == node->attached.end())
      return nullptr;
    node = next->second.get();
  }
  auto weight = node->weights.find(expr.member.text);
  return weight == node->weights.end() ? nullptr : &weight->second;
}

/// `train` and `freeze` in a method: of its site, of what it has attached there itself, or (`freeze A`) of its own parameters.
void Elaborator::execTrain(Instance &instance, const ast::TrainStmt &stmt) {
  const auto &paths = stmt.selector.paths;
  if (stmt.freeze && llvm::all_of(paths, [&](const auto &path) { return path.size() == 1 && instance.params.count(path.front().name); })) {
    for (const auto &path : paths)
      parameters_.at(instance.params.at(path.front().name)).setTrainableAttr(builder_.getBoolAttr(false));
    return;
  }
  ModuleNode &own = attachedTo(*instance.site, instance.name);
  const auto &first = paths.front().front();
  const bool ofOwn = first.kind == ast::SelectorPart::Kind::Name && own.attached.count(first.name);
  trainMatches(resolve(stmt.selector, ofOwn ? own : *instance.site, instance.env, true), !stmt.freeze, stmt.range);
}

/// What runs left of a parameter, which there belongs to the method by its own name, on the average; nothing where it starts as the method says.
std::optional<model::AdapterTensor> Elaborator::trainedStart(const Instance &instance, const ast::ParamStmt &stmt) {
  if (instance.runs.empty() || stmt.storage != ast::ParamStmt::Storage::Param)
    return std::nullopt;
  const std::string name = paramScope(instance, stmt, instance.trainedAs) + "." + stmt.name.text;
  const NNType type = typeFrom(*stmt.type, instance.env, false);
  std::optional<model::AdapterTensor> mean;
  for (const std::string &run : instance.runs) {
    const model::AdapterTensor &found = trainedIn(run, name, instance.fromRange);
    if (!type.isStatic() || !llvm::equal(type.getDims(), found.shape, [](mlir::nn::Dim dim, int64_t length) { return dim.is(length); }))
      fail(Kind::E0350, instance.fromRange, {"`" + name + "` is " + mlir::nn::toString(type) + ", `" + run + "` has " + model::toString(found.shape)});
    if (!mean)
      mean = model::AdapterTensor{found.shape, std::vector<double>(found.numbers.size())};
    for (auto [sum, number] : llvm::zip(mean->numbers, found.numbers))
      sum += number / static_cast<double>(instance.runs.size());
  }
  return mean;
}

/// `from "runs/a"`, `from ["runs/a", "runs/b"]`.
std::vector<std::string> Elaborator::runsOf(const ast::Expr &from, const EnvPtr &env) {
  auto *list = from.as<ast::ListExpr>();
  std::vector<std::string> runs;
  if (!list)
    runs.push_back(evalString(from, env));
  else
    for (const ast::ExprPtr &item : list->items)
      runs.push_back(evalString(*item, env));
  if (runs.empty())
    fail(Kind::E0350, from.range, {"`from` names no run"});
  return runs;
}

const model::AdapterTensor &Elaborator::trainedIn(const std::string &run, const std::string &parameter, Range where) {
  info_.readsRuns = true;
  if (!runs_.count(run)) {
    auto read = model::readAdapter(run, where, diags_);
    if (!read)
      throw Failed{};
    runs_[run] = std::move(*read);
  }
  auto found = runs_[run].find(parameter);
  if (found == runs_[run].end())
    fail(Kind::E0606, where, {run, "parameter `" + parameter + "`"}, "", "it was trained at other sites, or under another name");
  return found->second;
}

void Elaborator::addParam(Instance &instance, const ast::ParamStmt &stmt) {
  const std::string name = paramScope(instance, stmt, instance.name) + "." + stmt.name.text;
  instance.params.erase(stmt.name.text); // its shape and start may read another one of this name
  const std::optional<model::AdapterTensor> start = trainedStart(instance, stmt);
  declareParam(name, stmt, instance.env, instance.attach->index, layerPath(*instance.site), start ? &*start : nullptr, instance.frozen);
  instance.params[stmt.name.text] = name;
  ModuleNode &node = attachedTo(paramOwner(instance, stmt), instance.name);
  if (node.weights.emplace(stmt.name.text, name).second)
    node.weightOrder.push_back(stmt.name.text);
}

void Elaborator::execRewire(Instance &instance, const ast::RewireStmt &stmt) {
  auto *name = stmt.target->as<ast::NameExpr>();
  ModuleNode *site = instance.site;
  std::string point = name ? name->name : "";
  if (auto *member = stmt.target->as<ast::MemberExpr>()) {
    auto module = moduleOf(*member->object, instance.env);
    if (!module || module->isList)
      fail(Kind::E0350, stmt.target->range, {"only points are rewired"});
    site = module->nodes.front();
    point = member->member.text;
  }
  if (instance.params.count(point))
    fail(Kind::E0199, stmt.target->range, {"<- on a parameter"});
  if (!site->points.count(point)) {
    const auto &known = instance.kind->points; // the kind has it, this site lacks it; or there is no such thing
    const bool declared = std::any_of(known.begin(), known.end(), [&](const ast::KindPoint &p) { return p.name.text == point; });
    fail(declared ? Kind::E0403 : Kind::E0357, stmt.target->range, {layerPath(*site), point});
  }
  Tensor value = toTensor(eval(*stmt.value, instance.env), site->points.at(point).type.getElement(), stmt.value->range);
  if (stmt.add)
    value = binary("nn.add", readPoint(instance, *site, point, stmt.range), value, stmt.range);
  if (instance.given && site == instance.site && point == instance.point) {
    instance.given = value;
    return;
  }
  if (instance.given)
    fail(Kind::E0350, stmt.target->range, {"a method that is applied to a value gives one point, this is `" + point + "` after `" + instance.point + "`"});
  NNType declared = site->points.at(point).type;
  if (declared.isFloat())
    value = asFloat(value, stmt.value->range);
  else if (value.type().getElement() != declared.getElement())
    fail(Kind::E0350, stmt.value->range, {"`" + point + "` holds whole numbers, this does not"}, "",
         "`int(x)` makes whole numbers of them");
  if (value.type().rank() != declared.rank())
    fail(Kind::E0350, stmt.value->range, {"`" + point + "` is " + mlir::nn::toString(declared) + ", this is " + mlir::nn::toString(value.type())});
  for (auto [have, want] : llvm::zip(value.type().getDims(), declared.getDims()))
    if (want.isStatic() && have != want)
      fail(Kind::E0350, stmt.value->range, {"`" + point + "` is " + mlir::nn::toString(declared) + ", this is " + mlir::nn::toString(value.type())});
  reads_[mlir::peft::RewireOp::create(builder_, location(stmt.range), layerPath(*site), point, value.value)] = stmt.range;
}

void Elaborator::execSample(Instance &instance, const ast::SampleStmt &stmt) {
  auto *call = stmt.distribution->as<ast::CallExpr>();
  if (!call)
    fail(Kind::E0350, stmt.range, {"a sample is drawn from a distribution"});
  auto *name = call->callee->as<ast::NameExpr>();
  std::vector<double> numbers;
  std::vector<mlir::nn::Dim> dims;
  for (const ast::Argument &arg : call->args) {
    Value value = eval(*arg.value, instance.env);
    if (value.isNumber())
      numbers.push_back(value.number());
    else if (auto *list = value.list())
      for (const Value &item : *list) {
        if (!item.as<int64_t>() || *item.as<int64_t>() < 1)
          fail(Kind::E0354, arg.range, {"a length"});
        dims.push_back({*item.as<int64_t>(), 0});
      }
  }
  const char *rate = stmt.per == ast::SampleStmt::Per::Step ? "step" : "pass";
  instance.env->values[stmt.name.text] = initial(Initializer{name ? name->name : "", numbers}, dims, nullptr, stmt.range, rate);
}

void Elaborator::execNestedAttach(Instance &instance, const ast::AttachStmt &stmt) {
  callers_.push_back(stmt.method->range);
  llvm::scope_exit back([&] { callers_.pop_back(); });
  if (callers_.size() > 100)
    fail(Kind::E0350, stmt.method->range, {"methods attach each other more than 100 deep"});
  diag::Blame blame(diags_, stmt.method->range);
  Callable method = methodOf(*stmt.method, instance.env);
  std::string name = instance.name + "." + (stmt.alias ? stmt.alias->text : method.method->name.text);
  // `self` is the site that this method sits on.
  std::vector<Match> matches;
  const auto &paths = stmt.selector.paths;
  bool self = paths.size() == 1 && paths[0].size() == 1 && paths[0][0].kind == ast::SelectorPart::Kind::Name && paths[0][0].name == "self";
  if (self)
    matches.push_back({instance.site, ""});
  else
    matches = resolve(stmt.selector, *instance.site, instance.env, false);
  int64_t index = 0;
  for (const Match &match : matches)
    instantiateAt(*instance.attach, method, *match.node, index++, name, stmt.range);
}

/// `part(u)`: the point that the method rewires, were it `argument`.
Tensor Elaborator::applyMethod(Instance &outer, const Callable &method, const Tensor &argument, Range range) {
  Instance instance;
  instance.attach = outer.attach;
  instance.site = outer.site;
  instance.siteIndex = outer.siteIndex;
  std::string kind;
  requireKind(method, *outer.site, range);
  const ast::Block *body = clauseFor(*method.method, *outer.site, kind);
  instance.kind = spec_.scopeOf(method.method->range).kinds.at(kind);
  instance.given = argument;
  // The same method value applied twice has the same parameters; another one has its own.
  auto key = std::pair<const void *, const void *>(method.call ? static_cast<const void *>(method.call) : method.method,
                                                   static_cast<const void *>(outer.site));
  std::string &name = applied_[key];
  if (name.empty()) {
    name = outer.name + "." + method.method->name.text;
    std::string base = name;
    auto taken = [&](const std::string &candidate) {
      return llvm::any_of(applied_, [&](auto &entry) { return entry.first != key && entry.first.second == key.second && entry.second == candidate; });
    };
    for (int n = 2; taken(name); ++n)
      name = base + "_" + std::to_string(n);
  }
  instance.name = name;
  enterMethod(instance, method, *body, range, [&] { choosePoint(instance, method, *body, range); });
  return *instance.given;
}

/// The first point that a body rewires; what stands in an `if` counts where no other does, of the branch that is taken.
std::string Elaborator::rewiredPoint(const ast::Block &body, const EnvPtr &env) {
  for (const ast::StmtPtr &stmt : body)
    if (auto *rewire = stmt->as<ast::RewireStmt>(); rewire && rewire->target->as<ast::NameExpr>())
      return rewire->target->as<ast::NameExpr>()->name;
  for (const ast::StmtPtr &stmt : body)
    if (auto *choice = stmt->as<ast::IfStmt>())
      if (std::string point = rewiredPoint(branch(*choice, env), env); !point.empty())
        return point;
  return "";
}

/// The point whose value is given instead of the site's.
void Elaborator::choosePoint(Instance &instance, const Callable &method, const ast::Block &body, Range range) {
  const std::string &name = method.method->name.text;
  instance.point = rewiredPoint(body, instance.env);
  if (instance.point.empty())
    fail(Kind::E0350, range, {"`" + name + "` rewires nothing, so it has no value"});
  auto point = instance.site->points.find(instance.point);
  if (point == instance.site->points.end())
    return; // its `<-` says so
  const NNType declared = point->second.type, given = instance.given->type();
  bool fits = given.rank() == declared.rank();
  for (auto [have, want] : llvm::zip(given.getDims(), declared.getDims()))
    fits &= !want.isStatic() || have == want;
  if (!fits)
    fail(Kind::E0350, range, {"`" + name + "` rewires `" + instance.point + "`, which is " + mlir::nn::toString(declared) + "; it is applied to " + mlir::nn::toString(given)});
}

} // namespace peftc::import
