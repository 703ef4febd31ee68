#include "runtime/cuda/CudaArena.h"

#include "runtime/exec/CommandLine.h"
#include "runtime/exec/Memory.h"
#include "runtime/format/Error.h"

#include <algorithm>
#include <cstring>
#include <optional>

namespace qlr::cuda {
namespace {

constexpr uint64_t stagingBytes = 32u << 20; // of each buffer: long enough to hide what starting a copy costs
constexpr uint64_t progressFrom = 1'000'000'000;

uint64_t alignUp(uint64_t bytes) {
  return (bytes + CudaArena::alignment - 1) / CudaArena::alignment * CudaArena::alignment;
}

constexpr Arena order[] = {Arena::Weights, Arena::Cache, Arena::Workspace, Arena::State};

uint64_t bytesOf(const MemoryNeed &need, Arena arena) {
  switch (arena) {
  case Arena::Weights:
    return need.weights;
  case Arena::Cache:
    return need.cache;
  case Arena::Workspace:
    return need.workspace;
  case Arena::State:
    return need.state;
  }
  return 0;
}

/// Two page-locked buffers that take turns: one is filled while the other is copied.
class Staging {
public:
  Staging(uint64_t bytes, CUstream stream) : stream(stream) {
    const Driver &driver = Driver::get();
    for (Slot &slot : slots) {
      slot.buffer = PinnedBuffer(bytes, "copying weights");
      driver.check(driver.api.eventCreate(slot.done.out(), CU_EVENT_DISABLE_TIMING), "copying weights");
    }
  }

  /// Copies up to a buffer's size of `bytes` and returns what is left.
  std::span<const std::byte> copy(CUdeviceptr to, std::span<const std::byte> bytes) {
    const Driver &driver = Driver::get();
    Slot &slot = slots[next++ % 2];
    if (slot.used)
      driver.check(driver.api.eventSynchronize(slot.done.get()), "copying weights");
    std::span<const std::byte> part = bytes.first(std::min<size_t>(bytes.size(), slot.buffer.size()));
    std::memcpy(slot.buffer.data(), part.data(), part.size());
    driver.check(driver.api.memcpyHtoDAsync(to, slot.buffer.data(), part.size(), stream), "copying weights");
    driver.check(driver.api.eventRecord(slot.done.get(), stream), "copying weights");
    slot.used = true;
    return bytes.subspan(part.size());
  }

private:
  struct Slot {
    PinnedBuffer buffer;
    Event done;
    bool used = false;
  };
  Slot slots[2];
  unsigned next = 0;
  CUstream stream;
};

} // namespace

uint64_t CudaArena::bytesFor(const MemoryNeed &need) {
  uint64_t bytes = 0;
  for (Arena arena : order)
    bytes += alignUp(bytesOf(need, arena));
  return bytes;
}

CudaArena::CudaArena(const MemoryNeed &need, std::span<const PlanRegion> onHost, const std::string &device)
    : hostRegions(onHost.begin(), onHost.end()) {
  const Driver &driver = Driver::get();
  uint64_t at = 0;
  for (Arena arena : order) {
    offsets[static_cast<size_t>(arena)] = at;
    sizes[static_cast<size_t>(arena)] = bytesOf(need, arena);
    at += alignUp(bytesOf(need, arena));
  }
  sizes[static_cast<size_t>(Arena::Weights)] += need.hostWeights;
  if (CUresult result = driver.api.memAlloc(memory.out(), at); result != CUDA_SUCCESS)
    fail({.tensor = device + ", memory for weights, cache and workspace",
          .found = driver.describe(result),
          .expected = formatBytes(at) + " in one piece",
          .advice = "another program may have taken it: see nvidia-smi; or use a smaller --ctx-size"});
  if (need.hostWeights)
    hostWeights = PinnedBuffer(need.hostWeights, "the weights that stay on the host");
}

CUdeviceptr CudaArena::address(Arena arena, uint64_t offset) const {
  if (arena == Arena::Weights) {
    uint64_t before = 0; // bytes of regions that lie in front of it, on the host
    for (const PlanRegion &region : hostRegions) {
      if (offset < region.begin)
        break;
      if (offset < region.end)
        return hostWeights.onDevice() + before + (offset - region.begin);
      before += region.bytes();
    }
    offset -= before;
  }
  return memory.get() + offsets[static_cast<size_t>(arena)] + offset;
}

void CudaArena::uploadWeights(std::span<const std::byte> weights, CUstream stream) {
  std::optional<Progress> progress;
  if (weights.size() >= progressFrom)
    progress.emplace("weights, MB", weights.size() / 1'000'000);
  Staging staging(std::min<uint64_t>(stagingBytes, std::max<uint64_t>(weights.size(), 1)), stream);
  uint64_t hostAt = 0;
  auto region = hostRegions.begin();
  for (uint64_t at = 0; at < weights.size();) {
    const bool inRegion = region != hostRegions.end() && at >= region->begin;
    const uint64_t end = inRegion ? region->end : region != hostRegions.end() ? region->begin : weights.size();
    std::span<const std::byte> rest = weights.subspan(at, end - at);
    if (inRegion) {
      std::memcpy(hostWeights.data() + hostAt, rest.data(), rest.size());
      hostAt += rest.size();
      ++region;
      rest = {};
    }
    while (!rest.empty()) {
      rest = staging.copy(address(Arena::Weights, end - rest.size()), rest);
      if (progress)
        progress->update((end - rest.size()) / 1'000'000, "");
    }
    at = end;
  }
  const Driver &driver = Driver::get();
  driver.check(driver.api.streamSynchronize(stream), "copying weights");
  if (progress) {
    progress->update(weights.size() / 1'000'000, "");
    progress->finish();
  }
}

} // namespace qlr::cuda
