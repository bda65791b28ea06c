// Borders: frozen weights with room at their right and below them, kept from run to run: what a plan's `border` steps give.
//
// A weight is copied once, for all programs that want as much room. Where nothing needs it by itself any more, its own memory goes: a network's weights are not there twice.
#pragma once
#include "runtime/plan/Device.h"
#include "runtime/plan/Executor.h"
#include "runtime/bundle/Format.h"
#include <map>
#include <set>
#include <tuple>

namespace peftrt::plan {

/// By whom a parameter is read: by borders alone, which have copied it; by products too, which find rows at any pitch; or by someone who wants it dense.
enum class Reading { borders, rows, dense };
/// Of each step of the plan that is a `param`; of others nothing is said.
std::vector<Reading> readingsOf(const PlanProgram &plan);

class Borders {
public:
  Borders(Device &device, const ParameterStore &parameters) : device_(device), parameters_(parameters) {}
  /// Of a program that is to run often: what it reads dense must stay as it is.
  void keepDense(const PlanProgram &plan, const std::vector<Reading> &readings);
  /// Another weight, from a row on.
  struct Below {
    std::string name;
    int64_t row;
  };
  struct How {
    bool turned = false, stays = false;
    std::vector<Below> below = {};
  };
  /// The matrix [rows, columns] of `type` that begins with the weight `name`, which plans have as `stored`. `turned`: transposed. `stays`: it is frozen,
  /// and may lie in the matrix alone, and so may those `below`. Errs: the weight is larger, or no matrix.
  at::Tensor of(const std::string &name, const std::vector<int64_t> &shape, ValueType type, ValueType stored, How how);
  int64_t bytes() const;

private:
  Device &device_;
  const ParameterStore &parameters_;
  std::set<std::string> dense_;
  std::map<std::tuple<std::string, int64_t, int64_t, ValueType>, at::Tensor> made_; ///< by name, rows, columns and type
};

} // namespace peftrt::plan
