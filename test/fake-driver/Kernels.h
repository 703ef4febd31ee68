// The kernels a module's PTX stands for, as host code.
#pragma once

#include "test/fake-driver/FakeDriver.h"

namespace qlr::cuda::fake {

/// Sizes of the parameters of `kernel`, whose module has this PTX, by its host code; nothing when there is none:
/// neither in QLR_FAKE_CUDA_KERNELS (`extern "C" void kernel(void *const *params, unsigned grid, unsigned threads)`, 8
/// bytes each) nor in an artifact that has the same PTX and an emulator's object beside it.
std::optional<std::vector<uint32_t>> parametersOf(const std::string &ptx, const std::string &kernel);

/// Runs a launch to its end.
CUresult run(const Launch &launch);

/// Tells the emulator about memory.
void registerBuffer(uint64_t base, uint64_t bytes, const char *name);
void forgetBuffer(uint64_t base);

} // namespace qlr::cuda::fake
