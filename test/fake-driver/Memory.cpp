// Allocations and copies.
#include "test/fake-driver/FakeDriver.h"
#include "test/fake-driver/Kernels.h"

#include <cstring>
#include <sys/mman.h>
#include <unistd.h>

using namespace qlr::cuda;
using namespace qlr::cuda::fake;

namespace {

constexpr uint64_t poisonUpTo = 256u << 20; // larger ones stay holes, for plans of large models
constexpr int poison = 0xa5;

uint64_t addressOf(const void *pointer) { return reinterpret_cast<uint64_t>(pointer); }
void *pointerTo(uint64_t address) { return reinterpret_cast<void *>(address); }

uint64_t pages(uint64_t bytes) { return (bytes + 4095) / 4096 * 4096; }

/// Puts a copy or a memset into a stream.
CUresult enqueue(const Call &call, CUstream handle, std::function<CUresult()> work) {
  State &state = State::get();
  Stream *stream = as<Stream>(handle);
  if (!state.streams.count(stream))
    return call.wrong("no such stream", CUDA_ERROR_INVALID_HANDLE);
  if (stream->capturing)
    return call.wrong("a copy while the stream is captured", CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
  if (state.sticky != CUDA_SUCCESS)
    return state.sticky;
  stream->queue.push_back(std::move(work));
  return CUDA_SUCCESS;
}

std::string range(uint64_t address, uint64_t bytes) {
  return std::to_string(bytes) + " bytes at " + std::to_string(address);
}

} // namespace

namespace qlr::cuda::fake {

void releaseAllocation(const Allocation &allocation) {
  forgetBuffer(allocation.base);
  munmap(pointerTo(allocation.base), pages(allocation.bytes));
  if (allocation.host)
    munmap(allocation.host, pages(allocation.bytes));
}

} // namespace qlr::cuda::fake

QLR_FAKE_EXPORT cuMemGetInfo_v2(size_t *free, size_t *total) {
  QLR_FAKE_CALL(cuMemGetInfo);
  *total = Settings::get().memory;
  *free = *total - State::get().allocatedOnDevice();
  return State::get().sticky;
}

QLR_FAKE_EXPORT cuMemAlloc_v2(CUdeviceptr *pointer, size_t bytes) {
  QLR_FAKE_CALL(cuMemAlloc);
  State &state = State::get();
  if (bytes == 0)
    return call.wrong("no bytes");
  if (bytes > Settings::get().memory - state.allocatedOnDevice())
    return CUDA_ERROR_OUT_OF_MEMORY;
  void *memory =
      mmap(nullptr, pages(bytes), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED)
    return CUDA_ERROR_OUT_OF_MEMORY;
  if (bytes <= poisonUpTo)
    std::memset(memory, poison, bytes);
  state.allocations[addressOf(memory)] = {addressOf(memory), bytes, nullptr};
  registerBuffer(addressOf(memory), bytes, "device memory");
  note("allocated " + std::to_string(bytes));
  *pointer = addressOf(memory);
  return state.sticky;
}

QLR_FAKE_EXPORT cuMemFree_v2(CUdeviceptr pointer) {
  QLR_FAKE_CALL(cuMemFree);
  State &state = State::get();
  auto it = state.allocations.find(pointer);
  if (it == state.allocations.end() || it->second.host)
    return call.wrong("no device memory begins at " + std::to_string(pointer));
  for (Stream *stream : state.streams) // cuMemFree waits for the device
    drain(*stream);
  releaseAllocation(it->second);
  state.allocations.erase(it);
  return state.sticky;
}

QLR_FAKE_EXPORT cuMemHostAlloc(void **pointer, size_t bytes, unsigned flags) {
  QLR_FAKE_CALL(cuMemHostAlloc);
  if (bytes == 0 || flags != CU_MEMHOSTALLOC_DEVICEMAP)
    return call.wrong("bytes or flags");
  // Two views of one memory: whoever mixes them up is found out.
  int file = memfd_create("qlr-fake-pinned", MFD_CLOEXEC);
  if (file < 0 || ftruncate(file, static_cast<off_t>(pages(bytes))) != 0)
    return CUDA_ERROR_OUT_OF_MEMORY;
  void *host = mmap(nullptr, pages(bytes), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  void *device = mmap(nullptr, pages(bytes), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  close(file);
  if (host == MAP_FAILED || device == MAP_FAILED)
    return CUDA_ERROR_OUT_OF_MEMORY;
  State::get().allocations[addressOf(device)] = {addressOf(device), bytes, host};
  registerBuffer(addressOf(device), bytes, "page-locked host memory");
  note("page-locked " + std::to_string(bytes));
  *pointer = host;
  return State::get().sticky;
}

QLR_FAKE_EXPORT cuMemFreeHost(void *pointer) {
  QLR_FAKE_CALL(cuMemFreeHost);
  State &state = State::get();
  for (auto &[base, allocation] : state.allocations)
    if (allocation.host && allocation.host == pointer) {
      for (Stream *stream : state.streams)
        drain(*stream);
      releaseAllocation(allocation);
      state.allocations.erase(base);
      return state.sticky;
    }
  return call.wrong("no page-locked memory begins there");
}

QLR_FAKE_EXPORT cuMemHostGetDevicePointer_v2(CUdeviceptr *device, void *host, unsigned flags) {
  QLR_FAKE_CALL(cuMemHostGetDevicePointer);
  const Allocation *allocation = State::get().findPinned(host, 1);
  if (!allocation || flags != 0)
    return call.wrong("no page-locked memory, or flags");
  *device = allocation->base + (addressOf(host) - addressOf(allocation->host));
  return CUDA_SUCCESS;
}

QLR_FAKE_EXPORT cuMemsetD8Async(CUdeviceptr pointer, unsigned char value, size_t bytes, CUstream stream) {
  QLR_FAKE_CALL(cuMemsetD8Async);
  if (!State::get().find(pointer, bytes))
    return call.wrong(range(pointer, bytes) + " are not inside an allocation");
  return enqueue(call, stream, [=] {
    std::memset(pointerTo(pointer), value, bytes);
    return CUDA_SUCCESS;
  });
}

QLR_FAKE_EXPORT cuMemcpyHtoDAsync_v2(CUdeviceptr to, const void *from, size_t bytes, CUstream stream) {
  QLR_FAKE_CALL(cuMemcpyHtoDAsync);
  if (!State::get().find(to, bytes))
    return call.wrong("to: " + range(to, bytes) + " are not inside an allocation");
  if (!State::get().findPinned(from, bytes))
    return call.wrong("from: " + range(addressOf(from), bytes) +
                      " are not page-locked: such a copy is not asynchronous");
  return enqueue(call, stream, [=] {
    std::memcpy(pointerTo(to), from, bytes);
    return CUDA_SUCCESS;
  });
}

QLR_FAKE_EXPORT cuMemcpyDtoHAsync_v2(void *to, CUdeviceptr from, size_t bytes, CUstream stream) {
  QLR_FAKE_CALL(cuMemcpyDtoHAsync);
  if (!State::get().find(from, bytes))
    return call.wrong("from: " + range(from, bytes) + " are not inside an allocation");
  if (!State::get().findPinned(to, bytes))
    return call.wrong("to: " + range(addressOf(to), bytes) + " are not page-locked: such a copy is not asynchronous");
  return enqueue(call, stream, [=] {
    std::memcpy(to, pointerTo(from), bytes);
    return CUDA_SUCCESS;
  });
}

QLR_FAKE_EXPORT cuMemcpyDtoDAsync_v2(CUdeviceptr to, CUdeviceptr from, size_t bytes, CUstream stream) {
  QLR_FAKE_CALL(cuMemcpyDtoDAsync);
  if (!State::get().find(to, bytes) || !State::get().find(from, bytes))
    return call.wrong(range(to, bytes) + " or " + range(from, bytes) + " are not inside an allocation");
  return enqueue(call, stream, [=] {
    std::memmove(pointerTo(to), pointerTo(from), bytes);
    return CUDA_SUCCESS;
  });
}
