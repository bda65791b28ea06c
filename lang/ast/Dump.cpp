// Dump: see the header. Every field of every node is written: two trees with the same dump mean the same.
#include "lang/ast/Dump.h"

namespace peftc::ast {
namespace {

class Dumper {
public:
  std::string out;

  void block(const char *label, const Block &statements) {
    open(label);
    for (const StmtPtr &statement : statements)
      stmt(*statement);
    close();
  }
  void expr(const Expr *value);

private:
  unsigned depth_ = 0;

  void line(const std::string &text) { out += std::string(2 * depth_, ' ') + text + "\n"; }
  void open(const std::string &text) { line(text), ++depth_; }
  void close() { --depth_; }
  static std::string quote(const std::string &text) {
    std::string quoted = "\"";
    for (char c : text)
      quoted += c == '\n' ? std::string("\\n") : c == '"' || c == '\\' ? std::string("\\") + c : std::string(1, c);
    return quoted + "\"";
  }
  static std::string names(const std::vector<Ident> &idents) {
    std::string all;
    for (const Ident &ident : idents)
      all += " " + ident.text;
    return all;
  }
  void part(const char *label, const Expr *value) {
    if (!value)
      return;
    open(label);
    expr(value);
    close();
  }
  void part(const char *label, const ExprPtr &value) { part(label, value.get()); }
  void fields(const std::vector<Field> &all) {
    for (const Field &field : all)
      part(("field " + field.name.text).c_str(), field.value);
  }
  void path(const std::vector<SelectorPart> &parts);
  void selector(const Selector &selector);
  void type(const TypeExpr *type);
  void parameter(const Parameter &parameter);
  void stmt(const Stmt &stmt);
  bool small(const Stmt &stmt);
  bool body(const Stmt &stmt);
  void checkpointName(const std::optional<CheckpointName> &name);
  void interop(const InteropStmt &stmt);
  bool spec(const Stmt &stmt);
  void declaration(const Declaration &declaration);
  void aggregate(const Expr &value);
  void head(const std::string &what, const Declaration &declaration);
};

const char *text(BinaryOp op) {
  static const char *all[] = {"+", "-", "*", "/", "%", "**", "@", "<", "<=", ">", ">=", "==", "!=", "and", "or", "else", ".."};
  return all[static_cast<size_t>(op)];
}

void Dumper::expr(const Expr *value) {
  if (!value)
    return line("-");
  if (auto *number = value->as<NumberExpr>())
    return line("number " + number->spelling);
  if (auto *boolean = value->as<BoolExpr>())
    return line(boolean->value ? "true" : "false");
  if (value->as<NoneExpr>())
    return line("none");
  if (auto *name = value->as<NameExpr>())
    return line("name " + name->name);
  if (auto *string = value->as<StringExpr>()) {
    open("string");
    for (size_t i = 0; i < string->texts.size(); ++i) {
      line(quote(string->texts[i]));
      if (i < string->holes.size())
        expr(string->holes[i].get());
    }
    return close();
  }
  if (auto *member = value->as<MemberExpr>()) {
    open("member " + member->member.text);
    expr(member->object.get());
    return close();
  }
  if (auto *unary = value->as<UnaryExpr>()) {
    open(unary->op == UnaryOp::Neg ? "unary -" : "unary not");
    expr(unary->operand.get());
    return close();
  }
  if (auto *binary = value->as<BinaryExpr>()) {
    open(std::string("binary ") + text(binary->op));
    expr(binary->lhs.get());
    expr(binary->rhs.get());
    return close();
  }
  aggregate(*value);
}

void Dumper::aggregate(const Expr &value) {
  if (auto *list = value.as<ListExpr>()) {
    open(list->tuple ? "tuple" : "list");
    for (const ExprPtr &item : list->items)
      expr(item.get());
  } else if (auto *call = value.as<CallExpr>()) {
    open(call->frozen ? "call frozen" : "call");
    expr(call->callee.get());
    for (const Argument &argument : call->args)
      part(argument.name ? ("argument " + argument.name->text).c_str() : "argument", argument.value);
    part("from", call->from);
  } else if (auto *index = value.as<IndexExpr>()) {
    open("index");
    expr(index->object.get());
    static const char *kinds[] = {"at", "slice", "new axis", "ellipsis"};
    for (const Subscript &subscript : index->subscripts) {
      open(kinds[static_cast<size_t>(subscript.kind)]);
      part("index", subscript.index);
      part("start", subscript.start);
      part("stop", subscript.stop);
      part("step", subscript.step);
      close();
    }
  } else if (auto *branch = value.as<IfExpr>()) {
    open("if");
    expr(branch->condition.get());
    expr(branch->thenValue.get());
    expr(branch->elseValue.get());
  } else if (auto *lambda = value.as<LambdaExpr>()) {
    open("lambda" + names(lambda->params));
    expr(lambda->body.get());
  } else if (auto *each = value.as<ComprehensionExpr>()) {
    open("for " + each->variable.text);
    expr(each->over.get());
    expr(each->body.get());
  } else if (auto *with = value.as<BlockExpr>()) {
    open("block");
    block("statements", with->statements);
    expr(with->value.get());
  } else if (auto *choose = value.as<ChooseExpr>()) {
    open("choose");
    for (const ExprPtr &alternative : choose->alternatives)
      expr(alternative.get());
  } else {
    open("selector value");
    selector(*value.as<SelectorValueExpr>()->selector);
  }
  close();
}

void Dumper::path(const std::vector<SelectorPart> &parts) {
  open("path");
  static const char *kinds[] = {"name ", "*", "**", "alternatives", "checkpoint ", "subset "};
  for (const SelectorPart &one : parts) {
    open(kinds[static_cast<size_t>(one.kind)] + one.name + (one.indexed ? " []" : ""));
    for (const auto &alternative : one.alternatives)
      path(alternative);
    part("index", one.index);
    part("start", one.start);
    part("stop", one.stop);
    part("step", one.step);
    close();
  }
  close();
}

void Dumper::selector(const Selector &selector) {
  open("selector");
  for (const auto &one : selector.paths)
    path(one);
  part("where", selector.where);
  if (!selector.except.empty()) {
    open("except");
    for (const auto &one : selector.except)
      path(one);
    close();
  }
  close();
}

void Dumper::type(const TypeExpr *type) {
  if (!type)
    return;
  open(std::string("type ") + (type->isTensor ? "tensor " : "") + type->name + (type->methodKind.empty() ? "" : " on " + type->methodKind));
  for (const Bound &bound : type->bounds)
    line(bound.words());
  for (const ExprPtr &dim : type->dims)
    expr(dim.get());
  this->type(type->element.get());
  close();
}

void Dumper::parameter(const Parameter &parameter) {
  open("parameter " + parameter.name.text + (parameter.isConst ? " const" : ""));
  type(parameter.type.get());
  part("default", parameter.defaultValue);
  close();
}

void Dumper::stmt(const Stmt &stmt) {
  if (!small(stmt) && !body(stmt) && !spec(stmt))
    declaration(static_cast<const Declaration &>(stmt));
  close();
}

/// A name and a value.
bool Dumper::small(const Stmt &stmt) {
  if (auto *let = stmt.as<LetStmt>())
    open((let->tuple ? "let tuple" : "let") + names(let->names)), expr(let->value.get());
  else if (auto *bind = stmt.as<BindStmt>())
    open("bind " + bind->name.text), expr(bind->value.get());
  else if (auto *dim = stmt.as<DimStmt>())
    open("dim " + dim->name.text), expr(dim->value.get());
  else if (auto *metric = stmt.as<MetricStmt>())
    open("metric " + metric->name.text), expr(metric->value.get());
  else if (auto *state = stmt.as<StateStmt>())
    open("state " + state->name.text), part("init", state->init);
  else if (auto *row = stmt.as<RowStmt>())
    open("row " + row->name.text), expr(row->encoder.get());
  else if (auto *loss = stmt.as<LossStmt>())
    open(loss->add ? "loss +=" : "loss <-"), expr(loss->value.get());
  else if (auto *rewire = stmt.as<RewireStmt>())
    open(rewire->add ? "rewire +=" : "rewire <-"), expr(rewire->target.get()), expr(rewire->value.get());
  else if (auto *gradient = stmt.as<GradStmt>())
    open("grad <-"), expr(gradient->parameter.get()), expr(gradient->value.get());
  else if (auto *sample = stmt.as<SampleStmt>())
    open("sample " + sample->name.text + (sample->per == SampleStmt::Per::Pass ? "" : " per step")), expr(sample->distribution.get());
  else if (auto *require = stmt.as<RequireStmt>())
    open("require"), expr(require->condition.get()), expr(require->message.get());
  else if (auto *init = stmt.as<AtInitStmt>())
    open(init->identity ? "at_init identity" : "at_init changes " + quote(init->reason));
  else if (auto *reserved = stmt.as<ReservedStmt>())
    open("reserved " + reserved->word);
  else
    return false;
  return true;
}

void Dumper::checkpointName(const std::optional<CheckpointName> &name) {
  if (!name)
    return;
  std::string what = name->isNew ? "new checkpoint name" : "checkpoint name";
  part((what + (name->transposed ? " transposed" : name->reshaped ? " reshaped" : "") + (name->rows ? " rows" : "") + (name->orNew ? " or new" : "")).c_str(), name->name);
  part("from", name->from);
  part("to", name->to);
}

void Dumper::interop(const InteropStmt &stmt) {
  static const char *kinds[] = {"field", "choice", "sites", "trained", "tensor", "require"};
  part("in", stmt.within);
  for (const InteropItem &item : stmt.items) {
    open(kinds[static_cast<size_t>(item.kind)] + (item.field ? " " + item.field->text : "") + (item.exceptions ? " except " + item.exceptions->text : ""));
    part("key", item.key);
    part("value", item.value);
    part("message", item.message);
    close();
  }
}

bool Dumper::body(const Stmt &stmt) {
  if (auto *param = stmt.as<ParamStmt>()) {
    static const char *kinds[] = {"param ", "buffer ", "frozen "};
    std::string per = param->sharedPer ? " per " + param->sharedPer->text : "";
    open(kinds[static_cast<size_t>(param->storage)] + param->name.text + (param->shared ? " shared" : "") + per);
    type(param->type.get()), part("init", param->init);
  } else if (auto *input = stmt.as<InputStmt>()) {
    open("input " + input->name.text), type(input->type.get());
  } else if (auto *weight = stmt.as<WeightStmt>()) {
    open("weight " + weight->name.text), type(weight->type.get());
    checkpointName(weight->checkpoint);
    part("init", weight->init);
  } else if (auto *train = stmt.as<TrainStmt>()) {
    open(train->freeze ? "freeze" : "train"), selector(train->selector);
  } else if (auto *branch = stmt.as<IfStmt>()) {
    open("if"), expr(branch->condition.get()), block("then", branch->thenBody), block("else", branch->elseBody);
  } else if (auto *loop = stmt.as<ForStmt>()) {
    open("for " + loop->variable.text), expr(loop->over.get()), block("body", loop->body);
  } else if (auto *attach = stmt.as<AttachStmt>()) {
    open(std::string(attach->maybe ? "attach maybe" : "attach") + (attach->alias ? " as " + attach->alias->text : "")), expr(attach->method.get()), selector(attach->selector);
  } else if (auto *module = stmt.as<ModuleStmt>()) {
    open((module->optional ? "optional module" : "module") + names(module->names) + " :" + names(module->kinds) + (module->doc.empty() ? "" : " " + quote(module->doc)));
    if (module->variable)
      part(("over " + module->variable->text).c_str(), module->over);
    part("constructor", module->constructor);
    checkpointName(module->checkpoint);
    part("tied to", module->tiedTo);
    part("tied when", module->tiedWhen);
    block("body", module->body);
  } else if (auto *checkpoint = stmt.as<CheckpointStmt>()) {
    open("checkpoint for" + names(checkpoint->tasks)), fields(checkpoint->fields);
  } else if (auto *example = stmt.as<ExampleStmt>()) {
    open("example"), fields(example->fields);
  } else if (auto *interop = stmt.as<InteropStmt>()) {
    open("interop " + interop->format.text), this->interop(*interop);
  } else if (auto *on = stmt.as<OnStmt>()) {
    open("on " + on->site.text), block("body", on->body);
  } else if (auto *event = stmt.as<OnGradStmt>()) {
    open("on grad"), block("body", event->body);
  } else {
    return false;
  }
  return true;
}

bool Dumper::spec(const Stmt &stmt) {
  if (auto *use = stmt.as<UseStmt>()) {
    open("use" + names(use->path) + " {" + names(use->names) + " }" + (use->file ? " " + quote(*use->file) : ""));
  } else if (auto *input = stmt.as<SpecInputStmt>()) {
    open("spec input"), parameter(input->parameter);
  } else if (auto *model = stmt.as<ModelStmt>()) {
    open("model " + model->name.text), expr(model->arch.get());
  } else if (auto *task = stmt.as<TaskUseStmt>()) {
    open("task"), expr(task->task.get());
  } else if (auto *optimize = stmt.as<OptimizeStmt>()) {
    open("optimize"), expr(optimize->optimizer.get()), part("schedule", optimize->schedule);
    for (const OptimizerGroup &group : optimize->groups)
      open("group"), fields(group.fields), selector(group.selector), close();
  } else if (auto *run = stmt.as<RunStmt>()) {
    open("run"), fields(run->fields);
  } else if (auto *search = stmt.as<SearchStmt>()) {
    open("search");
    for (const SearchStmt::Objective &objective : search->objectives)
      line((objective.maximize ? "maximize " : "minimize ") + objective.name.text);
    part("strategy", search->strategy);
  } else if (auto *budget = stmt.as<BudgetStmt>()) {
    open("budget " + budget->quantity.text), expr(budget->limit.get());
  } else {
    return false;
  }
  return true;
}

void Dumper::head(const std::string &what, const Declaration &declaration) {
  open(what + " " + declaration.name.text + (declaration.doc.empty() ? "" : " " + quote(declaration.doc)));
  for (const Parameter &one : declaration.params)
    parameter(one);
}

void Dumper::declaration(const Declaration &stmt) {
  if (auto *fn = stmt.as<FnStmt>())
    head("fn", *fn), expr(fn->body.get());
  else if (auto *method = stmt.as<MethodStmt>())
    head("method" + (method->site ? " on " + method->site->text : ""), *method), block("body", method->body);
  else if (auto *arch = stmt.as<ArchStmt>())
    head("arch :" + names(arch->kinds), *arch), block("body", arch->body);
  else if (auto *module = stmt.as<ModuleDeclStmt>())
    head("module declaration :" + names(module->kinds), *module), block("body", module->body);
  else if (auto *optimizer = stmt.as<OptimizerStmt>())
    head("optimizer", *optimizer), block("body", optimizer->body);
  else if (auto *schedule = stmt.as<ScheduleStmt>())
    head("schedule", *schedule), expr(schedule->body.get());
  else if (auto *task = stmt.as<TaskStmt>())
    head("task" + (task->site ? " on " + task->site->text : ""), *task), block("body", task->body);
  else if (auto *kind = stmt.as<KindDeclStmt>()) {
    head("kind dims" + names(kind->dims), *kind);
    for (const KindPoint &point : kind->points)
      open("point " + point.name.text), type(point.type.get()), close();
  }
}

} // namespace

std::string dump(const File &file) {
  Dumper dumper;
  dumper.block("file", file.statements);
  return dumper.out;
}
std::string dump(const Expr &expr) {
  Dumper dumper;
  dumper.expr(&expr);
  return dumper.out;
}

} // namespace peftc::ast
