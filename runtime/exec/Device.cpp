#include "runtime/exec/Device.h"

#include "runtime/cuda/CudaDevices.h"
#include "runtime/emulator/EmulatorDevice.h"
#include "runtime/exec/HostDevice.h"
#include "runtime/format/Error.h"

#include <algorithm>

namespace qlr {

Arena arenaOf(PlanArg::Kind kind) {
  switch (kind) {
  case PlanArg::Kind::Weights:
    return Arena::Weights;
  case PlanArg::Kind::Workspace:
    return Arena::Workspace;
  case PlanArg::Kind::State:
    return Arena::State;
  case PlanArg::Kind::Cache:
    return Arena::Cache;
  }
  return Arena::Workspace;
}

std::vector<std::pair<std::string, std::string>> listDevices() {
  std::string levels;
  for (CpuLevel level : supportedCpuLevels())
    levels += (levels.empty() ? "" : ", ") + std::string(cpuLevelName(level));
  unsigned cores = usableCores();
  std::vector<std::pair<std::string, std::string>> devices = {
      {"host", cpuName() + ", " + std::to_string(cores) + (cores == 1 ? " core, " : " cores, ") +
                   (levels.empty() ? "below x86-64-v3: no kernels run here" : levels) + ", " +
                   formatBytes(availableHostMemory()) + " available"}};
  devices.push_back({"emulator", "runs kernels compiled for emulator:sm_NN on the host and reports their faults"});
  for (auto &device : listCudaDevices())
    devices.push_back(std::move(device));
  return devices;
}

std::string listText(std::span<const std::string> names) {
  std::string text;
  for (const std::string &name : names)
    text += (text.empty() ? "" : ", ") + name;
  return text;
}

namespace {

[[noreturn]] void refuseDevice(const std::string &name) {
  fail({.tensor = "--device",
        .found = "'" + name + "'",
        .expected = "host, cuda, cuda:N or emulator",
        .advice = "see --list-devices"});
}

ChosenDevice makeHostDevice(std::span<const std::string> targets, const DeviceOptions &options,
                            const std::string &file) {
  if (std::find(targets.begin(), targets.end(), "host") == targets.end())
    fail({.file = file,
          .found = "an artifact for " + listText(targets),
          .expected = "one for host",
          .advice = "compile with --target host, or choose another --device"});
  // Two devices that run in turn (a model and its reference) share their threads.
  static std::weak_ptr<ThreadPool> shared;
  unsigned threads = options.threads ? options.threads : usableCores();
  std::shared_ptr<ThreadPool> pool = shared.lock();
  if (!pool || pool->size() != threads)
    shared = pool = std::make_shared<ThreadPool>(threads);
  return {std::make_unique<HostDevice>(options, pool), "host"};
}

} // namespace

ChosenDevice makeDevice(const std::string &asked, std::span<const std::string> targets, const DeviceOptions &options,
                        const std::string &file) {
  std::string name = asked;
  if (name.empty())
    name = targets.front().starts_with("sm_") ? "cuda" : targets.front();
  if (name == "host")
    return makeHostDevice(targets, options, file);
  if (isEmulatorName(name))
    return makeEmulatorDevice(isEmulatorName(asked) ? asked : "emulator", targets, options, file);
  if (isCudaName(name))
    return makeCudaDevice(name, targets, options, file);
  refuseDevice(name);
}

std::string targetForDevice(const std::string &name) {
  if (name.empty() || name == "host")
    return "host";
  if (isEmulatorName(name))
    return "emulator:sm_86";
  if (isCudaName(name))
    return cudaTarget(name);
  refuseDevice(name);
}

} // namespace qlr
