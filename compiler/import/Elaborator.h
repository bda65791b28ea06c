// Elaborator: evaluates a checked program for one checkpoint, leaving only tensor mathematics.
//
// Compile-time values (numbers, functions, methods, lists) are computed away; every tensor operation becomes an `nn` op in the
// region under construction. The classes of statements live in files of their own: Scopes, Expressions, Calls, Tensors, Equations,
// Builtins, Initial, Root, Metrics, Modules, Selectors, Attaches, Beside, Gradients, Interop, Optimizers. A failure reports a diagnostic and unwinds by `Failed`, which never
// leaves this folder.
#pragma once
#include "compiler/import/Import.h"
#include "compiler/import/Gradients.h"
#include "compiler/import/Interop.h"
#include "compiler/import/Value.h"
#include "compiler/model/Adapter.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Diagnostics.h"
#include "llvm/ADT/ScopeExit.h"
#include <set>

namespace peftc::import {

/// Thrown after a diagnostic was reported.
struct Failed {};

class Elaborator {
public:
  Elaborator(const Spec &spec, const model::Checkpoint &checkpoint, diag::Engine &diags, mlir::ModuleOp module,
             EmitInfo &info);

  void importModel();     ///< arch and task -> peft.module tree            (Root.cpp)
  void importRun();       ///< run { … }                                    (Optimizers.cpp)
  void importOptimizer(); ///< optimize … -> @optimizer.N                   (Optimizers.cpp)
  void importAttaches();  ///< attach, train, freeze -> peft.attach         (Attaches.cpp)
  void instantiate();     ///< peft.attach -> peft.instance, @init          (Attaches.cpp)
  void finishGradients(); ///< `on grad` -> @on_grad                        (Gradients.cpp)
  void checkReads();      ///< no rewiring reads what is computed later    (Reads.cpp)
  void checkGradients();  ///< each is of training, by what it depends on  (Reads.cpp)
  void checkBudgets();    ///<                                              (Budgets.cpp)

private:
  friend class BuiltinCall;

  // ---- scopes and values (Scopes.cpp, Expressions.cpp, Calls.cpp)
  EnvPtr fileEnv(int32_t file);
  Value eval(const ast::Expr &expr, const EnvPtr &env);
  Value evalUnary(const ast::UnaryExpr &expr, const EnvPtr &env);
  Value evalComprehension(const ast::ComprehensionExpr &expr, const EnvPtr &env);
  Value evalBlock(const ast::BlockExpr &expr, const EnvPtr &env);
  Value evalName(const ast::NameExpr &expr, const EnvPtr &env);
  Value evalMember(const ast::MemberExpr &expr, const EnvPtr &env);
  Value evalBinary(const ast::BinaryExpr &expr, const EnvPtr &env);
  Value evalIf(const ast::Expr &condition, const ast::Expr &yes, const ast::Expr &no, Range range, const EnvPtr &env);
  Value evalCall(const ast::CallExpr &expr, const EnvPtr &env);
  Value call(const Callable &callee, const std::vector<ast::Argument> &args, Range range, const EnvPtr &env);
  Value anotherPass(const ast::CallExpr &expr, const EnvPtr &env);
  Tensor readPass(int64_t number, const ast::Ident &point);
  Value apply(const Value &callee, std::vector<Value> args, Range range);
  EnvPtr bindParameters(const std::vector<ast::Parameter> &params, const std::vector<ast::Argument> &args, const EnvPtr &argEnv,
                        const EnvPtr &scope, const std::string &what, Range range, int64_t rankLimit = 0);
  void checkParameter(const ast::Parameter &param, const Value &value, Range range, int64_t rankLimit);
  void execLet(const ast::LetStmt &let, const EnvPtr &env);
  void execFor(const ast::ForStmt &loop, const EnvPtr &env, llvm::function_ref<void(const ast::Stmt &)> exec);
  void execRequire(const ast::RequireStmt &require, const EnvPtr &env);
  /// Runs the branch that a compile-time `if` takes; `run` executes its statements.
  const ast::Block &branch(const ast::IfStmt &stmt, const EnvPtr &env);
  std::optional<Value> lookup(const std::string &name, const EnvPtr &env, Range range);
  std::optional<ModuleRef> lookupModule(const std::string &name, const EnvPtr &env);
  std::optional<ModuleRef> moduleOf(const ast::Expr &expr, const EnvPtr &env);
  Value fromJson(const nlohmann::json &json);
  Value configEntry(const Config &config, const std::string &key);
  nlohmann::json toJson(const Value &value, Range range);
  bool evalBool(const ast::Expr &expr, const EnvPtr &env);
  int64_t evalInt(const ast::Expr &expr, const EnvPtr &env, const char *what);
  int64_t wholeNumber(const Value &value, Range range, const char *what);
  std::string evalString(const ast::Expr &expr, const EnvPtr &env);

  // ---- tensors (Tensors.cpp)
  template <typename Op>
  Tensor emit(Range range, std::vector<mlir::Value> operands, std::vector<mlir::NamedAttribute> attributes = {},
              std::vector<std::string> axes = {}) {
    return emitNamed(Op::getOperationName(), range, std::move(operands), std::move(attributes), std::move(axes));
  }
  Tensor emitNamed(llvm::StringRef op, Range range, std::vector<mlir::Value> operands,
                   std::vector<mlir::NamedAttribute> attributes, std::vector<std::string> axes);
  Tensor constant(double value, mlir::Type element, Range range);
  Tensor toTensor(const Value &value, mlir::Type element, Range range);
  Tensor asFloat(const Tensor &tensor, Range range);
  Tensor binary(llvm::StringRef op, Value lhs, Value rhs, Range range);
  Tensor unary(llvm::StringRef op, const Value &value, Range range);
  Tensor matmul(const Tensor &x, const Tensor &y, Range range);
  Tensor contract(const Tensor &x, const Tensor &y, std::string equation, std::vector<std::string> axes, Range range);
  Tensor transposeLast(const Tensor &x, Range range);
  Tensor reduce(llvm::StringRef kind, const Tensor &x, const std::vector<int64_t> &axes, bool keep, Range range);
  Value index(const ast::IndexExpr &expr, const EnvPtr &env);
  Tensor subscript(Tensor x, const ast::Subscript &sub, int64_t &axis, const EnvPtr &env);
  int64_t axisOf(const ast::Expr &expr, const Tensor &x, const EnvPtr &env);
  Tensor select(const Tensor &x, int64_t axis, int64_t at, Range range);
  Tensor byMode(const Value &train, const Value &infer, Range range);
  Tensor random(llvm::StringRef dist, const Tensor *like, llvm::ArrayRef<mlir::nn::Dim> dims, llvm::StringRef rate, Range range);

  // ---- equations (Equations.cpp)
  Tensor einsum(const std::string &equation, const std::vector<Tensor> &operands, Range range);
  Tensor rearrange(const Tensor &x, const std::string &pattern, const std::map<std::string, int64_t> &sizes, Range range);

  // ---- builtins (Builtins.cpp, TensorBuiltins.cpp, Initial.cpp)
  bool isBuiltin(const std::string &name) const;
  Value callBuiltin(const std::string &name, const std::vector<ast::Argument> &args, Range range, const EnvPtr &env);
  Value initial(const Initializer &init, const std::vector<mlir::nn::Dim> &dims, const Tensor *like, Range range, llvm::StringRef rate = "pass");

  // ---- modules (Modules.cpp)
  mlir::nn::NNType typeFrom(const ast::TypeExpr &type, const EnvPtr &env, bool example);
  std::vector<std::string> axesFrom(const ast::TypeExpr &type);
  ModuleNode *addModule(ModuleNode &parent, const ast::ModuleStmt &stmt, const std::string &name, std::optional<int64_t> index,
                        const EnvPtr &env);
  void addModules(ModuleNode &parent, const ast::ModuleStmt &stmt, const EnvPtr &env);
  ModuleRef addNamed(ModuleNode &parent, const ast::ModuleStmt &stmt, const std::string &name, const EnvPtr &env);
  std::pair<const ast::ModuleDeclStmt *, EnvPtr> declaredModule(const ast::NameExpr &name, const EnvPtr &env);
  void openModule(ModuleNode &node);
  void closeModule(ModuleNode &node);
  void execModuleBody(ModuleNode &node, const ast::Block &body, const EnvPtr &env);
  void execModuleStmt(ModuleNode &node, const ast::Stmt &stmt, const EnvPtr &env);
  void addInput(ModuleNode &node, const std::string &name, mlir::nn::NNType type, std::vector<std::string> axes, Range range);
  void addWeight(ModuleNode &node, const ast::WeightStmt &stmt, const EnvPtr &env);
  // ---- weights in the checkpoint (Stored.cpp)
  void nameModule(ModuleNode &node, const ast::CheckpointName &name, const EnvPtr &env);
  std::optional<StoredPart> partOf(const ast::CheckpointName &name, const ModuleNode &node, const EnvPtr &env);
  /// The shape of the tensor that holds a weight of this type, which the checkpoint is held to.
  std::vector<int64_t> storedShape(const std::string &stored, mlir::nn::NNType type, const std::optional<StoredPart> &part, Range range);
  void checkApart(); ///< no two weights are read from the same numbers
  void tieWeight(ModuleNode &node, const ast::WeightStmt &stmt, mlir::nn::NNType type);
  void bindPoint(ModuleNode &node, const std::string &name, Tensor value, Range range);
  /// A child of the module under construction, or, in a method, its site or a module below that.
  Value callModule(ModuleNode &node, std::vector<Value> args, Range range);
  std::vector<const ast::KindDeclStmt *> kindsOf(const std::vector<ast::Ident> &names, Range range);

  // ---- the root (Root.cpp)
  void importTask(const EnvPtr &env);
  void addRow(const ast::RowStmt &stmt, const EnvPtr &env);
  int64_t featuresOf(const EmitInfo::Row &row, Range range);
  std::string wrongRow(const std::string &encoder) const;
  int64_t sequenceOf(const std::string &encoder) const;
  void addCheckpointFacts(const ast::CheckpointStmt &stmt, const EnvPtr &env);
  void addIgnored(const ast::Field &field, const EnvPtr &env);
  /// config.json says nothing that was not asked for.
  void checkConfigRead(const ast::ArchStmt &arch, const std::set<std::string> &read);

  // ---- metrics (Metrics.cpp)
  void addMetric(const ast::MetricStmt &stmt, const EnvPtr &env);
  void addMetricOfAll(const ast::MetricStmt &stmt, const Tensor &tensor);
  Tensor total(const Tensor &perRow, Range range);
  Tensor allRows(const Tensor &perRow, Range range);

  // ---- parameters (Parameters.cpp)
  mlir::nn::ParameterOp declare(const std::string &name, mlir::nn::NNType type, llvm::StringRef role, bool trainable,
                                const std::string &checkpoint, int64_t attach, Range range);
  /// The parameter of a `param` statement; another one of its name has to have its shape.
  /// `start`: what a run has trained, instead of the statement's own initial value; `frozen`: and it stays so.
  void declareParam(const std::string &name, const ast::ParamStmt &stmt, const EnvPtr &env, int64_t attach, const std::string &site,
                    const model::AdapterTensor *start = nullptr, bool frozen = false);
  /// A parameter that the program itself declares, for the methods that it is handed to.
  std::optional<Value> specParam(const std::string &name, Range range);
  Tensor parameter(const std::string &name, std::vector<std::string> axes, Range range);
  void initialize(const std::string &name, mlir::nn::NNType type, const ast::Expr *init, const EnvPtr &env, Range range, const model::AdapterTensor *start = nullptr);

  // ---- selectors (Selectors.cpp)
  struct Match {
    ModuleNode *node = nullptr;
    std::string weight; ///< a local weight name, "" for the module itself
  };
  std::vector<Match> resolve(const ast::Selector &selector, ModuleNode &from, const EnvPtr &env, bool weights, bool mayDraw = false);
  void matchPart(const ast::SelectorPart &part, ModuleNode &node, const EnvPtr &env, bool weights, std::vector<Match> &out);
  using Path = std::vector<const ast::SelectorPart *>;
  size_t matchPath(const Path &path, ModuleNode &node, const EnvPtr &env, bool weights,
                   std::vector<Match> &out);
  void requireAlternatives(const Path &path, ModuleNode &from, const EnvPtr &env, bool weights);
  [[noreturn]] void reportNoMatch(const Path &path, ModuleNode &from, const EnvPtr &env, bool weights);
  bool holds(const ast::Expr &where, const EnvPtr &scope);
  void keepWhere(const ast::Expr &where, const EnvPtr &env, std::vector<Match> &matches);

  // ---- attaches (Attaches.cpp)
  struct Attach {
    int64_t index = 0;
    std::string name;
    const ast::AttachStmt *stmt = nullptr;
    Callable method;
    std::vector<ModuleNode *> sites;
    std::optional<std::string> changesAtInit; ///< the first reason that a method of it gives
    mlir::peft::AttachOp op;
  };
  /// Runs `body`; false if it failed.
  bool attempt(llvm::function_ref<void()> body);
  void resolveSites(const EnvPtr &env);
  void resolveSites(Attach &attach, const EnvPtr &env);
  void instantiate(Attach &attach);
  Callable methodOf(const ast::Expr &expr, const EnvPtr &env);
  void requireKind(const Callable &method, const ModuleNode &site, Range range);
  const ast::Block *clauseFor(const ast::MethodStmt &method, const ModuleNode &site, std::string &kind) const;
  void trainMatches(const std::vector<Match> &matches, bool trainable, Range range);
  void noteParams(Attach &attach);

  // ---- budgets (Budgets.cpp)
  struct Trainables {
    int64_t base = 0, all = 0;
    std::map<int64_t, int64_t> byAttach; ///< -1: of the model itself
  };
  Trainables countTrainables() const;
  std::optional<std::pair<std::string, double>> smallerRank(const Trainables &counts, double most) const;
  void checkBudget(const ast::BudgetStmt &budget, const Trainables &counts);
  std::pair<double, bool> parametersFrom(const ast::Expr &expr, const EnvPtr &env, const char *what);

  // ---- which sites are drawn (Draws.cpp)
  static const ast::CallExpr *drawOf(const ast::Expr *where);
  void draw(Attach &attach, const EnvPtr &env);
  void draw(const ast::Selector &selector, std::vector<Match> &matches, const EnvPtr &env);
  std::vector<size_t> taken(const ast::CallExpr &draw, const std::vector<std::string> &names, const std::vector<int64_t> &sizes, int64_t common, const EnvPtr &env);
  std::map<std::string, int64_t> sizesAt(const Attach &attach) const;
  int64_t weightsAt(const Match &match) const;

  // ---- methods at a site (Methods.cpp)
  /// A method being instantiated at one site.
  struct Instance {
    Attach *attach = nullptr;
    ModuleNode *site = nullptr;
    const ast::KindDeclStmt *kind = nullptr; ///< whose points and dims it names
    int64_t siteIndex = 0;
    std::string name;                        ///< dotted method names: "unipelt.lora"
    std::string point;                       ///< applied to a value: the point that it rewires …
    std::optional<Tensor> given;             ///< … and what that point is
    std::map<std::string, std::string> params; ///< local name -> parameter
    std::vector<std::string> runs;             ///< with the mean of whose parameters it starts
    std::string trainedAs;                     ///< what it is called there
    bool frozen = false;                       ///< it stays as it starts
    Range fromRange;
    EnvPtr env;
  };
  void instantiateAt(Attach &attach, const Callable &method, ModuleNode &site, int64_t siteIndex, const std::string &name,
                     Range range);
  /// `bound`: called between the arguments and the body.
  void enterMethod(Instance &instance, const Callable &method, const ast::Block &body, Range range, const std::function<void()> &bound = {});
  std::string rewiredPoint(const ast::Block &body, const EnvPtr &env);
  void choosePoint(Instance &instance, const Callable &method, const ast::Block &body, Range range);
  void execMethodStmt(Instance &instance, const ast::Stmt &stmt);
  std::string paramScope(const Instance &instance, const ast::ParamStmt &stmt, const std::string &method);
  ModuleNode &paramOwner(const Instance &instance, const ast::ParamStmt &stmt);
  const std::string *partsParameter(const ast::MemberExpr &expr) const;
  void execTrain(Instance &instance, const ast::TrainStmt &stmt);
  const model::AdapterTensor &trainedIn(const std::string &run, const std::string &parameter, Range where);
  std::vector<std::string> runsOf(const ast::Expr &from, const EnvPtr &env);
  std::optional<model::AdapterTensor> trainedStart(const Instance &instance, const ast::ParamStmt &stmt);
  void addParam(Instance &instance, const ast::ParamStmt &stmt);
  void execRewire(Instance &instance, const ast::RewireStmt &stmt);
  void execNestedAttach(Instance &instance, const ast::AttachStmt &stmt);
  void execSample(Instance &instance, const ast::SampleStmt &stmt);
  Tensor readPoint(Instance &instance, ModuleNode &site, const std::string &point, Range range);
  Tensor applyMethod(Instance &instance, const Callable &method, const Tensor &argument, Range range);
  std::optional<Value> siteName(Instance &instance, const std::string &name, Range range);

  // ---- functions of the run that methods write beside the network (Beside.cpp)
  struct Beside {
    mlir::Block *block = nullptr;
    bool training = false; ///< which side of `by_mode` it is, and whether it may read what is drawn once a step
    std::function<void(Range, mlir::Operation *)> refuse; ///< says what cannot be read there, and throws
  };
  std::string weightRead(mlir::Operation *op) const;
  mlir::Value copiedTo(const Beside &to, mlir::Value value, Range range);
  void settle(const Beside &to, Range range);

  // ---- what becomes of gradients (Gradients.cpp)
  void execOnGrad(Instance &instance, const ast::OnGradStmt &stmt);
  void replaceGradient(const ast::GradStmt &stmt, const EnvPtr &env);
  void addReplaced(const ast::GradStmt &stmt, const std::string &parameter, mlir::Value value);
  std::string parameterWithGradient(const ast::Expr &expr);
  Tensor gradientOf(const ast::Expr &expr);
  mlir::Value gradientInput(const std::string &name, mlir::nn::NNType type, Range range);
  void dropUntrained();
  void settleRates();

  // ---- files of other software (Interop.cpp, InteropFacts.cpp)
  std::string nameInClass(const std::string &name, bool isNew) const;
  std::string moduleInClass(const ModuleNode &site, std::string &why) const;
  void addTaskInterop(const ast::InteropStmt &stmt, const EnvPtr &env);
  bool isOfFiles(const Instance &instance, const ast::InteropStmt &stmt) const;
  void execInterop(Instance &instance, const ast::InteropStmt &stmt);
  void addInteropField(const ast::InteropItem &item, const std::string &site, const std::string &module, const EnvPtr &env);
  void addInteropTensor(Instance &instance, const ast::InteropItem &item, const EnvPtr &env);
  void addExported(const std::string &key, mlir::Value value, const std::string &site);
  Value allSites(const ast::Expr &x, const void *call, const EnvPtr &env);
  Beside besideExport();
  void closeExport();
  void exportTrained();
  void requireAllExported();
  void finishInterop();

  // ---- optimizers (Optimizers.cpp)
  Value learningRate(const EnvPtr &env, const ast::Expr *schedule);
  void emitOptimizer(const ast::OptimizerStmt &decl, const EnvPtr &bound, int64_t group, const ast::Expr *schedule);
  Value evalSchedule(const ast::Expr &expr, const EnvPtr &env);

  // ---- errors
  [[noreturn]] void fail(diag::Kind kind, Range range, std::vector<std::string> args, std::string here = "", std::string help = "");
  mlir::Location location(Range range);
  mlir::Type f32() { return mlir::Float32Type::get(context_); }
  mlir::Type i64() { return mlir::IntegerType::get(context_, 64); }
  mlir::Type i1() { return mlir::IntegerType::get(context_, 1); }
  mlir::NamedAttribute attr(llvm::StringRef name, mlir::Attribute value) { return {mlir::StringAttr::get(context_, name), value}; }
  mlir::Attribute intAttr(int64_t v) { return mlir::IntegerAttr::get(i64(), v); }
  mlir::Attribute intsAttr(llvm::ArrayRef<int64_t> v) { return mlir::DenseI64ArrayAttr::get(context_, v); }
  mlir::Attribute strAttr(llvm::StringRef v) { return mlir::StringAttr::get(context_, v); }
  mlir::Attribute boolAttr(bool v) { return mlir::BoolAttr::get(context_, v); }

  const Spec &spec_;
  const model::Checkpoint &checkpoint_;
  diag::Engine &diags_;
  mlir::ModuleOp module_;
  EmitInfo &info_;
  mlir::MLIRContext *context_;
  mlir::OpBuilder builder_;
  std::map<int32_t, EnvPtr> fileEnvs_;
  std::unique_ptr<ModuleNode> root_;
  std::vector<Attach> attaches_;
  bool drawsAll_ = false; ///< to count what all sites would have
  std::map<const ast::Stmt *, std::vector<Match>> trained_; ///< what `train` and `freeze` name
  std::map<std::string, mlir::nn::ParameterOp> parameters_;
  std::map<std::string, std::vector<std::string>> parameterAxes_;
  std::map<std::string, Tensor> initial_; ///< initial values inside @init
  mlir::func::FuncOp init_;
  llvm::SmallVector<mlir::Value> initResults_;
  llvm::SmallVector<std::string> initNames_;
  bool inInit_ = false;
  std::string randomScope_;                 ///< path that names the sampling sites of what is being elaborated
  std::map<std::string, int64_t> randomCount_;
  std::map<std::string, Value> runFields_;
  std::set<std::string> ignoredConfig_; ///< keys that the arch knows to change nothing
  int64_t sequences_ = 0; ///< of an example, beside the first
  bool inMetric_ = false;
  Interop interop_;
  bool inInterop_ = false; ///< a tensor of a file is being computed
  Gradients gradients_;
  bool inOnGrad_ = false; ///< what a step makes of gradients is being computed
  /// Another pass through the model that a method asks for, and the points that have values of their own in it.
  struct Pass {
    int64_t number = 0;
    std::vector<std::string> names;
    llvm::SmallVector<mlir::Value> values;
  };
  std::vector<Pass> passes_;
  std::map<std::string, model::Adapter> runs_; ///< that methods start from
  Instance *instance_ = nullptr; ///< the method being elaborated, if any
  std::map<std::pair<const void *, const void *>, std::string> applied_; ///< method values already applied -> their names
  llvm::DenseMap<mlir::Operation *, Range> reads_; ///< places of peft.reads, peft.rewires and nn.gradients
  std::vector<Range> callers_; ///< places of the calls being evaluated, innermost last
};

} // namespace peftc::import
