// RowCode: one row of a kernel: its elementwise ops and row reductions as loops over columns.
//
// Reductions cut a row's work into stages: stage s is one loop over the columns that makes what depends on s reductions. A value of an
// earlier stage is computed again if that is a few cheap ops, else it waits in a buffer of the row. A row that is turned (`roll`) is a stage of its
// own: it is written twice, one copy behind the other, and read from its new beginning.
//
// How  bind every value that the ops read from outside, say which values go where, then emit().
#pragma once
#include "compiler/conversion/RowProducts.h"
#include "dialects/nn/Nn.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/DenseSet.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/SetVector.h"
#include <optional>

namespace peftc::conversion {

/// The columns begin … end - 1 of a row.
struct Columns {
  mlir::Value begin, end;            ///< i64
  std::optional<int64_t> count;      ///< where known: then begin is 0
};

/// Whether the value lies in memory as bf16 (in registers it is f32), and what an element is there.
bool isHalf(mlir::Value value);
mlir::Type memoryType(Code &code, mlir::Value value);

class RowCode {
public:
  enum class Form { full, row, column, scalar };
  RowCode(Code &code, Columns columns, std::function<Form(mlir::Value)> formOf) : code(code), columns(columns), formOf(std::move(formOf)) {}

  /// A value of `full` form at `pointer` (its element 0), or of `column` form. `padded`: readable up to a whole vector. `whole`: as Machine has it.
  void bind(mlir::Value value, mlir::Value pointer, bool padded, bool whole = false) { memory[value] = {pointer, padded, whole}; }
  /// A number: of the row, or of the run.
  void bindNumber(mlir::Value value, mlir::Value number) { numbers[value] = number; }
  /// Where a value goes; it may be given twice. `rounds`: as bf16, whatever the value's type says.
  void put(mlir::Value value, mlir::Value pointer, bool padded, bool rounds = false) { outputs.push_back({value, pointer, padded, rounds || isHalf(value)}); }

  /// A value that is added to what is there, in f32.
  void add(mlir::Value value, mlir::Value pointer, bool padded) { outputs.push_back({value, pointer, padded, false, true}); }

  /// A product of a value of `full` form, whose sums are there when all is emitted. Which one it is.
  unsigned multiply(mlir::Value x, const RowFactor &factor) { return products.push_back({x, factor, {}}), products.size() - 1; }
  const llvm::SmallVector<mlir::Value> &sumsOf(unsigned product) const { return products[product].sums; }

  /// What must be computed: the ops behind all outputs that are not bound. `buffer(index)` is room for one row of floats.
  void emit(const std::function<mlir::Value(int64_t index)> &buffer);
  /// How many buffers emit asks for.
  int64_t bufferCount();

private:
  using Value = mlir::Value;
  struct Output {
    Value value, pointer;
    bool padded, half;
    bool adds = false;
  };
  struct Memory {
    Value pointer;
    bool padded, whole;
  };
  struct Product {
    Value x;
    RowFactor factor;
    llvm::SmallVector<Value> sums;
  };
  void plan();
  void requireNumbers(int64_t stage);
  /// What a stage's loop adds up: its reductions', then its products'.
  llvm::ArrayRef<Value> reducedAt(int64_t stage) const;
  llvm::SmallVector<Value> startOf(int64_t stage);
  void endStage(int64_t stage, llvm::ArrayRef<Value> sums);
  int64_t levelOf(Value value);
  bool isCheap(Value value, int &left);
  void require(Value value, int64_t stage);
  void emitStage(int64_t stage);
  void emitColumns(int64_t stage, llvm::SmallVectorImpl<Value> &accumulators, Value column, Value mask, Value inside);
  Value vectorOf(Value value, Value column, Value mask, llvm::DenseMap<Value, Value> &made);
  Value vectorOp(mlir::Operation *op, Value column, Value mask, llvm::DenseMap<Value, Value> &made);
  Value loadFrom(const Memory &memory, Value value, Value column, Value mask);
  Value numberOf(Value value);
  /// A reduction over columns; one of a row's number is that number.
  bool isReduce(Value value) const {
    auto reduce = value.getDefiningOp<mlir::nn::ReduceOp>();
    return reduce && form(reduce.getX()) == Form::full;
  }
  Form form(Value value) const { return formOf(value); }

  Code &code;
  Columns columns;
  std::function<Form(Value)> formOf;
  llvm::DenseMap<Value, Memory> memory;
  llvm::DenseMap<Value, Value> numbers;
  llvm::DenseMap<Value, Value> reciprocals;
  llvm::SmallVector<Output> outputs;
  llvm::SmallVector<Product> products;
  bool planned = false;
  llvm::DenseMap<Value, int64_t> levels;
  llvm::SmallVector<llvm::SmallVector<Value>> reductions; ///< by stage
  llvm::MapVector<Value, int64_t> buffered;               ///< value -> its buffer
  llvm::DenseMap<Value, Value> buffers;
  llvm::MapVector<Value, Value> doubled;                  ///< what is turned -> its two copies
  llvm::DenseSet<Value> stored; ///< values that lie in their buffer by now
  llvm::SetVector<std::pair<Value, int64_t>> required;
};

} // namespace peftc::conversion
