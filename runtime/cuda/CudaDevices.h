// Which CUDA devices there are, and which target of an artifact a device runs.
#pragma once

#include "runtime/exec/Device.h"

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace qlr {

/// "cuda" or "cuda:N".
bool isCudaName(const std::string &name);

/// Name and description of every device; without a driver one line that says why there is none. Never throws.
std::vector<std::pair<std::string, std::string>> listCudaDevices();

/// The capability that a target asks for: 86 for "sm_86"; nothing for targets that are none of CUDA's, and for
/// "sm_90a" and its like, which run on no other.
std::optional<int> capabilityOf(const std::string &target);

/// The best of `targets` for a device of this capability (86 = 8.6): the newest it can run; empty: none.
std::string bestCudaTarget(std::span<const std::string> targets, int capability);

/// makeDevice for a CUDA device.
ChosenDevice makeCudaDevice(const std::string &name, std::span<const std::string> targets, const DeviceOptions &options,
                            const std::string &file);

/// targetForDevice for a CUDA device.
std::string cudaTarget(const std::string &name);

} // namespace qlr
