// Sequences: where the sequences of a task's example begin in packed values, and how long they are.
#pragma once
#include "compiler/conversion/Code.h"
#include "dialects/nn/Nn.h"
#include "llvm/ADT/DenseMap.h"

namespace peftc::conversion {

class Sequences {
public:
  Sequences(Code &code, mlir::Value call);
  /// At a task's beginning: what is read here is seen by all that follows. `dims`: those whose sequences the task asks for.
  void begin(mlir::Value example, llvm::ArrayRef<mlir::nn::Dim> dims);

  mlir::Value lengthOf(mlir::nn::Dim dim) const;
  /// The first row of this example among all examples' rows.
  mlir::Value firstRowOf(mlir::nn::Dim dim) const;
  /// The first entry of this example among all examples' tables [rows, keys].
  mlir::Value firstEntryOf(mlir::nn::Dim rows, mlir::nn::Dim keys) const;

private:
  struct Place {
    mlir::Value first, length;
  };
  Code &code;
  mlir::Value call, offsets, squares, lengths; ///< fields of the call
  mlir::Value example;
  llvm::DenseMap<int64_t, Place> places;
};

} // namespace peftc::conversion
