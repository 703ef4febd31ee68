#include "runtime/cuda/CudaKernels.h"

#include "runtime/cuda/CubinCache.h"
#include "runtime/exec/CommandLine.h"
#include "runtime/format/Error.h"
#include "runtime/format/Plan.h"

#include <algorithm>
#include <optional>

namespace qlr::cuda {
namespace {

/// Dependent launches are captured into graphs as such from this driver on (CUDA 12.3, "edge data").
constexpr int dependentLaunchDriver = 12030;
constexpr int dependentLaunchCapability = 90;
constexpr double quietSeconds = 1; // no progress is shown before

void checkVersions(const std::vector<PtxText> &texts, const Plan &plan, const std::string &file) {
  const int driver = Driver::get().version();
  for (size_t i = 0; i < texts.size(); ++i)
    if (int needed = driverForPtx(texts[i].version); needed > driver)
      fail({.file = file,
            .tensor = "kernel " + plan.kernels[i].name,
            .found = "a driver for CUDA " + versionText(driver) + ", which takes PTX up to " +
                     ptxVersionText(ptxForDriver(driver)),
            .expected = "CUDA " + versionText(needed) + " or newer, for PTX " + ptxVersionText(texts[i].version),
            .advice = "update the NVIDIA driver"});
}

void checkLimits(const DeviceInfo &device, const PlanKernel &kernel, const std::string &file) {
  const auto shared = static_cast<uint64_t>(device.maxSharedBytes);
  const auto threads = static_cast<uint32_t>(device.maxThreads);
  if (kernel.threads == 0 || kernel.threads > threads || kernel.sharedBytes > shared || kernel.items == 0)
    fail({.file = file,
          .tensor = "kernel " + kernel.name,
          .found = std::to_string(kernel.threads) + " threads and " + std::to_string(kernel.sharedBytes) +
                   " bytes of shared memory a block",
          .expected = "1 to " + std::to_string(threads) + " threads and at most " + std::to_string(shared) +
                      " bytes, which is what " + device.name + " has",
          .advice = "compile with --target for this device"});
}

/// Attributes and the number of blocks.
void configure(const DeviceInfo &device, const PlanKernel &plan, Kernel &kernel, const std::string &file) {
  const Driver &driver = Driver::get();
  auto check = [&](CUresult result) { driver.check(result, "preparing kernel " + kernel.name); };
  kernel.threads = plan.threads;
  kernel.sharedBytes = static_cast<unsigned>(plan.sharedBytes);
  check(driver.api.funcSetAttribute(kernel.function, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES,
                                    static_cast<int>(kernel.sharedBytes)));
  // The same for all: changing the split of cache and shared memory between two launches costs microseconds.
  check(driver.api.funcSetAttribute(kernel.function, CU_FUNC_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT,
                                    CU_SHAREDMEM_CARVEOUT_MAX_SHARED));
  int blocks = 0;
  check(driver.api.occupancy(&blocks, kernel.function, static_cast<int>(kernel.threads), kernel.sharedBytes));
  if (blocks < 1)
    fail({.file = file,
          .tensor = "kernel " + kernel.name,
          .found = "no room for one block of " + std::to_string(kernel.threads) + " threads on a multiprocessor",
          .expected = "room for one",
          .advice = "compile with --target for this device"});
  uint64_t most = static_cast<uint64_t>(blocks) * static_cast<uint64_t>(device.multiprocessors);
  kernel.grid = static_cast<unsigned>(std::min(plan.items, most));
}

} // namespace

std::vector<Kernel> loadKernels(const DeviceInfo &device, const Plan &plan, std::span<const std::byte> image,
                                const std::string &file) {
  const Driver &driver = Driver::get();
  std::vector<PtxText> texts = splitPtx(image, plan, file);
  checkVersions(texts, plan, file);
  for (const PlanKernel &kernel : plan.kernels)
    checkLimits(device, kernel, file);

  const bool dependent = device.capability >= dependentLaunchCapability && driver.version() >= dependentLaunchDriver &&
                         driver.api.launchKernelEx;
  KernelLoader loader(device);
  std::vector<Kernel> kernels;
  std::optional<Progress> progress;
  const double begin = now();
  for (size_t i = 0; i < texts.size(); ++i) {
    Kernel &kernel = kernels.emplace_back();
    kernel.name = plan.kernels[i].name;
    kernel.module = loader.load(texts[i].text, kernel.name, file);
    CUresult result = driver.api.moduleGetFunction(&kernel.function, kernel.module.get(), kernel.name.c_str());
    if (result != CUDA_SUCCESS)
      fail({.file = file,
            .tensor = "kernel " + kernel.name,
            .found = driver.describe(result) + " in its PTX",
            .expected = "a function of that name",
            .advice = "compile again"});
    configure(device, plan.kernels[i], kernel, file);
    kernel.dependent = dependent && texts[i].dependentLaunch;
    if (!progress && now() - begin > quietSeconds && loader.compiled())
      progress.emplace("compiling kernels for " + device.name, texts.size());
    if (progress)
      progress->update(i + 1, "");
  }
  if (progress)
    progress->finish();
  return kernels;
}

CUresult launchKernel(const Kernel &kernel, bool dependent, void **params, CUstream stream) {
  const Api &api = Driver::get().api;
  if (!dependent)
    return api.launchKernel(kernel.function, kernel.grid, 1, 1, kernel.threads, 1, 1, kernel.sharedBytes, stream,
                            params, nullptr);
  CUlaunchAttribute attribute{};
  attribute.id = CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION;
  attribute.value.programmaticStreamSerializationAllowed = 1;
  CUlaunchConfig config{kernel.grid, 1, 1, kernel.threads, 1, 1, kernel.sharedBytes, stream, &attribute, 1};
  return api.launchKernelEx(&config, kernel.function, params, nullptr);
}

} // namespace qlr::cuda
