// Safetensors: see Safetensors.h.
#include "runtime/checkpoint/Safetensors.h"
#include "runtime/bundle/Errors.h"
#include "runtime/bundle/Json.h"
#include <ATen/ATen.h>
#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>

namespace peftrt {
namespace {

using nlohmann::json;

constexpr const char *kTruncatedHelp = "the file is cut short or damaged: copy or download it again";

const std::map<std::string, at::ScalarType> kDtypes = {{"F64", at::kDouble}, {"F32", at::kFloat}, {"F16", at::kHalf}, {"BF16", at::kBFloat16}, {"I64", at::kLong},
                                                        {"I32", at::kInt},    {"I16", at::kShort}, {"I8", at::kChar},  {"U8", at::kByte},      {"BOOL", at::kBool}};

std::string writtenDtype(at::ScalarType type) {
  for (const auto &[name, dtype] : kDtypes)
    if (dtype == type)
      return name;
  throw RuntimeError("R0900", "internal: no safetensors dtype for a tensor", "this is a bug of peftc");
}

uint64_t bytesPerElement(const std::string &dtype) {
  static const std::map<std::string, uint64_t> kSizes = {{"F64", 8}, {"I64", 8}, {"U64", 8},  {"F32", 4}, {"I32", 4},     {"U32", 4},     {"F16", 2}, {"BF16", 2},
                                                         {"I16", 2}, {"U16", 2}, {"BOOL", 1}, {"I8", 1},  {"U8", 1}, {"F8_E4M3", 1}, {"F8_E5M2", 1}};
  const auto found = kSizes.find(dtype);
  return found == kSizes.end() ? 0 : found->second;
}

StoredTensor parseTensor(const std::string &path, const std::string &name, const json &entry, uint64_t dataBegin, uint64_t fileSize) {
  const auto broken = [&](const std::string &why) { return RuntimeError("R0111", "`" + path + "`: tensor `" + name + "` " + why, kTruncatedHelp); };
  if (!entry.is_object() || !entry.contains("dtype") || !entry["dtype"].is_string() || !entry.contains("shape") || !entry["shape"].is_array() ||
      !entry.contains("data_offsets") || !entry["data_offsets"].is_array() || entry["data_offsets"].size() != 2)
    throw broken("has no dtype, shape and data_offsets");
  StoredTensor tensor;
  tensor.dtype = entry["dtype"].get<std::string>();
  uint64_t elements = 1;
  for (const json &dim : entry["shape"]) {
    if (!dim.is_number_unsigned())
      throw broken("has a shape that is not a list of sizes");
    tensor.shape.push_back(dim.get<int64_t>());
    if (__builtin_mul_overflow(elements, dim.get<uint64_t>(), &elements))
      throw broken("has a shape beyond any file");
  }
  for (const json &offset : entry["data_offsets"])
    if (!offset.is_number_unsigned() || offset.get<uint64_t>() > fileSize)
      throw broken("lies beyond the end of the file (" + std::to_string(fileSize) + " bytes)");
  tensor.begin = dataBegin + entry["data_offsets"][0].get<uint64_t>();
  tensor.end = dataBegin + entry["data_offsets"][1].get<uint64_t>();
  if (tensor.end > fileSize)
    throw broken("ends at byte " + std::to_string(tensor.end) + ", the file has " + std::to_string(fileSize));
  const uint64_t width = bytesPerElement(tensor.dtype);
  if (tensor.end < tensor.begin || (width != 0 && tensor.end - tensor.begin != elements * width))
    throw broken("has " + std::to_string(tensor.end - tensor.begin) + " bytes, its shape " + shapeText(tensor.shape) + " " + tensor.dtype + " needs " +
                 std::to_string(elements * width));
  return tensor;
}

} // namespace

std::string shapeText(const std::vector<int64_t> &shape) {
  std::string text = "[";
  for (size_t axis = 0; axis < shape.size(); ++axis)
    text += (axis ? ", " : "") + std::to_string(shape[axis]);
  return text + "]";
}

SafetensorsFile::SafetensorsFile(const std::string &path) : file_(MappedFile::open(path)) {
  uint64_t headerSize = 0;
  if (file_->size() < 8)
    throw RuntimeError("R0111", "`" + path + "` has " + std::to_string(file_->size()) + " bytes, too few for a safetensors file", kTruncatedHelp);
  std::memcpy(&headerSize, file_->begin(), 8);
  if (headerSize > file_->size() - 8 || headerSize > 100'000'000)
    throw RuntimeError("R0111", "`" + path + "`: the header claims " + std::to_string(headerSize) + " bytes, the file has " + std::to_string(file_->size()), kTruncatedHelp);
  const json header = parseJson(file_->text().substr(8, headerSize));
  if (!header.is_object())
    throw RuntimeError("R0111", "`" + path + "`: the safetensors header is not JSON", kTruncatedHelp);
  std::vector<std::pair<uint64_t, uint64_t>> extents;
  for (const auto &[name, entry] : header.items()) {
    if (name == "__metadata__") {
      if (entry.is_object())
        for (const auto &[key, value] : entry.items())
          metadata_[key] = value.is_string() ? value.get<std::string>() : value.dump();
      continue;
    }
    const StoredTensor tensor = parseTensor(path, name, entry, 8 + headerSize, file_->size());
    extents.emplace_back(tensor.begin, tensor.end);
    tensors_[name] = tensor;
  }
  std::sort(extents.begin(), extents.end());
  uint64_t expected = 8 + headerSize;
  for (const auto &[begin, end] : extents) {
    if (begin != expected)
      throw RuntimeError("R0111", "`" + path + "`: tensors overlap or leave a gap at byte " + std::to_string(expected), kTruncatedHelp);
    expected = end;
  }
  if (expected != file_->size())
    throw RuntimeError("R0111", "`" + path + "`: the header describes " + std::to_string(expected) + " bytes, the file has " + std::to_string(file_->size()), kTruncatedHelp);
}

at::Tensor SafetensorsFile::load(const std::string &name) const {
  const at::Tensor stored = loadAsStored(name);
  if (!stored.is_floating_point() || stored.scalar_type() == at::kDouble)
    throw RuntimeError("R0115", "`" + path() + "`: tensor `" + name + "` has dtype " + tensors_.at(name).dtype + "; F32, F16 or BF16 is needed", "");
  return stored.to(at::kFloat);
}

at::Tensor SafetensorsFile::loadAsStored(const std::string &name) const {
  const StoredTensor &stored = tensors_.at(name);
  const auto dtype = kDtypes.find(stored.dtype);
  if (dtype == kDtypes.end())
    throw RuntimeError("R0115", "`" + path() + "`: tensor `" + name + "` has dtype " + stored.dtype + ", which cannot be read", "");
  const uint8_t *bytes = file_->begin() + stored.begin;
  const at::TensorOptions options = at::TensorOptions().dtype(dtype->second);
  if (reinterpret_cast<uintptr_t>(bytes) % bytesPerElement(stored.dtype) != 0) {
    at::Tensor copy = at::empty(stored.shape, options);
    std::memcpy(copy.data_ptr(), bytes, stored.end - stored.begin);
    return copy;
  }
  const auto keep = file_; // the tensor keeps the map alive
  return at::from_blob(const_cast<uint8_t *>(bytes), stored.shape, [keep](void *) {}, options);
}

SafetensorsWriter::SafetensorsWriter(const std::string &path, const std::map<std::string, Planned> &tensors, const std::map<std::string, std::string> &metadata) : file_(path) {
  json header = json::object();
  if (!metadata.empty())
    header["__metadata__"] = metadata;
  uint64_t offset = 0;
  for (const auto &[name, planned] : tensors) {
    const at::ScalarType type = at::isFloatingType(planned.type) ? at::kFloat : planned.type;
    uint64_t size = c10::elementSize(type);
    for (const int64_t dim : planned.shape)
      size *= static_cast<uint64_t>(dim);
    header[name] = {{"dtype", writtenDtype(type)}, {"shape", planned.shape}, {"data_offsets", {offset, offset + size}}};
    missing_[name] = {type, planned.shape, offset};
    offset += size;
  }
  std::string text = header.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');
  const uint64_t headerSize = text.size();
  file_.write(&headerSize, 8);
  file_.write(text);
  for (auto &[name, space] : missing_)
    space.begin += 8 + headerSize;
}

void SafetensorsWriter::put(const std::string &name, const at::Tensor &tensor) {
  const auto found = missing_.find(name);
  if (found == missing_.end() || tensor.sizes() != at::IntArrayRef(found->second.shape))
    throw RuntimeError("R0900", "internal: `" + name + "` of shape " + shapeText(tensor.sizes().vec()) + " is written where it is not expected", "this is a bug of peftc");
  const at::Tensor flat = tensor.to(found->second.type).contiguous();
  file_.writeAt(found->second.begin, flat.data_ptr(), flat.nbytes());
  missing_.erase(found);
}

void SafetensorsWriter::commit() {
  if (!missing_.empty())
    throw RuntimeError("R0900", "internal: `" + missing_.begin()->first + "` was not written", "this is a bug of peftc");
  file_.commit();
}

void writeSafetensors(const std::string &path, const std::map<std::string, at::Tensor> &tensors, const std::map<std::string, std::string> &metadata) {
  std::map<std::string, SafetensorsWriter::Planned> planned;
  for (const auto &[name, tensor] : tensors)
    planned[name] = {tensor.scalar_type(), tensor.sizes().vec()};
  SafetensorsWriter writer(path, planned, metadata);
  for (const auto &[name, tensor] : tensors)
    writer.put(name, tensor);
  writer.commit();
}

} // namespace peftrt
