// Value: what an expression of the language is worth while a program is elaborated.
//
// Compile-time values are numbers, strings, lists, functions, methods, modules; a run-time value is a `Tensor`: an SSA value
// of the region under construction with the names of its axes, where they are known.
#pragma once
#include "dialects/nn/Nn.h"
#include "dialects/peft/Peft.h"
#include "lang/ast/Ast.h"
#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

namespace peftc::import {

/// Beyond it a whole number is a number like any other: no double between two of them.
constexpr double kLargestWhole = 9007199254740992; // 2^53
constexpr double kLongestRange = 100000;
/// A number as a person writes it: "2.5", "25".
std::string spelled(double number);

struct Value;
struct Env;
struct ModuleNode;
using EnvPtr = std::shared_ptr<Env>;

struct Tensor {
  mlir::Value value;
  std::vector<std::string> axes; ///< a name an axis, "" where unknown
  mlir::nn::NNType type() const { return mlir::cast<mlir::nn::NNType>(value.getType()); }
};
/// A function, lambda, builtin or method with what is bound to it.
struct Callable {
  enum class Kind { Fn, Lambda, Builtin, Method } kind = Kind::Builtin;
  const ast::FnStmt *fn = nullptr;
  const ast::LambdaExpr *lambda = nullptr;
  const ast::MethodStmt *method = nullptr;
  const ast::CallExpr *call = nullptr; ///< of a method: the call that gave its arguments; null for a bare name
  std::string builtin;
  EnvPtr env; ///< of a lambda: its scope; of a method: where its arguments are evaluated
};
/// One module, or a list of them (`layers`).
struct ModuleRef {
  std::vector<ModuleNode *> nodes;
  bool isList = false;
};
/// A distribution or constant that takes its shape from the parameter it initialises.
struct Initializer {
  std::string name;
  std::vector<double> args;
};
/// `config.json`, or a part of it.
struct Config {
  nlohmann::json json;
  std::shared_ptr<std::set<std::string>> read; ///< dotted paths of the keys that were asked for
  std::string path;                            ///< of this part, "" for the whole
};
/// The length of one of the example's sequences: a dim that no number says.
struct SequenceLength {
  int64_t sequence = 0;
};
/// A compile-time bool that differs between the training program and the others: `training`.
struct Mode {
  bool negated = false;
};
/// Named compile-time values: `layer`, `site`, `run`.
struct Record {
  std::string name;
  std::map<std::string, Value> fields;
  int64_t pass = 0; ///< of another pass through the model: its number, and its fields are the model's points
};
using ValueList = std::vector<Value>;
struct None {};

struct Value {
  std::variant<None, int64_t, double, bool, std::string, std::shared_ptr<ValueList>, Tensor, Callable, ModuleRef, Initializer,
               Config, Mode, std::shared_ptr<Record>, SequenceLength>
      data;
  Value() = default;
  template <typename T> Value(T value) : data(std::move(value)) {}
  template <typename T> const T *as() const { return std::get_if<T>(&data); }
  bool isNone() const { return as<None>() != nullptr; }
  bool isNumber() const { return as<int64_t>() || as<double>(); }
  double number() const { return as<int64_t>() ? static_cast<double>(*as<int64_t>()) : *as<double>(); }
  const ValueList *list() const {
    auto *shared = as<std::shared_ptr<ValueList>>();
    return shared ? shared->get() : nullptr;
  }
  /// A string; of a record that stands for what it is called by (`layer` in `where`) its name.
  const std::string *word() const {
    auto *record = as<std::shared_ptr<Record>>();
    return record ? &(*record)->name : as<std::string>();
  }
  /// "a number", "a tensor" … for messages.
  std::string describe() const;
};

/// A lexical scope.
struct Env {
  EnvPtr parent;
  std::map<std::string, Value> values;
  std::map<std::string, ModuleRef> modules;
  std::map<std::string, std::function<ModuleRef()>> optional; ///< modules that are made when they are named
  std::map<std::string, const ast::ModuleDeclStmt *> declared; ///< modules that may be made here, in this scope
  /// Names that come from a site: asked before the parent.
  std::function<std::optional<Value>(const std::string &, Range)> outside;
  std::function<std::optional<ModuleRef>(const std::string &)> outsideModule;
  explicit Env(EnvPtr parent = nullptr) : parent(std::move(parent)) {}
};

/// What a checkpoint name stands for where it is not a whole tensor as it lies: `.T[first : end]`, `.reshaped`.
struct StoredPart {
  bool transposed = false, reshaped = false;
  bool rows = false;
  int64_t first = 0;
  std::optional<int64_t> end; ///< none: the tensor's last row
};

struct PointInfo {
  mlir::nn::NNType type;
  std::vector<std::string> axes;
};

/// A node of the network's tree.
struct ModuleNode {
  std::string path; ///< "layers.0.attention.q"; "" for the root
  std::string name; ///< last component, without the index
  std::optional<int64_t> index;
  std::vector<const ast::KindDeclStmt *> kinds;
  std::vector<std::string> kindNames;
  ModuleNode *parent = nullptr;
  std::vector<std::unique_ptr<ModuleNode>> children; ///< in order of declaration
  std::map<std::string, ModuleRef> named;
  std::map<std::string, std::unique_ptr<ModuleNode>> attached; ///< what attaches added here, by their names; its weights are their parameters
  std::map<std::string, std::string> weights; ///< local name -> parameter's name
  std::vector<std::string> weightOrder;
  std::map<std::string, PointInfo> points;
  std::vector<std::string> pointOrder;
  std::string checkpoint; ///< joined prefix in the checkpoint, "" for none
  bool hasCheckpoint = false;
  bool isNew = false;
  std::optional<StoredPart> part; ///< of each tensor below `checkpoint`
  bool orNew = false; ///< what the checkpoint lacks is new
  const ModuleNode *tiedTo = nullptr; ///< whose weights are its own
  EnvPtr env;
  mlir::peft::ModuleOp op;
  mlir::Type resultType;
  std::vector<std::string> resultAxes;
};

} // namespace peftc::import
