#include "runtime/exec/Cpu.h"

#include "runtime/format/Error.h"

#include <algorithm>
#include <fstream>
#include <sched.h>

namespace qlr {

const char *cpuLevelName(CpuLevel level) { return level == CpuLevel::Avx512 ? "avx512" : "avx2"; }

CpuLevel parseCpuLevel(const std::string &name) {
  for (CpuLevel level : {CpuLevel::Avx2, CpuLevel::Avx512})
    if (name == cpuLevelName(level))
      return level;
  fail({.tensor = "--cpu-level", .found = "'" + name + "'", .expected = "avx2 or avx512"});
}

std::vector<CpuLevel> supportedCpuLevels() {
  std::vector<CpuLevel> levels;
#if defined(__x86_64__)
  __builtin_cpu_init();
  bool v3 = __builtin_cpu_supports("x86-64-v3");
  bool v4 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
            __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
            __builtin_cpu_supports("avx512vbmi") && __builtin_cpu_supports("avx512vnni");
  if (v3 && v4)
    levels.push_back(CpuLevel::Avx512);
  if (v3)
    levels.push_back(CpuLevel::Avx2);
#endif
  return levels;
}

CpuLevel chooseCpuLevel(const std::vector<std::string> &available, const std::string &forced, const std::string &file) {
  auto offers = [&](CpuLevel level) {
    return std::find(available.begin(), available.end(), cpuLevelName(level)) != available.end();
  };
  std::string offered;
  for (const std::string &name : available)
    offered += (offered.empty() ? "" : ", ") + name;
  std::vector<CpuLevel> supported = supportedCpuLevels();
  if (!forced.empty()) {
    CpuLevel level = parseCpuLevel(forced);
    if (std::find(supported.begin(), supported.end(), level) == supported.end())
      fail(
          {.file = file, .tensor = "--cpu-level", .found = "a CPU without " + forced, .expected = "a CPU that has it"});
    if (!offers(level))
      fail({.file = file,
            .tensor = "kernels/host",
            .found = "kernels for " + offered,
            .expected = "kernels for " + forced});
    return level;
  }
  for (CpuLevel level : supported)
    if (offers(level))
      return level;
  fail(
      {.file = file,
       .tensor = "kernels/host",
       .found = supported.empty() ? "a CPU below x86-64-v3" : "kernels for " + (offered.empty() ? "no level" : offered),
       .expected = "kernels that this CPU executes (AVX2, FMA, F16C and BMI at least)"});
}

unsigned usableCores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) != 0)
    return 1;
  return std::max(1, CPU_COUNT(&set));
}

std::string cpuName() {
  std::ifstream in("/proc/cpuinfo");
  for (std::string line; std::getline(in, line);)
    if (line.rfind("model name", 0) == 0)
      if (size_t colon = line.find(": "); colon != std::string::npos)
        return line.substr(colon + 2);
  return "unknown CPU";
}

} // namespace qlr
