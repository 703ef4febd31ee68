// What the machine under the host device is: instruction sets and cores.
#pragma once

#include <string>
#include <vector>

namespace qlr {

/// The instruction sets that host kernels are compiled for. A kernel `f` is exported once per level, as `f_avx2` and so
/// on.
enum class CpuLevel {
  Avx2,  ///< x86-64-v3
  Avx512 ///< x86-64-v4 with VBMI and VNNI
};

/// "avx2" or "avx512": the suffix of a kernel's symbol and the word of `--cpu-level`.
const char *cpuLevelName(CpuLevel level);

/// The inverse of cpuLevelName; throws Error naming the known words.
CpuLevel parseCpuLevel(const std::string &name);

/// Every level this machine can execute, best first; empty below the baseline.
std::vector<CpuLevel> supportedCpuLevels();

/// The best level that this machine executes and that `available` (level names of a plan) offers. `forced`, when not
/// empty, names the level to use instead. Throws Error when there is none.
CpuLevel chooseCpuLevel(const std::vector<std::string> &available, const std::string &forced, const std::string &file);

/// Cores this process may run on (its affinity mask), at least 1.
unsigned usableCores();

/// The processor's name as the kernel reports it, or "unknown CPU".
std::string cpuName();

} // namespace qlr
