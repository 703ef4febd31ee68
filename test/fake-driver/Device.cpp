// Initialization, devices, contexts, error texts.
#include "test/fake-driver/FakeDriver.h"

#include <cstring>

using namespace qlr::cuda;
using namespace qlr::cuda::fake;

namespace {

constexpr struct {
  CUresult result;
  const char *name, *text;
} errors[] = {
    {CUDA_SUCCESS, "CUDA_SUCCESS", "no error"},
    {CUDA_ERROR_INVALID_VALUE, "CUDA_ERROR_INVALID_VALUE", "invalid argument"},
    {CUDA_ERROR_OUT_OF_MEMORY, "CUDA_ERROR_OUT_OF_MEMORY", "out of memory"},
    {CUDA_ERROR_NOT_INITIALIZED, "CUDA_ERROR_NOT_INITIALIZED", "initialization error"},
    {CUDA_ERROR_NO_DEVICE, "CUDA_ERROR_NO_DEVICE", "no CUDA-capable device is detected"},
    {CUDA_ERROR_INVALID_DEVICE, "CUDA_ERROR_INVALID_DEVICE", "invalid device ordinal"},
    {CUDA_ERROR_INVALID_IMAGE, "CUDA_ERROR_INVALID_IMAGE", "device kernel image is invalid"},
    {CUDA_ERROR_INVALID_CONTEXT, "CUDA_ERROR_INVALID_CONTEXT", "invalid device context"},
    {CUDA_ERROR_NO_BINARY_FOR_GPU, "CUDA_ERROR_NO_BINARY_FOR_GPU", "no kernel image is available for execution"},
    {CUDA_ERROR_INVALID_PTX, "CUDA_ERROR_INVALID_PTX", "a PTX JIT compilation failed"},
    {CUDA_ERROR_UNSUPPORTED_PTX_VERSION, "CUDA_ERROR_UNSUPPORTED_PTX_VERSION",
     "the provided PTX was compiled with an unsupported toolchain."},
    {CUDA_ERROR_INVALID_HANDLE, "CUDA_ERROR_INVALID_HANDLE", "invalid resource handle"},
    {CUDA_ERROR_ILLEGAL_STATE, "CUDA_ERROR_ILLEGAL_STATE", "the operation cannot be performed in the present state"},
    {CUDA_ERROR_NOT_FOUND, "CUDA_ERROR_NOT_FOUND", "named symbol not found"},
    {CUDA_ERROR_NOT_READY, "CUDA_ERROR_NOT_READY", "device not ready"},
    {CUDA_ERROR_ILLEGAL_ADDRESS, "CUDA_ERROR_ILLEGAL_ADDRESS", "an illegal memory access was encountered"},
    {CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES, "CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES",
     "too many resources requested for launch"},
    {CUDA_ERROR_LAUNCH_FAILED, "CUDA_ERROR_LAUNCH_FAILED", "unspecified launch failure"},
    {CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, "CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED",
     "operation not permitted when stream is capturing"},
    {CUDA_ERROR_STREAM_CAPTURE_UNMATCHED, "CUDA_ERROR_STREAM_CAPTURE_UNMATCHED",
     "the capture was not initiated in this stream"},
    {CUDA_ERROR_UNKNOWN, "CUDA_ERROR_UNKNOWN", "unknown error"}};

/// What a context leaves behind is a leak of its user.
void reportLeaks(const State &state) {
  auto report = [](const char *what, size_t count) {
    if (count)
      wrong("cuDevicePrimaryCtxRelease", std::to_string(count) + " " + what + " left behind", CUDA_SUCCESS);
  };
  report("allocations", state.allocations.size());
  report("modules", state.modules.size());
  report("streams", state.streams.size());
  report("events", state.events.size());
  report("graphs", state.graphs.size());
  report("executable graphs", state.executables.size());
  report("linkers", state.links.size());
}

} // namespace

QLR_FAKE_EXPORT cuInit(unsigned flags) {
  State &state = State::get();
  std::lock_guard lock(state.mutex);
  if (flags != 0)
    return wrong("cuInit", "flags", CUDA_ERROR_INVALID_VALUE);
  if (Settings::get().devices == 0)
    return CUDA_ERROR_NO_DEVICE;
  if (Settings::get().failing == "cuInit")
    return CUDA_ERROR_UNKNOWN;
  state.initialized = true;
  return CUDA_SUCCESS;
}

QLR_FAKE_EXPORT cuDriverGetVersion(int *version) {
  *version = Settings::get().version;
  return CUDA_SUCCESS;
}

QLR_FAKE_EXPORT cuGetErrorName(CUresult error, const char **text) {
  for (const auto &entry : errors)
    if (entry.result == error) {
      *text = entry.name;
      return CUDA_SUCCESS;
    }
  *text = nullptr;
  return CUDA_ERROR_INVALID_VALUE;
}

QLR_FAKE_EXPORT cuGetErrorString(CUresult error, const char **text) {
  for (const auto &entry : errors)
    if (entry.result == error) {
      *text = entry.text;
      return CUDA_SUCCESS;
    }
  *text = nullptr;
  return CUDA_ERROR_INVALID_VALUE;
}

QLR_FAKE_EXPORT cuDeviceGetCount(int *count) {
  Call call("cuDeviceGetCount", false);
  *count = Settings::get().devices;
  return call.refused();
}

QLR_FAKE_EXPORT cuDeviceGet(CUdevice *device, int ordinal) {
  Call call("cuDeviceGet", false);
  if (ordinal < 0 || ordinal >= Settings::get().devices)
    return call.wrong("ordinal " + std::to_string(ordinal), CUDA_ERROR_INVALID_DEVICE);
  *device = ordinal;
  return call.refused();
}

QLR_FAKE_EXPORT cuDeviceGetName(char *name, int length, CUdevice device) {
  Call call("cuDeviceGetName", false);
  if (device < 0 || device >= Settings::get().devices || !name || length < 2)
    return call.wrong("arguments", CUDA_ERROR_INVALID_VALUE);
  std::strncpy(name, "Fake GPU", static_cast<size_t>(length) - 1);
  return call.refused();
}

QLR_FAKE_EXPORT cuDeviceGetAttribute(int *value, int attribute, CUdevice device) {
  Call call("cuDeviceGetAttribute", false);
  const Settings settings = Settings::get();
  if (device < 0 || device >= settings.devices)
    return call.wrong("device " + std::to_string(device), CUDA_ERROR_INVALID_DEVICE);
  switch (attribute) {
  case CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK:
    *value = 1024;
    break;
  case CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT:
    *value = settings.multiprocessors;
    break;
  case CU_DEVICE_ATTRIBUTE_CAN_MAP_HOST_MEMORY:
    *value = 1;
    break;
  case CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE:
    *value = 1 << 20;
    break;
  case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR:
    *value = settings.capability / 10;
    break;
  case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR:
    *value = settings.capability % 10;
    break;
  case CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN:
    *value = settings.sharedPerBlock();
    break;
  default:
    return call.wrong("attribute " + std::to_string(attribute));
  }
  return call.refused();
}

QLR_FAKE_EXPORT cuDeviceTotalMem_v2(size_t *bytes, CUdevice device) {
  Call call("cuDeviceTotalMem", false);
  *bytes = Settings::get().memory;
  return call.refused();
}

QLR_FAKE_EXPORT cuDevicePrimaryCtxRetain(CUcontext *context, CUdevice device) {
  Call call("cuDevicePrimaryCtxRetain", false);
  if (call.refused() != CUDA_SUCCESS)
    return call.refused();
  ++State::get().contextUsers;
  *context = reinterpret_cast<CUcontext>(&State::get());
  return CUDA_SUCCESS;
}

QLR_FAKE_EXPORT cuDevicePrimaryCtxRelease_v2(CUdevice device) {
  Call call("cuDevicePrimaryCtxRelease", false);
  State &state = State::get();
  if (state.contextUsers == 0)
    return call.wrong("released more often than retained", CUDA_ERROR_INVALID_CONTEXT);
  if (--state.contextUsers == 0) {
    reportLeaks(state);
    state.sticky = CUDA_SUCCESS;
    note("context released");
  }
  return CUDA_SUCCESS;
}

QLR_FAKE_EXPORT cuCtxSetCurrent(CUcontext context) {
  Call call("cuCtxSetCurrent", false);
  if (context && context != reinterpret_cast<CUcontext>(&State::get()))
    return call.wrong("no context of this driver", CUDA_ERROR_INVALID_CONTEXT);
  contextIsCurrent() = context != nullptr;
  return call.refused();
}
