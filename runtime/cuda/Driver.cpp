#include "runtime/cuda/Driver.h"

#include "runtime/format/Error.h"

#include <cstdlib>
#include <dlfcn.h>

namespace qlr::cuda {
namespace {

/// The oldest driver with every function of QLR_CUDA_FUNCTIONS.
constexpr const char *oldestDriver = "11.4";

std::string libraryName() {
  const char *name = std::getenv("QLR_CUDA_DRIVER");
  return name && *name ? name : "libcuda.so.1";
}

Api openApi() {
  const std::string library = libraryName();
  // Never closed: the driver has threads and exit handlers of its own.
  void *handle = dlopen(library.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!handle) {
    const char *why = dlerror();
    fail({.tensor = "CUDA",
          .found = std::string("no driver (") + (why ? why : library) + ")",
          .expected = "an NVIDIA driver, which brings " + library,
          .advice = "install the driver, or run with --device host an artifact compiled for it"});
  }
  Api api;
  auto resolve = [&](const char *symbol) { return dlsym(handle, symbol); };
#define QLR_CUDA_RESOLVE(member, symbol, parameters)                                                                   \
  api.member = reinterpret_cast<decltype(api.member)>(resolve(#symbol));
#define QLR_CUDA_REQUIRE(member, symbol, parameters)                                                                   \
  QLR_CUDA_RESOLVE(member, symbol, parameters)                                                                         \
  if (!api.member && missing.empty())                                                                                  \
    missing = #symbol;
  std::string missing;
  QLR_CUDA_FUNCTIONS(QLR_CUDA_REQUIRE)
  QLR_CUDA_NEWER_FUNCTIONS(QLR_CUDA_RESOLVE)
#undef QLR_CUDA_RESOLVE
#undef QLR_CUDA_REQUIRE
  if (!missing.empty()) {
    int version = 0;
    if (api.driverGetVersion)
      api.driverGetVersion(&version);
    fail({.tensor = "CUDA",
          .found = "a driver without " + missing + (version ? " (CUDA " + versionText(version) + ")" : ""),
          .expected = std::string("CUDA ") + oldestDriver + " or newer",
          .advice = "update the NVIDIA driver"});
  }
  return api;
}

} // namespace

std::string versionText(int version) {
  return std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10);
}

Driver::Driver() : api(openApi()) {
  CUresult result = api.init(0);
  int count = 0;
  if (result == CUDA_SUCCESS)
    check(api.deviceGetCount(&count), "counting devices");
  if (result == CUDA_ERROR_NO_DEVICE || (result == CUDA_SUCCESS && count == 0))
    fail({.tensor = "CUDA",
          .found = "a driver and no device (CUDA_ERROR_NO_DEVICE)",
          .expected = "an NVIDIA GPU that this process may use",
          .advice = "see CUDA_VISIBLE_DEVICES, and whether a container was given the GPU"});
  check(result, "starting the driver", "see whether nvidia-smi works: the kernel module and the library must match");
  check(api.driverGetVersion(&theVersion), "asking for the driver's version");
  for (int i = 0; i < count; ++i)
    theDevices.push_back(describeDevice(i));
}

const Driver &Driver::get() {
  static const Driver driver;
  return driver;
}

DeviceInfo Driver::describeDevice(int ordinal) const {
  DeviceInfo info;
  info.ordinal = ordinal;
  CUdevice device = 0;
  const std::string what = "asking about device " + std::to_string(ordinal);
  check(api.deviceGet(&device, ordinal), what);
  char name[256] = {};
  check(api.deviceGetName(name, sizeof name - 1, device), what);
  info.name = name;
  size_t bytes = 0;
  check(api.deviceTotalMem(&bytes, device), what);
  info.memory = bytes;
  auto attribute = [&](DeviceAttribute which) {
    int value = 0;
    check(api.deviceGetAttribute(&value, which, device), what);
    return value;
  };
  info.capability = 10 * attribute(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR) +
                    attribute(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR);
  info.multiprocessors = attribute(CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT);
  info.maxThreads = attribute(CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK);
  info.maxSharedBytes = attribute(CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN);
  info.l2Bytes = attribute(CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE);
  return info;
}

std::string Driver::describe(CUresult result) const {
  const char *name = nullptr, *text = nullptr;
  if (api.getErrorName(result, &name) != CUDA_SUCCESS || !name)
    return "error " + std::to_string(result) + " of the CUDA driver";
  std::string message = name;
  if (api.getErrorString(result, &text) == CUDA_SUCCESS && text)
    message += std::string(" (") + text + ")";
  return message;
}

void Driver::check(CUresult result, const std::string &what, const std::string &advice) const {
  if (result != CUDA_SUCCESS)
    fail({.tensor = "CUDA, " + what, .found = describe(result), .expected = "success", .advice = advice});
}

} // namespace qlr::cuda
