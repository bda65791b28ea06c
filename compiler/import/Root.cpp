// Root: the whole network: the arch with config.json, then the task and what a data row has.
//
// In     ArchStmt, TaskStmt, config.json
// Out    peft.module @model; rows and checkpoint facts in EmitInfo
// Errs   E0604 another model type, E0609 config.json says what the architecture does not read, E0207 no model or task
#include "compiler/import/Elaborator.h"

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

namespace {
/// How many entries an encoder makes of a row, and of which type. What it reads: runtime/data/README.md.
struct Encoding {
  bool perToken;
  const char *dtype;
  size_t arguments; ///< that it needs
};
const std::map<std::string, Encoding> kEncoders = {{"image", {true, "f32", 5}},   {"tokens", {true, "i64", 1}},  {"words", {true, "i64", 1}},  {"choices", {true, "i64", 3}}, {"answer", {true, "i64", 3}}, {"targets", {true, "i64", 1}},
                                                   {"classes", {true, "i64", 3}}, {"class", {false, "i64", 2}}, {"choice", {false, "i64", 2}}, {"number", {false, "f32", 1}}, {"index", {false, "i64", 2}}};
} // namespace

/// What a row's encoder needs of the rows before it.
std::string Elaborator::wrongRow(const std::string &encoder) const {
  auto has = [&](const char *name) { return llvm::any_of(info_.rows, [&](const EmitInfo::Row &row) { return row.encoder == name; }); };
  if (encoder == "classes" && !has("words"))
    return "`classes` are those of words: a row with `words` comes before";
  if (encoder == "choice" && !has("choices"))
    return "`choice` is one of `choices`: a row with these comes before";
  if ((encoder == "targets" || encoder == "classes") && has("choices"))
    return "the texts of `choices` have no " + encoder;
  if (encoder == "answer" && (!has("tokens") || has("answer")))
    return "an `answer` is to one text: a row with `tokens` comes before, and no other answer";
  return "";
}

/// Which of the example's sequences a row's tokens are: each text is one, and what is said of tokens is of those before.
int64_t Elaborator::sequenceOf(const std::string &encoder) const {
  return encoder == "answer" || llvm::any_of(info_.rows, [](const EmitInfo::Row &row) { return row.encoder == "answer"; }) ? 1 : 0;
}

void Elaborator::addRow(const ast::RowStmt &stmt, const EnvPtr &env) {
  auto *call = stmt.encoder->as<ast::CallExpr>();
  auto *callee = call ? call->callee->as<ast::NameExpr>() : nullptr;
  if (!callee || !kEncoders.count(callee->name))
    fail(Kind::E0350, stmt.range, {"a row is read by an encoder: tokens, words, choices, image, answer, targets, classes, class, choice, number or index"});
  if (std::string wrong = wrongRow(callee->name); !wrong.empty())
    fail(Kind::E0350, stmt.range, {wrong});
  const Encoding &encoding = kEncoders.at(callee->name);
  if (call->args.size() < encoding.arguments)
    fail(Kind::E0350, stmt.range, {"`" + callee->name + "` needs " + std::to_string(encoding.arguments) + " arguments, and has " + std::to_string(call->args.size())});
  EmitInfo::Row row;
  row.name = stmt.name.text;
  row.encoder = callee->name;
  row.args = nlohmann::json::array();
  for (const ast::Argument &arg : call->args)
    row.args.push_back(toJson(eval(*arg.value, env), arg.range));
  if (row.encoder == "choices")
    row.examples = evalInt(*call->args[2].value, env, "a number of choices");
  const bool image = row.encoder == "image";
  row.perSeq = encoding.perToken; // of an image a token is a patch
  row.dtype = encoding.dtype;
  row.sequence = row.perSeq ? sequenceOf(row.encoder) : 0;
  llvm::SmallVector<Dim> dims(row.perSeq ? 1 : 0, Dim::seq(row.sequence));
  if (image)
    dims.push_back({featuresOf(row, stmt.range), 0});
  NNType type = NNType::get(context_, true, dims, row.dtype == "f32" ? f32() : i64());
  if (row.perSeq && !image && !info_.vocabSize)
    fail(Kind::E0350, spec_.model->arch->range, {"`" + row.name + "` are tokens, and `" + info_.arch + "` does not say of how many"}, "", "an architecture says `checkpoint { vocab_size = cfg.vocab_size }`");
  for (const EmitInfo::Row &known : info_.rows)
    if (known.name == row.name) { // of another site, or another method's
      if (known.encoder != row.encoder || known.args != row.args)
        fail(Kind::E0350, stmt.range, {"the row `" + row.name + "` is `" + known.encoder + known.args.dump() + "` already, here it is `" + row.encoder + row.args.dump() + "`"});
      return;
    }
  info_.rows.push_back(row);
  // The arch may have named the same input already.
  for (auto [i, input] : llvm::enumerate(root_->op.getInputs()))
    if (mlir::cast<mlir::StringAttr>(input).getValue() == stmt.name.text) {
      if (mlir::Type known = root_->op.getForward().getArgument(i).getType(); known != type)
        fail(Kind::E0350, stmt.range, {"`" + row.name + "` is " + mlir::nn::toString(mlir::cast<NNType>(known)) + " to the network, its rows are " + mlir::nn::toString(type)});
      return;
    }
  addInput(*root_, stmt.name.text, type, image ? std::vector<std::string>{"seq", ""} : row.perSeq ? std::vector<std::string>{"seq"} : std::vector<std::string>{}, stmt.range);
}

void Elaborator::importModel() {
  if (!spec_.model || !spec_.task)
    fail(Kind::E0207, Range{spec_.main().source, 0, 0}, {spec_.model ? "task" : "model"});
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

namespace {
/// Names of all rows of a task, whatever they depend on.
void addRowNames(const ast::Block &body, std::set<std::string> &names) {
  for (const ast::StmtPtr &stmt : body) {
    if (auto *row = stmt->as<ast::RowStmt>())
      names.insert(row->name.text);
    if (auto *choice = stmt->as<ast::IfStmt>()) {
      addRowNames(choice->thenBody, names);
      addRowNames(choice->elseBody, names);
    }
  }
}

/// Tasks that have a row of this name, as a list; empty if there is none.
std::string tasksWithRow(const Scope &visible, const std::string &name) {
  std::string list;
  for (const auto &[task, stmt] : visible.tasks) {
    std::set<std::string> rows;
    addRowNames(stmt->body, rows);
    if (rows.count(name))
      list += (list.empty() ? "`" : ", `") + task + "`";
  }
  return list;
}
} // namespace

void Elaborator::importTask(const EnvPtr &env) {
  // The task's body sees the arch's bindings and its own arguments.
  diag::Blame blameTask(diags_, spec_.task->task->range);
  auto *taskCall = spec_.task->task->as<ast::CallExpr>();
  auto *taskName = (taskCall ? taskCall->callee.get() : spec_.task->task.get())->as<ast::NameExpr>();
  const Scope &visible = spec_.scopeOf(spec_.task->range);
  if (!taskName || !visible.tasks.count(taskName->name))
    fail(Kind::E0356, spec_.task->range, {taskName ? taskName->name : "this"});
  const ast::TaskStmt &task = *visible.tasks.at(taskName->name);
  std::set<std::string> rows;
  addRowNames(task.body, rows);
  for (mlir::Attribute input : root_->op.getInputs()) // before the task computes anything of what it has no rows for
    if (const std::string read = mlir::cast<mlir::StringAttr>(input).getValue().str(); !rows.count(read)) {
      const std::string others = tasksWithRow(visible, read);
      fail(Kind::E0357, spec_.task->task->range, {task.name.text, "row " + read}, "`" + info_.arch + "` reads `" + read + "`", others.empty() ? "" : "tasks with such a row: " + others);
    }
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

} // namespace peftc::import
