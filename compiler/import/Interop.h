// Interop: what a program is in the files of other software, as far as its methods have said it; Interop.cpp gathers it, InteropFacts.cpp sums it up.
#pragma once
#include "compiler/import/Value.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace peftc::import {

struct Interop {
  struct Field {
    ast::InteropItem::Kind kind = ast::InteropItem::Kind::Field;
    Range range;
    /// Site, its module's name there ("" for none), value; of Sites a bool: whether it is listed.
    struct At {
      std::string site, module;
      nlohmann::json value;
    };
    std::vector<At> at;
    std::string exceptions; ///< the field that lists what differs; "" where nothing may
  };
  std::vector<std::string> order; ///< of fields, as first said
  std::map<std::string, Field> fields;
  std::set<std::string> ignores;   ///< fields of a file that say nothing about numbers
  nlohmann::json ofTask = nlohmann::json::object();
  const ast::InteropItem *trained = nullptr; ///< where weights outside of methods go

  mlir::func::FuncOp func; ///< @export, without its terminator as yet
  std::vector<std::string> keys;
  std::map<std::string, mlir::Value> tensors;                                          ///< by key: values of `func`
  std::map<std::pair<int64_t, const void *>, std::vector<Value>> gathered; ///< of an attach: what `all_sites(x)` is at each site so far
  std::map<std::string, std::string> methodAt;                                         ///< site -> name of the attach that has it
  Range first;                                                                         ///< the first block
  std::string refused;                                                                 ///< why there are no such files; "" if there are
  void refuse(const std::string &why) {
    if (refused.empty())
      refused = why;
  }
};

} // namespace peftc::import
