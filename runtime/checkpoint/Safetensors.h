// Safetensors: reading by memory map and writing whole or not at all.
//
// A header that lies (offsets beyond the file, a size that contradicts the shape, gaps, overlaps) is refused on opening.
// Errs   R0111 truncated or corrupt, R0115 a dtype that cannot be read as fp32, R0117 a write failed
#pragma once
#include "runtime/checkpoint/AtomicFile.h"
#include "runtime/checkpoint/MappedFile.h"
#include <ATen/core/Tensor.h>
#include <map>
#include <string>
#include <vector>

namespace peftrt {

struct StoredTensor {
  std::string dtype; ///< as in the file: "F32", "BF16", …
  std::vector<int64_t> shape;
  uint64_t begin = 0, end = 0; ///< bytes from the file's start
};

class SafetensorsFile {
public:
  explicit SafetensorsFile(const std::string &path);
  const std::map<std::string, StoredTensor> &tensors() const { return tensors_; }
  const std::map<std::string, std::string> &metadata() const { return metadata_; }
  const std::string &path() const { return file_->path(); }
  std::string_view bytesOf(const StoredTensor &tensor) const { return file_->text().substr(tensor.begin, tensor.end - tensor.begin); }
  /// fp32: a view into the map when the file holds aligned F32 (not writable), a copy for F16 and BF16.
  at::Tensor load(const std::string &name) const;
  /// In the file's dtype: for copying a tensor that nothing computes with.
  at::Tensor loadAsStored(const std::string &name) const;

private:
  std::shared_ptr<const MappedFile> file_;
  std::map<std::string, StoredTensor> tensors_;
  std::map<std::string, std::string> metadata_;
};

/// A file whose tensors are there one at a time, in any order. Floating dtypes are written as fp32, integers as they are.
class SafetensorsWriter {
public:
  struct Planned {
    at::ScalarType type;
    std::vector<int64_t> shape;
  };
  SafetensorsWriter(const std::string &path, const std::map<std::string, Planned> &tensors, const std::map<std::string, std::string> &metadata);
  /// Each once, of the planned shape; R0900 otherwise.
  void put(const std::string &name, const at::Tensor &tensor);
  /// R0900 if one is missing.
  void commit();

private:
  struct Space {
    at::ScalarType type; ///< as written
    std::vector<int64_t> shape;
    uint64_t begin;
  };
  AtomicFile file_;
  std::map<std::string, Space> missing_;
};

/// All at once.
void writeSafetensors(const std::string &path, const std::map<std::string, at::Tensor> &tensors,
                      const std::map<std::string, std::string> &metadata = {});

/// "[384, 384]"
std::string shapeText(const std::vector<int64_t> &shape);

} // namespace peftrt
