// The kernels of one plan, loaded and ready to launch.
#pragma once

#include "runtime/cuda/CudaObjects.h"
#include "runtime/cuda/Ptx.h"

#include <span>
#include <string>
#include <vector>

namespace qlr::cuda {

struct Kernel {
  std::string name;
  Module module;
  CUfunction function = nullptr;
  unsigned grid = 1, threads = 1, sharedBytes = 0;
  /// Launched while the kernel before it still runs: it waits by itself, and reads nothing but weights until then.
  bool dependent = false;
};

/// Loads every kernel of `plan`, after checking that this device and driver can run them. Throws Error naming both
/// versions, or the kernel. Long compilations show progress on standard error.
std::vector<Kernel> loadKernels(const DeviceInfo &device, const Plan &plan, std::span<const std::byte> image,
                                const std::string &file);

/// Puts a launch into `stream`. `dependent`: as Kernel's, for this launch.
CUresult launchKernel(const Kernel &kernel, bool dependent, void **params, CUstream stream);

} // namespace qlr::cuda
