#include "runtime/exec/Device.h"

#include "runtime/exec/HostDevice.h"
#include "runtime/format/Error.h"

namespace qlr {

std::vector<std::pair<std::string, std::string>> listDevices() {
  std::string levels;
  for (CpuLevel level : supportedCpuLevels())
    levels += (levels.empty() ? "" : ", ") + std::string(cpuLevelName(level));
  unsigned cores = usableCores();
  return {{"host", cpuName() + ", " + std::to_string(cores) + (cores == 1 ? " core, " : " cores, ") +
                       (levels.empty() ? "below x86-64-v3: no kernels run here" : levels) + ", " +
                       formatBytes(availableHostMemory()) + " available"}};
}

std::unique_ptr<Device> makeDevice(const std::string &name, const std::string &target, const DeviceOptions &options,
                                   const std::string &file) {
  if (name != "host")
    fail({.tensor = "--device", .found = "'" + name + "'", .expected = "host", .advice = "see --list-devices"});
  if (target != "host")
    fail({.file = file,
          .found = "an artifact for " + target,
          .expected = "one for host",
          .advice = "compile with --target host"});
  // Two devices that run in turn (a model and its reference) share their threads.
  static std::weak_ptr<ThreadPool> shared;
  unsigned threads = options.threads ? options.threads : usableCores();
  std::shared_ptr<ThreadPool> pool = shared.lock();
  if (!pool || pool->size() != threads)
    shared = pool = std::make_shared<ThreadPool>(threads);
  return std::make_unique<HostDevice>(options, pool);
}

} // namespace qlr
