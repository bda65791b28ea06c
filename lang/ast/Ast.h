// The abstract syntax of `.peft`: what a file says, with a range for everything, and nothing about what it means.
//
// Plain structs, owned by their parents. `Expr` and `Stmt` are tagged by `kind`; use `as<T>()`. Names are unresolved
// text here; `lang/sema` gives them meaning. Doc comments (`///` before a declaration) are kept, without the slashes.
#pragma once
#include "lang/ast/Expr.h"

namespace peftc::ast {

// ---- statements ----------------------------------------------------------------------------------------------------

struct Stmt {
  enum class Kind {
    // inside declarations
    Let, Param, Input, Weight, Bind, Rewire, Sample, Train, If, For, Attach, Dim, Require, AtInit, Module, Checkpoint, Example,
    Interop, Row, Metric, State, Loss, On, OnGrad, Grad,
    // declarations and statements of a file
    Use, SpecInput, Model, TaskUse, Optimize, Run, Budget, Search, Fn, Method, Arch, ModuleDecl, Optimizer, Schedule, Task, KindDecl,
    // reserved words that are not built yet: parsed loosely, answered with E0199
    Reserved
  };
  const Kind kind;
  Range range;
  explicit Stmt(Kind kind, Range range) : kind(kind), range(range) {}
  virtual ~Stmt() = default;
  template <typename T> const T *as() const { return kind == T::kKind ? static_cast<const T *>(this) : nullptr; }
  template <typename T> T *as() { return kind == T::kKind ? static_cast<T *>(this) : nullptr; }
};
#define PEFT_STMT(NAME)                                                                                                \
  static constexpr Kind kKind = Kind::NAME;                                                                            \
  explicit NAME##Stmt(Range range) : Stmt(kKind, range) {}

/// `let x = e`, `let (a, b) = e`.
struct LetStmt : Stmt {
  PEFT_STMT(Let)
  std::vector<Ident> names;
  bool tuple = false;
  ExprPtr value;
};
/// `param A: [r, in] = init`; also `buffer`, `frozen`, with `shared [per layer|model|task]` before it.
struct ParamStmt : Stmt {
  PEFT_STMT(Param)
  enum class Storage { Param, Buffer, Frozen } storage = Storage::Param;
  bool shared = false;
  std::optional<Ident> sharedPer; ///< one for each enclosing module of this kind, or for each weight that sites have in common; without it one for the attach
  Ident name;
  std::unique_ptr<TypeExpr> type;
  ExprPtr init; ///< may be null: zeros
};
/// One line of an `interop` block.
struct InteropItem {
  enum class Kind {
    Field,   ///< `r = r`, `r = r except rank_pattern`: a field of the configuration
    Choice,  ///< `init in [true, false]`: the first is written, each of them is read
    Sites,   ///< `to target_modules [where c]`: a field that lists the sites
    Trained, ///< `train [modules_to_save] as "…{tensor}"`: weights outside of methods that are trained
    Tensor,  ///< `"…{module}.lora_A.weight" = A`
    Require  ///< `require c else "why it cannot be written"`
  } kind = Kind::Field;
  std::optional<Ident> field;
  std::optional<Ident> exceptions; ///< the field that lists sites where `field` is another
  ExprPtr key;                     ///< of Tensor and Trained: a string
  ExprPtr value;                   ///< of Sites its condition, which may be null; of Require its condition
  ExprPtr message;                 ///< of Require
  Range range;
};
/// `interop peft { … }`: how what a method trains appears in the files of other software; `interop peft in "LORA" { … }`: in files that are another method's.
struct InteropStmt : Stmt {
  PEFT_STMT(Interop)
  Ident format;
  ExprPtr within; ///< a string: the type of those files; null: files of the method's own
  std::vector<InteropItem> items;
};
/// `input x: [seq, in]` of a module or an arch.
struct InputStmt : Stmt {
  PEFT_STMT(Input)
  Ident name;
  std::unique_ptr<TypeExpr> type;
};
/// `@ "name"`, `@ new "name"`, `@ "name" or new`: the name in the checkpoint; `new`: not read from it, written to a merged one; `or new`: so where it
/// has no such name.
/// `@ "name".T[a : b]`: of that tensor transposed, the rows from a up to b. `@ "name".reshaped`: its numbers, in the weight's shape.
struct CheckpointName {
  ExprPtr name;
  bool isNew = false, orNew = false;
  bool transposed = false, reshaped = false;
  bool rows = false;  ///< there are brackets
  ExprPtr from, to;   ///< null: from the first, to the last
  Range range;
};
/// `weight W: [out, in] @ "weight" = init`.
struct WeightStmt : Stmt {
  PEFT_STMT(Weight)
  Ident name;
  std::unique_ptr<TypeExpr> type;
  std::optional<CheckpointName> checkpoint;
  ExprPtr init;
};
/// `y = e`: a point (in modules, archs, tasks).
struct BindStmt : Stmt {
  PEFT_STMT(Bind)
  Ident name;
  ExprPtr value;
};
/// `y <- e` (a point, a state, an optimizer's `p`), `target += e`.
struct RewireStmt : Stmt {
  PEFT_STMT(Rewire)
  ExprPtr target; ///< a Name or Member
  ExprPtr value;
  bool add = false;
};
/// `sample z ~ bernoulli(p, [r]) per pass`.
struct SampleStmt : Stmt {
  PEFT_STMT(Sample)
  Ident name;
  ExprPtr distribution; ///< a Call
  enum class Per { Pass, Step } per = Per::Pass; ///< how often it is drawn anew
};
/// `train sel`, `freeze sel`; in a method names of its site's weights.
struct TrainStmt : Stmt {
  PEFT_STMT(Train)
  bool freeze = false;
  Selector selector;
};
/// A compile-time `if`; its bindings are visible after it.
struct IfStmt : Stmt {
  PEFT_STMT(If)
  ExprPtr condition;
  Block thenBody, elseBody;
};
struct ForStmt : Stmt {
  PEFT_STMT(For)
  Ident variable;
  ExprPtr over;
  Block body;
};
/// `attach [maybe] m(args) to selector [as name]`.
struct AttachStmt : Stmt {
  PEFT_STMT(Attach)
  std::optional<Range> maybe; ///< the word: whether it is attached is left open
  ExprPtr method; ///< a Call or a Name
  Selector selector;
  std::optional<Ident> alias;
};
/// `dim d = e`.
struct DimStmt : Stmt {
  PEFT_STMT(Dim)
  Ident name;
  ExprPtr value;
};
/// `require cond else "what is wrong"`.
struct RequireStmt : Stmt {
  PEFT_STMT(Require)
  ExprPtr condition;
  ExprPtr message;
};
/// `at_init identity`, `at_init changes("reason")`.
struct AtInitStmt : Stmt {
  PEFT_STMT(AtInit)
  bool identity = true;
  std::string reason;
};
/// A child module: `q: linear(d, d) @ "self.query"`, `layers[i in 0 .. n]: layer @ "…{i}" { … }`.
/// Either `constructor` (a Call of a module declaration) or `kinds` + `body`.
struct ModuleStmt : Stmt {
  PEFT_STMT(Module)
  std::vector<Ident> names; ///< `gate, up: linear(…)` declares two
  std::optional<Ident> variable;
  ExprPtr over; ///< of `[i in over]`
  ExprPtr constructor;
  std::vector<Ident> kinds; ///< `module` stands for no kind: empty
  std::optional<CheckpointName> checkpoint;
  bool optional = false; ///< made when something names it
  ExprPtr tiedTo;        ///< `tied(other when condition)`: its weights are the other module's
  ExprPtr tiedWhen;      ///< null: always
  Block body;
  std::string doc;
};
/// `name = value` in braces.
struct Field {
  Ident name;
  ExprPtr value;
};
/// `checkpoint { model_type = "bert", … } [for task, task]` in an arch.
struct CheckpointStmt : Stmt {
  PEFT_STMT(Checkpoint)
  std::vector<Field> fields;
  std::vector<Ident> tasks; ///< empty: for every task
};
/// `example { hidden_size = 64, … }` in an arch: a small config.json, whole; what laws are checked on.
struct ExampleStmt : Stmt {
  PEFT_STMT(Example)
  std::vector<Field> fields;
};
/// `row ids: tokens(text, pair)` in a task: one column of the batch and how it is read.
struct RowStmt : Stmt {
  PEFT_STMT(Row)
  Ident name;
  ExprPtr encoder; ///< a Call: runtime/data/README.md has what may be called
};
/// `metric accuracy = e`: a value an example, averaged; or one of all rows.
struct MetricStmt : Stmt {
  PEFT_STMT(Metric)
  Ident name;
  ExprPtr value;
};
/// `state m = zeros` in an optimizer.
struct StateStmt : Stmt {
  PEFT_STMT(State)
  Ident name;
  ExprPtr init;
};
/// `loss += e` at any site, `loss <- e` at the model.
struct LossStmt : Stmt {
  PEFT_STMT(Loss)
  bool add = true;
  ExprPtr value;
};
/// `on kind { … }`: one clause of a method with several.
struct OnStmt : Stmt {
  PEFT_STMT(On)
  Ident site;
  Block body;
};
/// `on grad { … }` in a method: what becomes of gradients, once a step, before they are clipped.
struct OnGradStmt : Stmt {
  PEFT_STMT(OnGrad)
  Block body;
};
/// `grad(B) <- e` in it.
struct GradStmt : Stmt {
  PEFT_STMT(Grad)
  ExprPtr parameter;
  ExprPtr value;
};

/// `use peft.methods.{lora, prefix}`, `use "mine.peft"`.
struct UseStmt : Stmt {
  PEFT_STMT(Use)
  std::vector<Ident> path;
  std::vector<Ident> names; ///< between the braces; empty: the last of `path`, or all of a file
  std::optional<std::string> file;
};
/// `input r: int = 8` of a spec (`--set r=16`).
struct SpecInputStmt : Stmt {
  PEFT_STMT(SpecInput)
  Parameter parameter;
};
/// `model base = bert`.
struct ModelStmt : Stmt {
  PEFT_STMT(Model)
  Ident name;
  ExprPtr arch; ///< a Name or a Call
};
/// `task classify(labels = 12)`.
struct TaskUseStmt : Stmt {
  PEFT_STMT(TaskUse)
  ExprPtr task;
};
struct OptimizerGroup {
  std::vector<Field> fields;
  Selector selector;
  Range range;
};
/// `optimize adamw(…) { schedule linear(…)  group lr = 1e-3 for head }`.
struct OptimizeStmt : Stmt {
  PEFT_STMT(Optimize)
  ExprPtr optimizer;
  ExprPtr schedule; ///< may be null
  std::vector<OptimizerGroup> groups;
};
/// `run { epochs = 3, … }`.
struct RunStmt : Stmt {
  PEFT_STMT(Run)
  std::vector<Field> fields;
};
/// `budget params <= 1%`.
struct BudgetStmt : Stmt {
  PEFT_STMT(Budget)
  Ident quantity;
  ExprPtr limit;
};

/// `search { minimize loss; minimize params; strategy tpe(trials = 40) }`.
struct SearchStmt : Stmt {
  PEFT_STMT(Search)
  struct Objective {
    bool maximize = false;
    Ident name;
  };
  std::vector<Objective> objectives;
  ExprPtr strategy; ///< a Call or a Name; may be null
};

/// What `fn`, `method`, `arch`, `module`, `optimizer`, `schedule` and `task` have in common.
struct Declaration : Stmt {
  Declaration(Kind kind, Range range) : Stmt(kind, range) {}
  Ident name;
  std::string doc;
  std::vector<Parameter> params;
};
/// `fn f(x, n: int = 1) = e`.
struct FnStmt : Declaration {
  static constexpr Kind kKind = Kind::Fn;
  explicit FnStmt(Range range) : Declaration(kKind, range) {}
  ExprPtr body;
};
/// `method m(…) on kind { … }`; with several clauses `site` is empty and the body holds OnStmts.
struct MethodStmt : Declaration {
  static constexpr Kind kKind = Kind::Method;
  explicit MethodStmt(Range range) : Declaration(kKind, range) {}
  std::optional<Ident> site;
  Block body;
};
/// `arch bert(cfg: config): model { … }`.
struct ArchStmt : Declaration {
  static constexpr Kind kKind = Kind::Arch;
  explicit ArchStmt(Range range) : Declaration(kKind, range) {}
  std::vector<Ident> kinds;
  Block body;
};
/// `module linear(in: dim, out: dim): linear { … }`.
struct ModuleDeclStmt : Declaration {
  static constexpr Kind kKind = Kind::ModuleDecl;
  explicit ModuleDeclStmt(Range range) : Declaration(kKind, range) {}
  std::vector<Ident> kinds;
  Block body;
};
struct OptimizerStmt : Declaration {
  static constexpr Kind kKind = Kind::Optimizer;
  explicit OptimizerStmt(Range range) : Declaration(kKind, range) {}
  Block body;
};
struct ScheduleStmt : Declaration {
  static constexpr Kind kKind = Kind::Schedule;
  explicit ScheduleStmt(Range range) : Declaration(kKind, range) {}
  ExprPtr body;
};
/// `task classify(…) on model { … }`.
struct TaskStmt : Declaration {
  static constexpr Kind kKind = Kind::Task;
  explicit TaskStmt(Range range) : Declaration(kKind, range) {}
  std::optional<Ident> site;
  Block body;
};
/// `kind linear { dims in, out; x: [seq, in]; … }`.
struct KindPoint {
  Ident name;
  std::unique_ptr<TypeExpr> type;
};
struct KindDeclStmt : Declaration {
  static constexpr Kind kKind = Kind::KindDecl;
  explicit KindDeclStmt(Range range) : Declaration(kKind, range) {}
  std::vector<Ident> dims;
  std::vector<KindPoint> points;
};
/// A reserved word that is not built yet (`phase`, `carry`, `on start`, `after step`, …).
struct ReservedStmt : Stmt {
  PEFT_STMT(Reserved)
  std::string word;
  Range wordRange;
};
#undef PEFT_STMT

/// One parsed text, in order of its statements.
struct File {
  int32_t source = -1;
  Block statements;
};

} // namespace peftc::ast
