#include "runtime/cuda/CudaDevices.h"

#include "runtime/cuda/CudaDevice.h"
#include "runtime/cuda/Driver.h"
#include "runtime/exec/Memory.h"
#include "runtime/format/Error.h"

#include <algorithm>
#include <charconv>

namespace qlr {
namespace {

/// The targets that `qlr compile` knows, newest first.
constexpr const char *compiledTargets[] = {"sm_90", "sm_86", "sm_80"};

std::string capabilityText(int capability) {
  return std::to_string(capability / 10) + "." + std::to_string(capability % 10);
}

const cuda::DeviceInfo &findDevice(const std::string &name) {
  const std::vector<cuda::DeviceInfo> &devices = cuda::Driver::get().devices();
  size_t ordinal = 0;
  if (name != "cuda") {
    const char *begin = name.data() + std::string_view("cuda:").size(), *end = name.data() + name.size();
    if (auto [stop, error] = std::from_chars(begin, end, ordinal); error != std::errc() || stop != end)
      ordinal = devices.size();
  }
  if (ordinal >= devices.size())
    fail({.tensor = "--device",
          .found = "'" + name + "'",
          .expected = devices.size() == 1 ? "cuda:0" : "cuda:0 to cuda:" + std::to_string(devices.size() - 1),
          .advice = "see --list-devices"});
  return devices[ordinal];
}

} // namespace

bool isCudaName(const std::string &name) { return name == "cuda" || name.starts_with("cuda:"); }

std::optional<int> capabilityOf(const std::string &target) {
  int number = 0;
  if (!target.starts_with("sm_"))
    return std::nullopt;
  const char *begin = target.data() + 3, *end = target.data() + target.size();
  auto [stop, error] = std::from_chars(begin, end, number);
  if (error != std::errc() || stop != end)
    return std::nullopt;
  return number;
}

std::string bestCudaTarget(std::span<const std::string> targets, int capability) {
  std::string best;
  int bestNeed = 0;
  for (const std::string &target : targets)
    if (std::optional<int> need = capabilityOf(target); need && *need <= capability && *need > bestNeed) {
      best = target;
      bestNeed = *need;
    }
  return best;
}

std::vector<std::pair<std::string, std::string>> listCudaDevices() {
  try {
    const cuda::Driver &driver = cuda::Driver::get();
    std::vector<std::pair<std::string, std::string>> list;
    for (const cuda::DeviceInfo &device : driver.devices())
      list.emplace_back("cuda:" + std::to_string(device.ordinal),
                        device.name + ", compute capability " + capabilityText(device.capability) + ", " +
                            std::to_string(device.multiprocessors) + " multiprocessors, " + formatBytes(device.memory) +
                            ", driver for CUDA " + cuda::versionText(driver.version()));
    return list;
  } catch (const Error &error) {
    return {{"cuda", std::string("none: ") + error.what()}};
  }
}

ChosenDevice makeCudaDevice(const std::string &name, std::span<const std::string> targets, const DeviceOptions &options,
                            const std::string &file) {
  const cuda::DeviceInfo &info = findDevice(name);
  std::string target = bestCudaTarget(targets, info.capability);
  if (target.empty())
    fail({.file = file,
          .found = "an artifact for " + listText(targets),
          .expected = "one that runs on cuda:" + std::to_string(info.ordinal) + " (" + info.name +
                      ", compute capability " + capabilityText(info.capability) + ")",
          .advice = "compile with --target " + cudaTarget(name)});
  return {std::make_unique<CudaDevice>(info, options), target};
}

std::string cudaTarget(const std::string &name) {
  const cuda::DeviceInfo &info = findDevice(name);
  std::vector<std::string> all(std::begin(compiledTargets), std::end(compiledTargets));
  std::string target = bestCudaTarget(all, info.capability);
  if (target.empty())
    fail({.tensor = "--device " + name,
          .found = info.name + ", compute capability " + capabilityText(info.capability),
          .expected = "8.0 or newer",
          .advice = "this GPU cannot run qlr; use --device host"});
  return target;
}

} // namespace qlr
