#include "runtime/cuda/CudaObjects.h"

#include "runtime/exec/Memory.h"
#include "runtime/format/Error.h"

namespace qlr::cuda {

Context::Context(const DeviceInfo &info) {
  const Driver &driver = Driver::get();
  const std::string what = "opening cuda:" + std::to_string(info.ordinal);
  driver.check(driver.api.deviceGet(&device, info.ordinal), what);
  driver.check(driver.api.primaryCtxRetain(&context, device), what,
               "another program may hold the whole GPU, or its memory: see nvidia-smi");
  enter();
}

Context::~Context() {
  Driver::get().api.ctxSetCurrent(nullptr);
  Driver::get().api.primaryCtxRelease(device);
}

void Context::enter() const {
  const Driver &driver = Driver::get();
  driver.check(driver.api.ctxSetCurrent(context), "entering the device's context");
}

PinnedBuffer::PinnedBuffer(uint64_t size, const std::string &what) : bytes(size) {
  const Driver &driver = Driver::get();
  CUresult result = driver.api.memHostAlloc(memory.out(), size, CU_MEMHOSTALLOC_DEVICEMAP);
  if (result != CUDA_SUCCESS)
    fail({.tensor = "CUDA, page-locked host memory for " + what,
          .found = driver.describe(result),
          .expected = formatBytes(size) + " of the host's memory",
          .advice = "free memory of the host, or keep it on the device"});
  driver.check(driver.api.memHostGetDevicePointer(&address, memory.get(), 0), "mapping host memory for " + what);
}

} // namespace qlr::cuda
