// BandRows: what only one band makes and reads, and how many rows a thread takes through a band at a time; a device is one thread, of many more rows.
#pragma once
#include "dialects/plan/Plan.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/DenseSet.h"

namespace mlir::plan {

/// A value [rows, …] that only the steps of one band make and read lies nowhere for all rows: a thread has its own of the rows that it takes through the band.
class BandRows {
public:
  explicit BandRows(ProgramOp program);
  /// Whether `root`, no alias, is such a value.
  bool isThreads(Value root) const { return threads.contains(root); }
  /// What it takes: bytes a thread.
  FailureOr<SizeAttr> sizeOf(Value root) const;
  /// By the band's number.
  ArrayRef<int64_t> ofBands() const { return rows; }

private:
  bool isInBand(Value root, int64_t band, const llvm::DenseMap<Value, SmallVector<Value>> &aliases) const;
  void measure(Block &block);
  /// How many rows, where so many bytes of a row are needed at once and whole multiples are taken.
  int64_t rowsFor(int64_t bytes, int64_t multiple) const;

  llvm::DenseSet<Value> threads;
  SmallVector<int64_t> rows;
  bool isDevices; ///< the program is
  int64_t asked = 0; ///< rows, if the program says
};
} // namespace mlir::plan
