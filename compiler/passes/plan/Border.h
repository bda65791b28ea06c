// Border: products with a branch, and what stands in the way of making each one product with a bordered weight.
#pragma once
#include "dialects/plan/Plan.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/StringMap.h"
#include <optional>
#include <string>
#include <vector>

namespace mlir::plan {

/// `ab,cb->ac` and the like: a table of rows times a matrix of the run.
struct TableProduct {
  Value table, matrix;
  bool tableIsFirst, overColumns; ///< overColumns: the letter that is summed is the matrix's second
};
std::optional<TableProduct> tableProductOf(StringRef equation, Value x, Value y);
/// Of a product's first two factors; nothing of other steps.
std::optional<TableProduct> tableProductOf(StepOp step);
/// Of a parameter.
StringRef nameOfWeight(Value weight);

/// So many columns that a table's rows begin where they should.
int64_t paddedColumns(int64_t columns, Value like);
/// The value, and everything that sees it in another shape, lies in a table.
void putInTable(Value value, int64_t pitch, int64_t column);

/// Whether it may: whoever makes it can put its rows there, and whoever reads it finds them at any pitch.
bool mayLieInTable(Value value);

/// `x W + h U`, by which `[x | h] [W; U]` would be one product: x and h lie in one table, W and U in one matrix.
struct BranchedProduct {
  StepOp step;
  Value x, weight, h, factor;
  bool xIsFirst = true;       ///< of the equation's operands
  bool overColumns = false;   ///< the sum is over W's columns: then U stands at its right, else below it
  bool factorTurned = false;  ///< U lies the other way about
  int64_t depth = 0, columns = 0, rank = 0;
};
/// Nothing, and why, where the step has a branch of another form.
std::optional<BranchedProduct> branchedProductOf(StepOp step, std::string &why);

/// How large a weight is with its border, and where in it what stands: in every program alike, so that a weight is there once.
struct BorderShape {
  struct Part {
    int64_t column = 0, rank = 0; ///< at the right; below: the row
    bool turned = false;
    bool operator==(const Part &) const = default;
  };
  std::optional<Part> right, below;
  int64_t rows = 0, columns = 0;
};
using BorderShapes = llvm::StringMap<BorderShape>; ///< by the weight's name

/// The tables and matrices of one program, as its products ask for them in their order.
class Borders {
public:
  explicit Borders(BorderShapes &shapes) : shapes(shapes) {}
  /// Where a product's branch is to lie: behind so many columns of its table, which is so deep behind it.
  struct Place {
    int64_t column, depth;
  };
  /// Nothing, and why, where it cannot be.
  std::optional<Place> placeFor(const BranchedProduct &product, std::string &why) const;
  void accept(const BranchedProduct &product, const Place &place);
  /// What lies side by side in a table and is made of it in the same way is to be one product: h of q, k and v. Before any program is rewritten.
  void join();
  /// When all programs have chosen: gives tables their pitch, and products their tables and matrices.
  void rewrite();

private:
  struct Guest {
    Value value;
    int64_t column, rank;
  };
  /// Guests of one table, side by side.
  struct Joined {
    Value host;
    SmallVector<Guest> members;
    int64_t begin() const { return members.front().column; }
    int64_t end() const { return members.back().column + members.back().rank; }
  };
  struct Accepted {
    BranchedProduct product;
    Place place;
  };
  /// In one direction all products with a weight have the same branch's factor.
  struct Matrix {
    Value right, below;
    BorderOp made;
  };
  /// How large the weight must be for it.
  void reserve(const BranchedProduct &product, const Place &place);
  void make(const Joined &joined);
  Value tableOf(Accepted &accepted, OpBuilder &builder);
  Value windowOf(Accepted &accepted, OpBuilder &builder);

  llvm::MapVector<Value, SmallVector<Guest>> tables; ///< by host
  llvm::DenseMap<Value, Value> hostOf;               ///< of guests
  llvm::MapVector<Value, Matrix> matrices;           ///< by weight
  SmallVector<Accepted> accepted;
  std::vector<Joined> joined;
  std::vector<WindowOp> views; ///< of what was joined
  BorderShapes &shapes;
};

} // namespace mlir::plan
