#include "runtime/emulator/Checker.h"

#include <algorithm>
#include <cstring>
#include <numeric>
#include <thread>

namespace qlr::emu {
namespace {

/// splitmix64: a sequence that does not depend on the library.
uint64_t mix(uint64_t &state) {
  uint64_t z = state += 0x9e3779b97f4a7c15ull;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
  return z ^ (z >> 31);
}

} // namespace

Launch::Launch(EmulatorMemory::Registry &registry, const EmulatorKernel &kernel, uint32_t grid, uint32_t threads,
               uint64_t sharedBytes, void *const *params, const LaunchOptions &options)
    : registry(registry), kernel(kernel), grid(grid), threads(threads), sharedBytes(sharedBytes), params(params),
      options(options), checks(options.checks && kernel.instrumented) {
  blockOrder.resize(grid);
  std::iota(blockOrder.begin(), blockOrder.end(), 0u);
  if (uint64_t state = options.seed)
    for (uint32_t i = grid; i > 1; --i)
      std::swap(blockOrder[i - 1], blockOrder[mix(state) % i]);
  if (!checks)
    return;
  ranges.resize(kernel.parameters);
  for (uint32_t i = 0; i < kernel.parameters; ++i) {
    if (kernel.parameterBytes[i] != sizeof(uint64_t))
      continue;
    uint64_t base;
    std::memcpy(&base, params[i], sizeof base);
    EmulatorMemory::Registry::Buffer *buffer = registry.find(base);
    if (!buffer)
      continue;
    uint64_t extent = i < options.extents.size() ? options.extents[i] : 0;
    if (extent)
      ranges[i] = {base, std::min(extent, buffer->bytes - (base - buffer->base)), buffer};
    else
      ranges[i] = {buffer->base, buffer->bytes, buffer};
  }
  if (registry.nextEpoch > tag::maxEpoch / 2)
    registry.clearNotes();
  firstEpoch = registry.nextEpoch;
  chunks.reset(new Chunk[tag::maxEpoch - firstEpoch + 1]); // touched as it is used
}

uint32_t Launch::newEpoch(uint32_t block, uint32_t clock) {
  uint32_t index = epochs.fetch_add(1, std::memory_order_relaxed);
  if (index > tag::maxEpoch - firstEpoch) {
    setFault("kernel " + std::string(kernel.name) + ": the blocks synchronize more often than the checker can tell " +
             "apart (" + std::to_string(tag::maxEpoch - firstEpoch) + "); use smaller shapes or no checks");
    return tag::maxEpoch;
  }
  chunks[index] = {block, clock};
  return firstEpoch + index;
}

int64_t Launch::nextBlock() {
  uint32_t index = started.fetch_add(1, std::memory_order_relaxed);
  return index < grid ? int64_t(blockOrder[index]) : -1;
}

void Launch::setFault(const std::string &report) {
  std::lock_guard lock(faultLock);
  if (!failed.load(std::memory_order_relaxed))
    fault = report;
  failed.store(true, std::memory_order_release);
}

std::string Launch::site(uint32_t number) const {
  if (number >= kernel.siteCount)
    return "an unknown operation";
  const char *text = kernel.sites;
  for (uint32_t i = 0; i < number; ++i)
    text += std::char_traits<char>::length(text) + 1;
  return text;
}

LaunchCounts Launch::run() {
  unsigned count = std::max(1u, std::min(options.hostThreads, grid));
  busy = count;
  std::vector<LaunchCounts> counts(count);
  auto work = [&](unsigned number) {
    try {
      Worker worker(*this, number);
      worker.run();
      counts[number] = worker.counts;
    } catch (const std::exception &error) {
      setFault(error.what());
    }
  };
  std::vector<std::thread> others;
  for (unsigned i = 1; i < count; ++i)
    others.emplace_back(work, i);
  work(0);
  for (std::thread &other : others)
    other.join();
  if (checks)
    registry.nextEpoch = std::min(tag::maxEpoch, firstEpoch + epochs.load());
  if (failed)
    throw Error(fault);
  LaunchCounts sum;
  for (const LaunchCounts &one : counts) {
    sum.collectives += one.collectives;
    sum.accesses += one.accesses;
    sum.switches += one.switches;
  }
  return sum;
}

std::string whereOf(const GpuThread &thread) {
  const Launch &launch = thread.owner->owner->worker->launch;
  return "kernel " + std::string(launch.kernel.name) + ", block " + std::to_string(thread.block) + ", thread " +
         std::to_string(thread.tid) + ": ";
}

} // namespace qlr::emu
