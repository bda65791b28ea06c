// Statements: the builder's part for the statements of specs and bodies.
#include "lang/syntax/AstBuilder.h"

namespace peftc::syntax {
using ast::StmtPtr;
using Kind = ast::Stmt::Kind;

namespace {

constexpr unsigned bit(Place place) { return 1u << static_cast<unsigned>(place); }
constexpr unsigned kFile = bit(Place::File), kMethod = bit(Place::Method), kModule = bit(Place::Module);
constexpr unsigned kOptimizer = bit(Place::Optimizer), kTask = bit(Place::Task), kFunction = bit(Place::Function);
constexpr unsigned kGradients = bit(Place::Gradients);
constexpr unsigned kBodies = kMethod | kModule | kOptimizer | kTask | kFunction | kGradients;

/// Where each statement may stand.
unsigned allowed(Kind kind) {
  switch (kind) {
  case Kind::Let: return kFile | kBodies;
  case Kind::Param: return kFile | kMethod;
  case Kind::Input: case Kind::Weight: case Kind::Checkpoint: case Kind::Example: case Kind::Dim: return kModule;
  case Kind::Bind: case Kind::Module: return kModule | kTask;
  case Kind::Rewire: return kMethod | kOptimizer | kTask;
  case Kind::Sample: return kMethod | kModule | kTask;
  case Kind::Train: case Kind::Attach: return kFile | kMethod;
  case Kind::If: case Kind::For: return kBodies;
  case Kind::Require: return kFile | kBodies;
  case Kind::AtInit: case Kind::On: case Kind::OnGrad: return kMethod;
  case Kind::Grad: return kGradients;
  case Kind::Row: case Kind::Interop: return kMethod | kTask;
  case Kind::Metric: return kTask;
  case Kind::ModuleDecl: return kFile | kModule;
  case Kind::State: return kOptimizer;
  case Kind::Loss: return kMethod | kTask;
  case Kind::Reserved: return ~0u;
  default: return kFile;
  }
}

const char *nameOf(Place place) {
  switch (place) {
  case Place::File: return "a file, outside of any declaration";
  case Place::Method: return "a method";
  case Place::Module: return "a module or an architecture";
  case Place::Optimizer: return "an optimizer";
  case Place::Task: return "a task";
  case Place::Function: return "a function";
  case Place::Gradients: return "`on grad`";
  }
  return "";
}

} // namespace

ast::Block AstBuilder::statements(P::StmtsContext *context, Place place) {
  ast::Block out;
  for (auto *statement : context->statement())
    if (!statement->exception && statement->stmt())
      add(out, statement->stmt(), place);
  return out;
}

void AstBuilder::checkPlace(const ast::Stmt &stmt, antlr4::ParserRuleContext *context, Place place) {
  const bool fits = allowed(stmt.kind) & bit(place);
  const bool before = place == Place::File && std::exchange(strayed_, !fits);
  if (fits || before) // a brace too many sends a whole body astray: that is one slip
    return;
  std::string word = context->getStart()->getText();
  std::string what = stmt.kind == Kind::Bind     ? "`" + word + " = …`"
                     : stmt.kind == Kind::Rewire ? "`" + word + " <- …`"
                     : stmt.kind == Kind::OnGrad ? "`on grad`"
                     : stmt.kind == Kind::Grad   ? "`grad(…) <- …`"
                     : stmt.kind == Kind::Module ? "`" + word + ": …`"
                                                 : "`" + word + "`";
  auto report = diags_.report(diag::Kind::E0108, range(context->getStart()), {what, nameOf(place)});
  if (stmt.kind == Kind::Bind && (place == Place::Method || place == Place::Optimizer))
    report.help("`let " + word + " = …` names a value, `" + word + " <- …` changes a point");
  else if (stmt.kind == Kind::Bind)
    report.help("`let " + word + " = …` names a value");
}

/// Where a `choose` in a statement would stand; "" where it may.
std::string AstBuilder::closedTo(P::StmtContext *context, Place place) {
  if (place != Place::File)
    return nameOf(place);
  if (context->attachStmt() || context->letStmt() || context->inputStmt() || context->optimizeStmt() || context->runStmt())
    return "";
  const std::string word = context->getStart()->getText();
  return context->modelStmt() || context->taskUse() || context->trainStmt() || context->budgetStmt() || context->searchStmt() ? "`" + word + "`" : "a declaration";
}

void AstBuilder::add(ast::Block &out, P::StmtContext *context, Place place) {
  closedTo_ = closedTo(context, place); // what a statement holds says it again for itself
  if (auto *value = context->valueStmt()) {
    auto *list = dynamic_cast<P::StmtsContext *>(context->parent->parent);
    bool last = list && list->statement().back() == context->parent;
    if (place != Place::Function || !last) {
      expr(value->expr()); // for what it has to say itself
      diags_.report(diag::Kind::E0107, range(value));
    }
    return;
  }
  if (auto *state = context->stateStmt()) {
    for (auto *name : state->ident()) { // `state m, v = zeros` is two statements
      auto one = std::make_unique<ast::StateStmt>(range(state));
      one->name = ident(name);
      if (state->expr())
        one->init = expr(state->expr());
      if (name == state->ident(0))
        checkPlace(*one, state, place);
      out.push_back(std::move(one));
    }
    return;
  }
  StmtPtr stmt = declaration(context);
  if (!stmt)
    stmt = specStatement(context, place);
  if (!stmt)
    stmt = valueStatement(context);
  if (!stmt)
    stmt = bodyStatement(context, place);
  if (!stmt)
    return;
  checkPlace(*stmt, context, place);
  out.push_back(std::move(stmt));
}

StmtPtr AstBuilder::specStatement(P::StmtContext *context, Place place) {
  if (auto *use = context->useStmt())
    return this->use(use);
  if (auto *input = context->inputStmt())
    return this->input(input, place);
  if (auto *model = context->modelStmt()) {
    auto out = std::make_unique<ast::ModelStmt>(range(model));
    out->name = ident(model->ident());
    out->arch = expr(model->expr());
    return out;
  }
  if (auto *task = context->taskUse()) {
    auto out = std::make_unique<ast::TaskUseStmt>(range(task));
    out->task = postfix(task->postfix());
    return out;
  }
  if (auto *attach = context->attachStmt())
    return this->attach(attach);
  if (auto *train = context->trainStmt()) {
    auto out = std::make_unique<ast::TrainStmt>(range(train));
    out->freeze = train->word->getText() == "freeze";
    out->selector = selector(train->selector());
    return out;
  }
  if (auto *optimize = context->optimizeStmt())
    return this->optimize(optimize);
  if (auto *run = context->runStmt()) {
    auto out = std::make_unique<ast::RunStmt>(range(run));
    out->fields = fields(run->fieldBlock());
    return out;
  }
  if (auto *search = context->searchStmt())
    return this->search(search);
  if (auto *budget = context->budgetStmt()) {
    auto out = std::make_unique<ast::BudgetStmt>(range(budget));
    out->quantity = ident(budget->ident());
    out->limit = additive(budget->additive());
    return out;
  }
  return nullptr;
}

/// Statements that are a name and a value.
StmtPtr AstBuilder::valueStatement(P::StmtContext *context) {
  auto named = [&]<typename T>(std::unique_ptr<T> out, auto *from) {
    out->name = ident(from->ident());
    out->value = expr(from->expr());
    return out;
  };
  if (auto *dim = context->dimStmt())
    return named(std::make_unique<ast::DimStmt>(range(dim)), dim);
  if (auto *metric = context->metricStmt())
    return named(std::make_unique<ast::MetricStmt>(range(metric)), metric);
  if (auto *bind = context->bindStmt())
    return named(std::make_unique<ast::BindStmt>(range(bind)), bind);
  if (auto *let = context->letStmt())
    return this->let(let);
  if (auto *loss = context->lossStmt()) {
    auto out = std::make_unique<ast::LossStmt>(range(loss));
    out->add = loss->op->getText() == "+=";
    out->value = expr(loss->expr());
    return out;
  }
  if (auto *require = context->requireStmt()) {
    auto out = std::make_unique<ast::RequireStmt>(range(require));
    out->condition = rangeExpr(require->rangeExpr());
    out->message = expr(require->expr());
    return out;
  }
  if (auto *rewire = context->rewireStmt())
    return this->rewire(rewire);
  return nullptr;
}

ast::SampleStmt::Per AstBuilder::drawnPer(const ast::Ident &word) {
  if (word.text == "token" || word.text == "example" || word.text == "task")
    diags_.report(diag::Kind::E0199, word.range, {"per " + word.text}).help("`bernoulli(p, like = x)` draws for each entry of `x`");
  else if (word.text != "pass" && word.text != "step")
    diags_.report(diag::Kind::E0353, word.range, {"per", "pass or step", "`" + word.text + "`"});
  return word.text == "step" ? ast::SampleStmt::Per::Step : ast::SampleStmt::Per::Pass;
}

StmtPtr AstBuilder::bodyStatement(P::StmtContext *context, Place place) {
  if (auto *param = context->paramStmt())
    return this->param(param);
  if (auto *weight = context->weightStmt())
    return this->weight(weight);
  if (auto *sample = context->sampleStmt()) {
    auto out = std::make_unique<ast::SampleStmt>(range(sample));
    out->name = ident(sample->ident(0));
    out->distribution = postfix(sample->postfix());
    if (sample->ident(1))
      out->per = drawnPer(ident(sample->ident(1)));
    return out;
  }
  if (auto *branch = context->ifStmt())
    return ifStatement(branch, place);
  if (auto *loop = context->forStmt()) {
    auto out = std::make_unique<ast::ForStmt>(range(loop));
    out->variable = ident(loop->ident());
    out->over = expr(loop->expr());
    out->body = block(loop->block(), place);
    return out;
  }
  if (auto *init = context->atInitStmt()) {
    auto out = std::make_unique<ast::AtInitStmt>(range(init));
    std::string word = init->ident()->getText();
    out->identity = word == "identity";
    if (word != "identity" && word != "changes")
      diags_.report(diag::Kind::E0101, range(init->ident()), {"`" + word + "`"}).here("expected `identity` or `changes(\"reason\")`");
    if (init->STRING())
      out->reason = plainString(init->STRING()->getSymbol());
    return out;
  }
  if (auto *checkpoint = context->checkpointStmt()) {
    auto out = std::make_unique<ast::CheckpointStmt>(range(checkpoint));
    out->fields = fields(checkpoint->fieldBlock());
    out->tasks = idents(checkpoint->ident());
    return out;
  }
  if (auto *example = context->exampleStmt()) {
    auto out = std::make_unique<ast::ExampleStmt>(range(example));
    out->fields = fields(example->fieldBlock());
    return out;
  }
  if (auto *row = context->rowStmt()) {
    auto out = std::make_unique<ast::RowStmt>(range(row));
    out->name = ident(row->ident());
    out->encoder = postfix(row->postfix());
    return out;
  }
  if (auto *interop = context->interopStmt())
    return this->interop(interop, place);
  if (auto *on = context->onStmt())
    return this->on(on, place);
  if (context->onGradStmt() || context->gradStmt())
    return ofGradients(context);
  if (auto *module = context->moduleStmt())
    return this->module(module, place);
  return context->reservedStmt() ? reservedStatement(context->reservedStmt()) : nullptr;
}

StmtPtr AstBuilder::use(P::UseStmtContext *context) {
  auto out = std::make_unique<ast::UseStmt>(range(context));
  if (context->STRING())
    out->file = plainString(context->STRING()->getSymbol());
  out->path = idents(context->ident());
  for (auto *name : context->useName())
    out->names.push_back(ident(name));
  return out;
}

StmtPtr AstBuilder::input(P::InputStmtContext *context, Place place) {
  if (place == Place::Module || place == Place::Task) {
    auto out = std::make_unique<ast::InputStmt>(range(context));
    out->name = ident(context->ident());
    if (context->type())
      out->type = type(context->type());
    else
      diags_.report(diag::Kind::E0101, range(context->ident()), {"`" + out->name.text + "`"}).here("expected a type after it: `: [seq, d]`");
    if (context->expr())
      diags_.report(diag::Kind::E0101, range(context->expr()), {"value"}).here("an input of a module has none");
    return out;
  }
  auto out = std::make_unique<ast::SpecInputStmt>(range(context));
  out->parameter.name = ident(context->ident());
  out->parameter.range = range(context);
  if (context->type())
    out->parameter.type = type(context->type());
  if (context->expr())
    out->parameter.defaultValue = expr(context->expr());
  return out;
}

StmtPtr AstBuilder::attach(P::AttachStmtContext *context) {
  auto out = std::make_unique<ast::AttachStmt>(range(context));
  out->method = postfix(context->postfix());
  if (context->maybe)
    out->maybe = range(context->maybe);
  out->selector = selector(context->selector());
  if (context->ident())
    out->alias = ident(context->ident());
  return out;
}

StmtPtr AstBuilder::optimize(P::OptimizeStmtContext *context) {
  auto out = std::make_unique<ast::OptimizeStmt>(range(context));
  out->optimizer = postfix(context->postfix());
  if (!context->optimizeItems())
    return out;
  for (auto *item : context->optimizeItems()->optimizeItem()) {
    if (item->exception)
      continue;
    if (auto *schedule = item->schedulePart()) {
      if (out->schedule)
        diags_.report(diag::Kind::E0101, range(schedule), {"second schedule"}).label(out->schedule->range, "the first one");
      out->schedule = postfix(schedule->postfix());
    } else if (auto *part = item->groupPart()) {
      ast::OptimizerGroup group;
      for (auto *one : part->field())
        group.fields.push_back(field(one));
      closedTo_ = "`group`";
      group.selector = selector(part->selector());
      closedTo_.clear();
      group.range = range(part);
      out->groups.push_back(std::move(group));
    }
  }
  return out;
}

StmtPtr AstBuilder::ifStatement(P::IfStmtContext *context, Place place) {
  auto out = std::make_unique<ast::IfStmt>(range(context));
  out->condition = expr(context->expr());
  out->thenBody = block(context->block(0), place);
  if (context->ifStmt())
    out->elseBody.push_back(ifStatement(context->ifStmt(), place));
  else if (context->block(1))
    out->elseBody = block(context->block(1), place);
  return out;
}

StmtPtr AstBuilder::param(P::ParamStmtContext *context) {
  auto out = std::make_unique<ast::ParamStmt>(range(context));
  using Storage = ast::ParamStmt::Storage;
  std::string word = context->storage->getText();
  out->storage = word == "param" ? Storage::Param : word == "buffer" ? Storage::Buffer : Storage::Frozen;
  out->shared = context->shared != nullptr;
  if (context->scope)
    out->sharedPer = ident(context->scope);
  out->name = ident(context->ident().back());
  out->type = type(context->type());
  if (context->expr())
    out->init = expr(context->expr());
  return out;
}

StmtPtr AstBuilder::weight(P::WeightStmtContext *context) {
  auto out = std::make_unique<ast::WeightStmt>(range(context));
  out->name = ident(context->ident());
  out->type = type(context->type());
  out->checkpoint = checkpointName(context->checkpointName());
  if (context->expr())
    out->init = expr(context->expr());
  return out;
}

StmtPtr AstBuilder::module(P::ModuleStmtContext *context, Place place) {
  auto out = std::make_unique<ast::ModuleStmt>(range(context));
  out->names = idents(context->ident());
  out->doc = doc(context);
  if (auto *over = context->over()) {
    out->variable = ident(over->ident());
    out->over = expr(over->expr());
  }
  if (auto *made = context->constructor()) {
    ast::ExprPtr callee = name(made->ident(0));
    for (size_t i = 1; i < made->ident().size(); ++i) {
      Range all = callee->range;
      all.end = range(made->ident(i)).end;
      auto member = std::make_unique<ast::MemberExpr>(all);
      member->object = std::move(callee);
      member->member = ident(made->ident(i));
      callee = std::move(member);
    }
    out->constructor = call(made, std::move(callee), made->arguments());
  }
  out->kinds = kinds(context->kinds());
  out->checkpoint = checkpointName(context->checkpointName());
  out->optional = context->optional != nullptr;
  if (auto *tied = context->tied()) {
    out->tiedTo = expr(tied->expr(0));
    if (tied->expr().size() > 1)
      out->tiedWhen = expr(tied->expr(1));
  }
  if (context->block())
    out->body = block(context->block(), Place::Module);
  return out;
}

StmtPtr AstBuilder::on(P::OnStmtContext *context, Place place) {
  auto out = std::make_unique<ast::OnStmt>(range(context));
  out->site = ident(context->site());
  if (context->expr())
    reserved(static_cast<antlr4::tree::TerminalNode *>(context->children[2])->getSymbol());
  out->body = block(context->block(), place);
  return out;
}

StmtPtr AstBuilder::rewire(P::RewireStmtContext *context) {
  auto out = std::make_unique<ast::RewireStmt>(range(context));
  out->target = name(context->ident());
  for (auto *part : context->rewiredPart()) {
    Range all = out->target->range;
    all.end = range(part).end;
    if (part->ident()) {
      auto member = std::make_unique<ast::MemberExpr>(all);
      member->object = std::move(out->target);
      member->member = ident(part->ident());
      out->target = std::move(member);
    } else {
      auto entry = std::make_unique<ast::IndexExpr>(all);
      entry->object = std::move(out->target);
      ast::Subscript &at = entry->subscripts.emplace_back();
      at.range = range(part);
      at.index = expr(part->expr());
      out->target = std::move(entry);
    }
  }
  out->add = context->op->getText() == "+=";
  out->value = expr(context->expr());
  return out;
}

StmtPtr AstBuilder::reservedStatement(P::ReservedStmtContext *context) {
  auto out = std::make_unique<ast::ReservedStmt>(range(context));
  antlr4::Token *word = context->word;
  reserved(word);
  out->word = word->getText();
  out->wordRange = range(word);
  return out;
}

StmtPtr AstBuilder::let(P::LetStmtContext *context) {
  auto out = std::make_unique<ast::LetStmt>(range(context));
  out->tuple = context->ident() == nullptr;
  if (context->ident())
    out->names.push_back(ident(context->ident()));
  for (auto *name : context->tupleName())
    out->names.push_back(ident(name));
  out->value = expr(context->expr());
  return out;
}

std::vector<ast::Field> AstBuilder::fields(P::FieldBlockContext *context) {
  std::vector<ast::Field> out;
  for (auto *one : context->field())
    out.push_back(field(one));
  return out;
}

ast::Field AstBuilder::field(P::FieldContext *context) { return {ident(context->ident()), expr(context->expr())}; }

std::optional<ast::CheckpointName> AstBuilder::checkpointName(P::CheckpointNameContext *context) {
  if (!context)
    return std::nullopt;
  ast::CheckpointName out;
  out.name = string(context->STRING()->getSymbol());
  out.isNew = context->fresh != nullptr;
  out.orNew = context->lacking != nullptr;
  const std::string how = context->how ? context->how->getText() : "";
  out.transposed = how == "T";
  out.reshaped = how == "reshaped";
  if (context->how && !out.transposed && !out.reshaped)
    diags_.report(diag::Kind::E0101, range(context->how), {"`" + how + "`"}).here("expected `T` or `reshaped`: what a stored tensor is read as");
  if (auto *rows = context->storedRows()) {
    out.rows = true;
    out.from = rows->from_ ? expr(rows->from_) : nullptr;
    out.to = rows->to_ ? expr(rows->to_) : nullptr;
  }
  out.range = range(context);
  return out;
}

} // namespace peftc::syntax
