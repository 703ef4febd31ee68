#include "runtime/exec/Memory.h"

#include "runtime/format/Error.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <limits>
#include <sys/mman.h>
#include <sys/resource.h>
#include <utility>

namespace qlr {
namespace {

/// The value of `key` in a file of "key value" lines, or `fallback`.
uint64_t lookUp(const std::string &path, const std::string &key, uint64_t fallback) {
  std::ifstream in(path);
  std::string word;
  uint64_t value = 0;
  for (std::string line; std::getline(in, line);)
    if (line.rfind(key, 0) == 0 && line.size() > key.size() &&
        std::sscanf(line.c_str() + key.size(), " %lu", &value) == 1)
      return value;
  return fallback;
}

uint64_t readNumber(const std::string &path, uint64_t fallback) {
  std::ifstream in(path);
  uint64_t value = 0;
  return in >> value ? value : fallback; // "max" is no number
}

} // namespace

uint64_t availableHostMemory() {
  constexpr uint64_t unlimited = std::numeric_limits<uint64_t>::max();
  uint64_t available = lookUp("/proc/meminfo", "MemAvailable:", 0) * 1024;
  const std::string group = "/sys/fs/cgroup/";
  uint64_t limit = readNumber(group + "memory.max", unlimited);
  if (limit != unlimited) {
    // Clean file pages are charged to the group but are given back when memory is needed.
    uint64_t used = readNumber(group + "memory.current", 0);
    uint64_t reclaimable =
        lookUp(group + "memory.stat", "inactive_file", 0) + lookUp(group + "memory.stat", "active_file", 0);
    used -= std::min(used, reclaimable);
    available = std::min(available, limit - std::min(limit, used));
  }
  return available;
}

uint64_t peakResidentMemory() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<uint64_t>(usage.ru_maxrss) * 1024;
}

uint64_t parseByteSize(const std::string &text, const std::string &option) {
  size_t end = 0;
  double number = -1;
  try {
    number = std::stod(text, &end);
  } catch (const std::exception &) {
  }
  std::string unit = text.substr(std::min(end, text.size()));
  std::transform(unit.begin(), unit.end(), unit.begin(), [](unsigned char c) { return std::tolower(c); });
  double factor = unit.empty() || unit == "b" ? 1
                  : unit == "kb"              ? 1e3
                  : unit == "mb"              ? 1e6
                  : unit == "gb"              ? 1e9
                  : unit == "kib"             ? 1024.0
                  : unit == "mib"             ? 1048576.0
                  : unit == "gib"             ? 1073741824.0
                                              : 0;
  if (!(number > 0) || factor == 0 || number * factor > 1e18)
    fail({.tensor = option, .found = "'" + text + "'", .expected = "a size such as 22GB or 512MiB"});
  return static_cast<uint64_t>(std::llround(number * factor));
}

std::string formatBytes(uint64_t bytes) {
  char text[64];
  double value = static_cast<double>(bytes);
  if (bytes >= 1000000000)
    std::snprintf(text, sizeof text, "%.2f GB", value / 1e9);
  else if (bytes >= 1000000)
    std::snprintf(text, sizeof text, "%.1f MB", value / 1e6);
  else if (bytes >= 1000)
    std::snprintf(text, sizeof text, "%.1f kB", value / 1e3);
  else
    std::snprintf(text, sizeof text, "%lu bytes", static_cast<unsigned long>(bytes));
  return text;
}

HostBuffer::HostBuffer(uint64_t size, const std::string &what) : bytes(size) {
  if (size == 0)
    return;
  void *mapped = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (mapped == MAP_FAILED)
    fail({.found = "no memory for the " + what + " (" + formatBytes(size) + ")",
          .expected = "that much free memory",
          .advice = "use a smaller --ctx-size"});
  address = static_cast<std::byte *>(mapped);
  // A hint only: the cache is read in long runs, so large pages save page-table walks.
  madvise(mapped, size, MADV_HUGEPAGE);
}

HostBuffer::HostBuffer(HostBuffer &&other) noexcept { *this = std::move(other); }

HostBuffer &HostBuffer::operator=(HostBuffer &&other) noexcept {
  std::swap(address, other.address);
  std::swap(bytes, other.bytes);
  return *this;
}

HostBuffer::~HostBuffer() {
  if (address)
    munmap(address, bytes);
}

} // namespace qlr
