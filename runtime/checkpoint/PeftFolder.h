// PeftFolder: a folder of Hugging Face PEFT: adapter_config.json and adapter_model.safetensors, by what the program says of itself (the manifest's `interop`).
//
// Nothing in such a folder is passed over: a field is what the program writes, or one that it says does not matter, or says "off"; a tensor is one that the
// program has. Everything that is not so is listed in one error.
// Errs   R0110, R0111 a file cannot be read, R0122 it does not fit the program, R0123 the program has no such files, or not both ways
#pragma once
#include "runtime/checkpoint/Safetensors.h"
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace peftrt {

/// Throws R0123 where the program cannot be written as such a folder, or (`both`) not be read from one.
void requireInterop(const nlohmann::json &manifest, bool both);
/// adapter_config.json of the program; `model`: its checkpoint's folder.
nlohmann::json peftConfigOf(const nlohmann::json &manifest, const std::string &model);
/// What in a folder's configuration contradicts the program, a line each.
std::vector<std::string> misfitsOf(const nlohmann::json &config, const nlohmann::json &interop);

/// The folder's tensors by key. `shapes`: those that there must be.
std::map<std::string, at::Tensor> readPeftFolder(const std::string &folder, const nlohmann::json &manifest, const std::map<std::string, std::vector<int64_t>> &shapes);

} // namespace peftrt
