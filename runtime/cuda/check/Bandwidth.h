// What a GPU's memory can do: the yardstick of every other figure.
#pragma once

#include "runtime/cuda/Driver.h"

#include <cstdint>

namespace qlr::cuda {

/// GB/s, medians.
struct Bandwidth {
  double copy = 0;    ///< one large copy on the device, bytes read plus bytes written
  double read = 0;    ///< a kernel that reads once with 16-byte loads
  uint64_t bytes = 0; ///< of each buffer
};

/// Measures with two buffers of `bytes`, filled with pseudo-random bytes. Throws Error.
Bandwidth measureBandwidth(const DeviceInfo &device, uint64_t bytes, unsigned repetitions);

/// Pseudo-random bytes for weights: as f16, bf16 or f32 they are finite and below 2, as codes valid ones. The same for
/// the same seed and length.
void fillBytes(std::byte *data, uint64_t bytes, uint64_t seed);

} // namespace qlr::cuda
