// Interop: what methods say of themselves in the files of other software (`interop peft { … }`), at each of their sites.
//
// In     InteropStmt of a method that an attach names itself, in the scope of its instance
// Out    Interop: fields with their value at each site, tensors by their keys as values of @export; why there can be no files
// Errs   E0354 a tensor depends on the text or is drawn anew, E0356 a name that the site does not have
//
// What a file cannot say is no mistake of the program: it trains all the same, and `export` answers with the reason.
#include "compiler/import/Elaborator.h"
#include <cmath>
#include <functional>

namespace peftc::import {
using diag::Kind;
using Item = ast::InteropItem;

namespace {
/// Thrown by `all_sites` before the last site.
struct NotYet {};

bool namesModule(const ast::ExprPtr &key) {
  auto *string = key ? key->as<ast::StringExpr>() : nullptr;
  return string && llvm::any_of(string->holes, [](const ast::ExprPtr &hole) {
    auto *name = hole->as<ast::NameExpr>();
    return name && name->name == "module";
  });
}

void blocksOf(const ast::Block &body, std::vector<const ast::InteropStmt *> &blocks) {
  for (const ast::StmtPtr &stmt : body)
    if (auto *interop = stmt->as<ast::InteropStmt>()) {
      blocks.push_back(interop);
    } else if (auto *on = stmt->as<ast::OnStmt>()) {
      blocksOf(on->body, blocks);
    } else if (auto *choice = stmt->as<ast::IfStmt>()) {
      blocksOf(choice->thenBody, blocks);
      blocksOf(choice->elseBody, blocks);
    }
}

/// What files a method says that it makes, in a block of its own: their type.
bool makes(const ast::MethodStmt &method, const ast::StringExpr &type) {
  std::vector<const ast::InteropStmt *> blocks;
  blocksOf(method.body, blocks);
  return llvm::any_of(blocks, [&](const ast::InteropStmt *block) {
    return !block->within && llvm::any_of(block->items, [&](const Item &item) {
      auto *said = item.field && item.field->text == "peft_type" && item.value ? item.value->as<ast::StringExpr>() : nullptr;
      return said && said->texts == type.texts;
    });
  });
}

bool startsWith(const std::string &text, const std::string &prefix) { return text.compare(0, prefix.size(), prefix) == 0; }
} // namespace

/// The name in the network with the task's head, whose base has a prefix; architectures whose names are whole have it already.
std::string Elaborator::nameInClass(const std::string &name, bool isNew) const {
  const bool whole = llvm::any_of(parameters_, [&](auto &entry) {
    mlir::nn::ParameterOp parameter = entry.second;
    auto stored = parameter.getCheckpoint();
    return parameter.getRole() == "base" && stored && startsWith(stored->str(), info_.prefix);
  });
  return isNew || whole || startsWith(name, info_.prefix) ? name : info_.prefix + name;
}

/// What the site is called there, or why it is nothing there by itself.
std::string Elaborator::moduleInClass(const ModuleNode &site, std::string &why) const {
  const std::string path = site.path.empty() ? "model" : site.path;
  if (info_.mergedClass.empty())
    why = "`" + info_.arch + "` does not say which class of transformers has this task";
  else if (site.part && (site.part->rows || site.part->reshaped))
    why = "`" + path + "` is a part of `" + nameInClass(site.checkpoint, false) + "`, which those files take whole";
  else if (site.checkpoint.empty())
    why = "`" + path + "` has no name in the checkpoint";
  return why.empty() ? nameInClass(site.checkpoint, site.isNew && !site.orNew) : "";
}

void Elaborator::addTaskInterop(const ast::InteropStmt &stmt, const EnvPtr &env) {
  for (const Item &item : stmt.items)
    interop_.ofTask[item.field->text] = toJson(eval(*item.value, env), item.value->range);
}

/// Whether the block is about the program's files: one that is for another method's where there is one, else one of the method's own.
bool Elaborator::isOfFiles(const Instance &instance, const ast::InteropStmt &stmt) const {
  auto inOthers = [&](const ast::InteropStmt &block) {
    return block.within && llvm::any_of(attaches_, [&](const Attach &other) {
      return other.method.method != instance.attach->method.method && makes(*other.method.method, *block.within->as<ast::StringExpr>());
    });
  };
  std::vector<const ast::InteropStmt *> blocks;
  blocksOf(instance.attach->method.method->body, blocks);
  return stmt.within ? inOthers(stmt) : llvm::none_of(blocks, [&](const ast::InteropStmt *block) { return inOthers(*block); });
}

void Elaborator::execInterop(Instance &instance, const ast::InteropStmt &stmt) {
  if (instance.name != instance.attach->name || !isOfFiles(instance, stmt))
    return; // a part of another method, which speaks for it; or about other files
  if (!interop_.func) {
    mlir::OpBuilder::InsertionGuard guard(builder_);
    builder_.setInsertionPointToEnd(module_.getBody());
    interop_.func = mlir::func::FuncOp::create(builder_, location(stmt.range), "export", builder_.getFunctionType({}, {}));
    interop_.func.addEntryBlock();
    interop_.first = stmt.range;
  }
  const std::string path = instance.site->path.empty() ? "model" : instance.site->path;
  auto [known, first] = interop_.methodAt.emplace(path, instance.name);
  if (!first && known->second != instance.name)
    interop_.refuse("`" + path + "` has `" + known->second + "` and `" + instance.name + "`, those files have one method a module");
  std::string why, module = moduleInClass(*instance.site, why);
  const bool needed = llvm::any_of(stmt.items, [](const Item &item) { return item.kind == Item::Kind::Sites || namesModule(item.key); });
  if (needed && !why.empty())
    return interop_.refuse(why);
  auto env = std::make_shared<Env>(instance.env);
  if (why.empty())
    env->values["module"] = module;
  env->values["transposed"] = instance.site->part && instance.site->part->transposed;
  for (const Item &item : stmt.items)
    if (item.kind == Item::Kind::Tensor)
      addInteropTensor(instance, item, env);
    else if (item.kind == Item::Kind::Trained)
      interop_.trained = interop_.trained ? interop_.trained : &item;
    else
      addInteropField(item, path, module, env);
}

void Elaborator::addInteropField(const Item &item, const std::string &site, const std::string &module, const EnvPtr &env) {
  if (item.kind == Item::Kind::Require) {
    Value holds = eval(*item.value, env);
    if (!holds.as<bool>() || !*holds.as<bool>()) // a value that the text decides does not hold everywhere
      interop_.refuse(evalString(*item.message, env));
    return;
  }
  Value value = item.value ? eval(*item.value, env) : Value(true);
  if (item.kind == Item::Kind::Field && item.field->text == "ignores") {
    if (!value.list())
      fail(Kind::E0350, item.value->range, {"what is ignored is a list of fields, this is " + value.describe()});
    for (const Value &name : *value.list())
      interop_.ignores.insert(name.as<std::string>() ? *name.as<std::string>() : std::string());
    return;
  }
  if (value.as<Tensor>()) { // an argument that a text decides
    interop_.refuse("`" + item.field->text + "` at `" + site + "` is not known when compiling");
    return;
  }
  if (item.kind == Item::Kind::Choice && (!value.list() || value.list()->empty()))
    fail(Kind::E0350, item.value->range, {"what `" + item.field->text + "` may be is a list, this is " + value.describe()});
  if (interop_.fields.emplace(item.field->text, Interop::Field()).second)
    interop_.order.push_back(item.field->text);
  Interop::Field &field = interop_.fields[item.field->text];
  field.kind = item.kind;
  field.range = item.range;
  if (item.exceptions)
    field.exceptions = item.exceptions->text;
  nlohmann::json said = toJson(value, item.value ? item.value->range : item.range);
  if (said.is_number_float() && std::floor(said.get<double>()) == said.get<double>() && std::abs(said.get<double>()) < kLargestWhole)
    said = said.get<int64_t>(); // 8 and 8.0 are one number
  field.at.push_back({site, module, std::move(said)});
}

/// `all_sites(x)`: what x is at each site of the attach; of an expression that has it nothing is computed before the last of them.
Value Elaborator::allSites(const ast::Expr &x, const void *call, const EnvPtr &env) {
  if (!instance_ || !inInterop_)
    fail(Kind::E0350, x.range, {"`all_sites` is of all sites of an attach, which only `interop` sees"});
  std::vector<Value> &values = interop_.gathered[{instance_->attach->index, call}];
  Value value = eval(x, env);
  values.push_back(value.as<Tensor>() ? Value(Tensor{copiedTo(besideExport(), value.as<Tensor>()->value, x.range), value.as<Tensor>()->axes}) : value);
  settle(besideExport(), x.range);
  if (instance_->siteIndex + 1 < static_cast<int64_t>(instance_->attach->sites.size()))
    throw NotYet{};
  return Value(std::make_shared<ValueList>(values));
}

/// @export, of what predicting computes.
Elaborator::Beside Elaborator::besideExport() {
  return {&interop_.func.getBody().front(), false, [this](Range range, mlir::Operation *op) {
            auto read = llvm::dyn_cast_or_null<mlir::peft::ReadOp>(op);
            fail(Kind::E0354, range, {"what a file holds"}, read ? "`" + read.getPoint().str() + "` depends on the text that is read" : "it depends on the text that is read, or is drawn anew in each step");
          }};
}

void Elaborator::addInteropTensor(Instance &instance, const Item &item, const EnvPtr &env) {
  mlir::OpBuilder::InsertionGuard guard(builder_);
  builder_.setInsertionPointToEnd(&interop_.func.getBody().front());
  const bool outer = std::exchange(inInterop_, true);
  llvm::scope_exit restore([&] { inInterop_ = outer; });
  try {
    Tensor value = asFloat(toTensor(eval(*item.value, env), f32(), item.value->range), item.value->range);
    mlir::Value made = copiedTo(besideExport(), value.value, item.value->range);
    settle(besideExport(), item.value->range); // last: a read that it replaces is gone
    if (!mlir::cast<mlir::nn::NNType>(made.getType()).isStatic() || mlir::cast<mlir::nn::NNType>(made.getType()).getExample())
      fail(Kind::E0354, item.value->range, {"what a file holds"}, "it depends on the text that is read");
    addExported(evalString(*item.key, env), made, instance.site->path.empty() ? "model" : instance.site->path);
  } catch (const NotYet &) {
  }
}

/// A tensor of the files. One that all sites share is the same parameter every time.
void Elaborator::addExported(const std::string &key, mlir::Value value, const std::string &site) {
  auto [known, first] = interop_.tensors.emplace(key, value);
  if (first) {
    interop_.keys.push_back(key);
    return;
  }
  auto a = known->second.getDefiningOp<mlir::nn::ParamOp>(), b = value.getDefiningOp<mlir::nn::ParamOp>();
  if (!a || !b || a.getName() != b.getName())
    interop_.refuse("`" + key + "` is written twice, the second time at `" + site + "`");
}

} // namespace peftc::import
