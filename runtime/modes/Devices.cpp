// Devices: see the header.
#include "runtime/modes/Devices.h"
#include "runtime/bundle/Errors.h"
#include "runtime/cuda/Open.h"

namespace peftrt {

std::string deviceOf(const Arguments &arguments, bool reference) {
  const std::string device = arguments.get("device", reference ? "cpu" : "auto");
  if (device != "cpu" && device != "cuda" && device != "auto")
    throw UsageError{"there is no device `" + device + "`", "--device is cpu, cuda or auto"};
  if (reference && device == "cuda")
    throw UsageError{"the reference interpreter runs on the CPU", "leave out --reference or --device"};
  return reference ? "cpu" : device;
}

std::shared_ptr<Device> openDevice(const Bundle &bundle, const SessionOptions &options) {
  if (options.device == "cpu" || (options.device == "auto" && bundle.gpuKernels.empty()))
    return makeCpuDevice();
  try {
    return cuda::open(bundle, {options.torchCuda, {!options.ownGemms, options.cublasLt, options.gemmFolder}});
  } catch (const RuntimeError &error) {
    if (options.device != "auto" || !cuda::isAbsence(error))
      throw;
    return makeCpuDevice();
  }
}

nlohmann::json deviceReport(const Bundle &bundle, const Surroundings &surroundings) {
  nlohmann::json report = {{"auto", "cpu"}, {"gpu_code", nlohmann::json::object()}};
  for (const auto &[target, code] : bundle.gpuKernels)
    report["gpu_code"][target] = code.cubin.empty() ? "ptx" : "cubin and ptx";
  if (bundle.gpuKernels.empty()) { // no driver is loaded for that
    report["why_not_cuda"] = "the trainer has no code for a GPU";
    return report;
  }
  try {
    report.update(cuda::describe(bundle, {surroundings.torchCuda}));
    report["auto"] = "cuda";
  } catch (const RuntimeError &error) {
    report["why_not_cuda"] = error.message;
  }
  return report;
}

} // namespace peftrt
