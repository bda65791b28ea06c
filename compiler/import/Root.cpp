// Root: the whole network: the arch with config.json, then the task, what a data row has, and metrics.
//
// In     ArchStmt, TaskStmt, config.json
// Out    peft.module @model; rows, metrics and checkpoint facts in EmitInfo; a function for each metric that is made of totals
// Errs   E0604 another model type, E0609 config.json says what the architecture does not read, E0207 no model or task
#include "compiler/import/Elaborator.h"
#include "mlir/IR/IRMapping.h"

namespace peftc::import {
using diag::Kind;
using mlir::nn::Dim;
using mlir::nn::NNType;

static std::string joinPath(const std::string &a, const std::string &b) { return a.empty() ? b : a + "." + b; }

void Elaborator::addCheckpointFacts(const ast::CheckpointStmt &stmt, const EnvPtr &env) {
  auto *use = spec_.task ? spec_.task->task.get() : nullptr;
  const ast::CallExpr *call = use ? use->as<ast::CallExpr>() : nullptr;
  const ast::NameExpr *name = use ? (call ? call->callee.get() : use)->as<ast::NameExpr>() : nullptr;
  if (!stmt.tasks.empty() && !(name && llvm::any_of(stmt.tasks, [&](const ast::Ident &t) { return t.text == name->name; })))
    return;
  for (const ast::Field &field : stmt.fields) {
    if (field.name.text == "ignores") {
      addIgnored(field, env);
      continue;
    }
    if (field.name.text == "vocab_size" || field.name.text == "max_positions") {
      Value length = eval(*field.value, env);
      if (!length.isNone() && (!length.as<int64_t>() || *length.as<int64_t>() < 1))
        fail(Kind::E0353, field.value->range, {field.name.text, "a whole number, at least 1", length.isNumber() ? spelled(length.number()) : length.describe()});
      (field.name.text == "vocab_size" ? info_.vocabSize : info_.maxPositions) = length.isNone() ? std::nullopt : std::optional(*length.as<int64_t>());
      continue;
    }
    std::string text = evalString(*field.value, env);
    if (field.name.text == "prefix") {
      info_.prefix = text;
    } else if (field.name.text == "class") {
      info_.mergedClass = text;
    } else if (field.name.text == "model_type") {
      auto actual = checkpoint_.config.find("model_type");
      if (actual == checkpoint_.config.end())
        fail(Kind::E0601, spec_.model->arch->range, {"model_type"});
      if (*actual != text)
        fail(Kind::E0604, spec_.model->arch->range, {actual->is_string() ? actual->get<std::string>() : actual->dump(), text});
    } else {
      fail(Kind::E0350, field.name.range, {"a checkpoint has model_type, prefix, class, vocab_size, max_positions and ignores, not `" + field.name.text + "`"});
    }
  }
}

void Elaborator::addIgnored(const ast::Field &field, const EnvPtr &env) {
  Value keys = eval(*field.value, env);
  if (!keys.list())
    fail(Kind::E0350, field.value->range, {"what is ignored is a list of keys, this is " + keys.describe()});
  for (const Value &key : *keys.list()) {
    if (!key.as<std::string>())
      fail(Kind::E0350, field.value->range, {"a key of config.json is a string, this is " + key.describe()});
    ignoredConfig_.insert(*key.as<std::string>());
  }
}

/// Keys of `json`, dotted, that say something and that nobody asked for.
static void addUnread(const nlohmann::json &json, const std::string &path, const std::set<std::string> &read, const std::set<std::string> &ignored, std::vector<std::string> &unread) {
  for (const auto &[key, value] : json.items()) {
    const std::string name = joinPath(path, key);
    if (value.is_null() || ignored.count(name))
      continue;
    if (!read.count(name))
      unread.push_back(name);
    else if (value.is_object())
      addUnread(value, name, read, ignored, unread);
  }
}

void Elaborator::checkConfigRead(const ast::ArchStmt &arch, const std::set<std::string> &read) {
  std::vector<std::string> unread;
  addUnread(checkpoint_.config, "", read, ignoredConfig_, unread);
  if (unread.empty())
    return;
  std::string keys, list;
  for (const std::string &key : unread) {
    keys += (keys.empty() ? "`" : ", `") + key + "`";
    list += (list.empty() ? "\"" : ", \"") + key + "\"";
  }
  fail(Kind::E0609, spec_.model->arch->range, {keys, arch.name.text}, "",
       "if it changes no number, delete it from config.json; an architecture of your own says `checkpoint { ignores = [" + list + "] }`");
}

/// Numbers a patch: `image(field, channels, height, width, patch)`.
int64_t Elaborator::featuresOf(const EmitInfo::Row &row, Range range) {
  for (size_t i = 1; i < 5; ++i)
    if (row.args.size() != 5 || !row.args[i].is_number_integer() || row.args[i] < 1)
      fail(Kind::E0350, range, {"an image has a field, channels, height, width and the side of a patch"});
  const int64_t height = row.args[2], width = row.args[3], patch = row.args[4];
  if (height % patch != 0 || width % patch != 0)
    fail(Kind::E0350, range, {"an image of " + std::to_string(height) + " by " + std::to_string(width) + " is not whole patches of " + std::to_string(patch)});
  return row.args[1].get<int64_t>() * patch * patch;
}

void Elaborator::addRow(const ast::RowStmt &stmt, const EnvPtr &env) {
  auto *call = stmt.encoder->as<ast::CallExpr>();
  auto *callee = call ? call->callee->as<ast::NameExpr>() : nullptr;
  if (!callee)
    fail(Kind::E0350, stmt.range, {"a row is read by an encoder: tokens, targets, image, class or number"});
  EmitInfo::Row row;
  row.name = stmt.name.text;
  row.encoder = callee->name;
  row.args = nlohmann::json::array();
  for (const ast::Argument &arg : call->args)
    row.args.push_back(toJson(eval(*arg.value, env), arg.range));
  const bool tokens = row.encoder == "tokens" || row.encoder == "targets", image = row.encoder == "image";
  row.perSeq = tokens || image; // one entry a token, which of an image is a patch
  row.dtype = image || row.encoder == "number" ? "f32" : "i64";
  llvm::SmallVector<Dim> dims(row.perSeq ? 1 : 0, Dim::seq());
  if (image)
    dims.push_back({featuresOf(row, stmt.range), 0});
  NNType type = NNType::get(context_, true, dims, row.dtype == "f32" ? f32() : i64());
  if (tokens && !info_.vocabSize)
    fail(Kind::E0350, spec_.model->arch->range, {"`" + row.name + "` are tokens, and `" + info_.arch + "` does not say of how many"}, "", "an architecture says `checkpoint { vocab_size = cfg.vocab_size }`");
  info_.rows.push_back(row);
  // The arch may have named the same input already.
  for (auto [i, input] : llvm::enumerate(root_->op.getInputs()))
    if (mlir::cast<mlir::StringAttr>(input).getValue() == stmt.name.text) {
      if (mlir::Type known = root_->op.getForward().getArgument(i).getType(); known != type)
        fail(Kind::E0350, stmt.range, {"`" + row.name + "` is " + mlir::nn::toString(mlir::cast<NNType>(known)) + " to the network, its rows are " + mlir::nn::toString(type)});
      return;
    }
  addInput(*root_, stmt.name.text, type, image ? std::vector<std::string>{"seq", ""} : tokens ? std::vector<std::string>{"seq"} : std::vector<std::string>{}, stmt.range);
}

void Elaborator::importModel() {
  if (!spec_.model || !spec_.task)
    fail(Kind::E0207, Range{spec_.files[spec_.mainFile].source, 0, 0}, {spec_.model ? "task" : "model"});
  diag::Blame blame(diags_, spec_.model->arch->range);
  auto *call = spec_.model->arch->as<ast::CallExpr>();
  auto *name = (call ? call->callee.get() : spec_.model->arch.get())->as<ast::NameExpr>();
  const Scope &scope = spec_.scopeOf(spec_.model->arch->range);
  if (!name || !scope.archs.count(name->name))
    fail(Kind::E0356, spec_.model->arch->range, {name ? name->name : "this"});
  const ast::ArchStmt &arch = *scope.archs.at(name->name);
  info_.arch = arch.name.text;

  mlir::OpBuilder::InsertionGuard guard(builder_);
  builder_.setInsertionPointToEnd(module_.getBody());
  init_ = mlir::func::FuncOp::create(builder_, builder_.getUnknownLoc(), "init", builder_.getFunctionType({}, {}));
  builder_.setInsertionPointToStart(init_.addEntryBlock());
  mlir::func::ReturnOp::create(builder_, builder_.getUnknownLoc()); // of nothing as yet
  builder_.setInsertionPointToEnd(module_.getBody());

  root_ = std::make_unique<ModuleNode>();
  root_->hasCheckpoint = true;
  root_->kinds = kindsOf(arch.kinds, arch.range);
  for (const ast::KindDeclStmt *kind : root_->kinds)
    root_->kindNames.push_back(kind->name.text);
  auto env = std::make_shared<Env>(fileEnv(arch.range.file));
  auto read = std::make_shared<std::set<std::string>>();
  read->insert("model_type");
  env->values["cfg"] = Config{checkpoint_.config, read, ""};
  root_->env = env;
  openModule(*root_);
  execModuleBody(*root_, arch.body, env);
  importTask(env);
  checkConfigRead(arch, *read); // a module that only the task names may have asked too
  checkApart();
  closeModule(*root_);
}

void Elaborator::importTask(const EnvPtr &env) {
  // The task's body sees the arch's bindings and its own arguments.
  diag::Blame blameTask(diags_, spec_.task->task->range);
  auto *taskCall = spec_.task->task->as<ast::CallExpr>();
  auto *taskName = (taskCall ? taskCall->callee.get() : spec_.task->task.get())->as<ast::NameExpr>();
  const Scope &visible = spec_.scopeOf(spec_.task->range);
  if (!taskName || !visible.tasks.count(taskName->name))
    fail(Kind::E0356, spec_.task->range, {taskName ? taskName->name : "this"});
  const ast::TaskStmt &task = *visible.tasks.at(taskName->name);
  static const std::vector<ast::Argument> none;
  EnvPtr bound = bindParameters(task.params, taskCall ? taskCall->args : none, fileEnv(spec_.task->range.file),
                                fileEnv(task.range.file), task.name.text, spec_.task->range);
  for (const auto &[key, value] : bound->values)
    env->values[key] = value;
  root_->hasCheckpoint = false;
  for (const ast::StmtPtr &stmt : task.body) {
    mlir::OpBuilder::InsertionGuard inner(builder_);
    builder_.setInsertionPointToEnd(&root_->op.getForward().front());
    std::string before = std::exchange(randomScope_, "task");
    execModuleStmt(*root_, *stmt, env);
    randomScope_ = before;
  }
  for (const char *point : {"logits", "loss"})
    if (!root_->points.count(point))
      fail(Kind::E0357, task.name.range, {task.name.text, point}, "every task computes `logits` and `loss`");
  if (root_->points.at("loss").type.rank() != 0)
    fail(Kind::E0350, task.name.range, {"a loss is one number, this is " + mlir::nn::toString(root_->points.at("loss").type)});
}

// ---- metrics -------------------------------------------------------------------------------------------------------

/// `total(x)`: a number of the run, made of every row's.
Tensor Elaborator::total(const Tensor &perRow, Range range) {
  if (!inMetric_)
    fail(Kind::E0350, range, {"`total` is over all rows of the data, which only a metric sees"});
  Tensor value = asFloat(perRow, range);
  if (value.type().rank() != 0 || !value.type().getExample())
    fail(Kind::E0350, range, {"`total` is of one number a row, this is " + mlir::nn::toString(value.type())});
  auto sum = emit<mlir::nn::ReduceOp>(range, {value.value},
                                      {attr("kind", strAttr("sum")), attr("axes", intsAttr({})), attr("keep", boolAttr(false)), attr("over_examples", boolAttr(true))});
  return sum;
}

/// A metric is one number a row, of which the mean is taken; or a number that is made of totals over all rows. The latter's last part becomes a
/// function of its own, which runs when the totals are known.
void Elaborator::addMetric(const ast::MetricStmt &stmt, const EnvPtr &env) {
  const bool before = std::exchange(inMetric_, true);
  Value value = eval(*stmt.value, env);
  inMetric_ = before;
  Tensor tensor = asFloat(toTensor(value, f32(), stmt.value->range), stmt.value->range);
  if (tensor.type().rank() != 0)
    fail(Kind::E0350, stmt.value->range, {"a metric is one number, this is " + mlir::nn::toString(tensor.type())});
  info_.metrics.push_back(stmt.name.text);
  if (tensor.type().getExample())
    mlir::peft::ResultOp::create(builder_, location(stmt.range), "metric." + stmt.name.text, tensor.value);
  else
    addMetricOfTotals(stmt, tensor);
}

void Elaborator::addMetricOfTotals(const ast::MetricStmt &stmt, const Tensor &tensor) {
  mlir::OpBuilder::InsertionGuard guard(builder_);
  builder_.setInsertionPointToEnd(module_.getBody());
  mlir::Location loc = location(stmt.range);
  NNType number = NNType::get(context_, false, {}, f32());
  auto func = mlir::func::FuncOp::create(builder_, loc, "metric." + stmt.name.text, builder_.getFunctionType({}, {number}));
  mlir::Block *block = func.addEntryBlock();
  mlir::IRMapping mapping;
  llvm::SmallVector<std::string> names;
  std::function<void(mlir::Value)> make = [&](mlir::Value value) {
    mlir::Operation *op = value.getDefiningOp();
    if (mapping.contains(value))
      return;
    if (auto sum = llvm::dyn_cast_or_null<mlir::nn::ReduceOp>(op); sum && sum.getOverExamples()) {
      names.push_back("total." + stmt.name.text + "." + std::to_string(names.size()));
      mlir::OpBuilder before(op);
      mlir::peft::ResultOp::create(before, loc, names.back(), sum.getX());
      mapping.map(value, block->addArgument(number, loc));
      return;
    }
    if (!op || op->getNumResults() != 1)
      fail(Kind::E0350, stmt.value->range, {"a metric is one number a row, or made of totals"});
    for (mlir::Value operand : op->getOperands())
      make(operand);
    builder_.setInsertionPointToEnd(block);
    builder_.clone(*op, mapping);
  };
  make(tensor.value);
  if (names.empty())
    fail(Kind::E0350, stmt.value->range, {"this is the same whatever the rows are"});
  builder_.setInsertionPointToEnd(block);
  mlir::func::ReturnOp::create(builder_, loc, mapping.lookup(tensor.value));
  func.setFunctionType(builder_.getFunctionType(block->getArgumentTypes(), {number}));
  for (auto [i, name] : llvm::enumerate(names))
    func.setArgAttr(i, "nn.name", builder_.getStringAttr(name));
  func.setResultAttr(0, "nn.name", builder_.getStringAttr(stmt.name.text));
}

} // namespace peftc::import
