// Owners of what the driver hands out. Destructors ignore errors: after a kernel's fault every call fails.
#pragma once

#include "runtime/cuda/Driver.h"

#include <memory>
#include <span>
#include <utility>

namespace qlr::cuda {

/// A handle and how it is given back. Move-only.
template <typename Handle, CUresult (*Api::*release)(Handle)> class Owned {
public:
  Owned() = default;
  explicit Owned(Handle handle) : handle(handle) {}
  Owned(Owned &&other) noexcept : handle(std::exchange(other.handle, Handle{})) {}
  Owned &operator=(Owned &&other) noexcept {
    std::swap(handle, other.handle);
    return *this;
  }
  ~Owned() {
    if (handle)
      (Driver::get().api.*release)(handle);
  }
  Handle get() const { return handle; }
  /// For functions that fill in a handle; only while there is none.
  Handle *out() { return &handle; }

private:
  Handle handle{};
};

using DeviceMemory = Owned<CUdeviceptr, &Api::memFree>;
using HostMemory = Owned<void *, &Api::memFreeHost>;
using Stream = Owned<CUstream, &Api::streamDestroy>;
using Event = Owned<CUevent, &Api::eventDestroy>;
using Module = Owned<CUmodule, &Api::moduleUnload>;
using Graph = Owned<CUgraph, &Api::graphDestroy>;
using GraphExec = Owned<CUgraphExec, &Api::graphExecDestroy>;
using LinkState = Owned<CUlinkState, &Api::linkDestroy>;

/// The primary context of a device, current in the thread that made it. Everything else goes before it does.
class Context {
public:
  explicit Context(const DeviceInfo &info);
  ~Context();
  Context(const Context &) = delete;
  Context &operator=(const Context &) = delete;

  /// Makes it current in the calling thread.
  void enter() const;

private:
  CUdevice device = 0;
  CUcontext context = nullptr;
};

/// Page-locked memory of the host that the device can read. Throws Error naming `what` when there is not enough.
class PinnedBuffer {
public:
  PinnedBuffer() = default;
  PinnedBuffer(uint64_t bytes, const std::string &what);

  std::byte *data() const { return static_cast<std::byte *>(memory.get()); }
  uint64_t size() const { return bytes; }
  CUdeviceptr onDevice() const { return address; }

private:
  HostMemory memory;
  uint64_t bytes = 0;
  CUdeviceptr address = 0;
};

} // namespace qlr::cuda
