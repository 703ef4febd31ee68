// One allocation of device memory for all arenas, and the weights that stay in the host's.
#pragma once

#include "runtime/cuda/CudaObjects.h"
#include "runtime/exec/Device.h"
#include "runtime/format/Plan.h"

#include <array>
#include <span>
#include <vector>

namespace qlr::cuda {

class CudaArena {
public:
  static constexpr uint64_t alignment = 256;

  CudaArena() = default;
  /// Throws Error with the bytes when device or host have not enough.
  CudaArena(const MemoryNeed &need, std::span<const PlanRegion> onHost, const std::string &device);

  /// Bytes of device memory that CudaArena(need) takes.
  static uint64_t bytesFor(const MemoryNeed &need);

  uint64_t size(Arena arena) const { return sizes[static_cast<size_t>(arena)]; } ///< weights: those of the host too
  /// Of byte `offset` of an arena, as kernels see it. Weights are addressed by their offset in the artifact.
  CUdeviceptr address(Arena arena, uint64_t offset) const;

  /// Fills in the weights, through page-locked buffers so that reading the file and copying overlap; the copies are in
  /// `stream` when it returns, and done. Long ones show progress on standard error.
  void uploadWeights(std::span<const std::byte> weights, CUstream stream);

private:
  DeviceMemory memory;
  std::array<uint64_t, 4> sizes{};   // [Arena]
  std::array<uint64_t, 4> offsets{}; // [Arena] in `memory`
  std::vector<PlanRegion> hostRegions;
  PinnedBuffer hostWeights; // the regions one after another
};

} // namespace qlr::cuda
