// Devices: which device a trainer's steps run on: `--device`, what the trainer has code for, and what this machine has.
//
// Errs   R0160 … R0162 (runtime/cuda): a GPU is asked for and cannot be used
#pragma once
#include "runtime/modes/Session.h"
#include "runtime/plan/Device.h"

namespace peftrt {

/// The word behind --device, `auto` where there is none.
std::string deviceOf(const Arguments &arguments, bool reference);
/// The device that `options.device` means here. `auto` is the GPU where there is one and the trainer has code for it, else this CPU, in silence: `info` says why.
std::shared_ptr<Device> openDevice(const Bundle &bundle, const SessionOptions &options);
/// For `info`: the device that `auto` means, and why no GPU.
nlohmann::json deviceReport(const Bundle &bundle, const Surroundings &surroundings);

} // namespace peftrt
