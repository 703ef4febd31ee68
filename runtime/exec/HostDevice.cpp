#include "runtime/exec/HostDevice.h"

#include "runtime/format/Error.h"
#include "runtime/format/Plan.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <sys/mman.h>
#include <unistd.h>

namespace qlr {
namespace {

constexpr uint64_t chunksPerThread = 8;
constexpr uint64_t maxItems = 1u << 30; // so that claims beyond the end do not wrap around

size_t indexOf(Arena arena) { return static_cast<size_t>(arena); }

} // namespace

HostDevice::HostDevice(const DeviceOptions &options, std::shared_ptr<ThreadPool> threads)
    : memoryLimit(options.memoryLimit), forcedLevel(options.cpuLevel), pool(std::move(threads)), runner(*pool) {}

std::string HostDevice::describe() const {
  return std::string("host: ") + cpuName() + ", " + cpuLevelName(level) + ", " + std::to_string(pool->size()) +
         (pool->size() == 1 ? " thread" : " threads");
}

uint64_t HostDevice::availableMemory() const {
  uint64_t available = availableHostMemory();
  return memoryLimit ? std::min(memoryLimit, available) : available;
}

void HostDevice::loadKernels(const Plan &plan, std::span<const std::byte> image, const std::string &file) {
  level = chooseCpuLevel(plan.levels, forcedLevel, file);
  library = KernelLibrary::open(image, file, "kernels/host");
  functions.clear();
  for (const PlanKernel &kernel : plan.kernels) {
    std::vector<StageFunction> &stages = functions.emplace_back();
    for (const PlanStage &stage : kernel.stages)
      stages.push_back(library.find(stage.symbol + "_" + cpuLevelName(level)));
  }
}

void HostDevice::uploadWeights(std::span<const std::byte> arena, const std::string &file) {
  if (reinterpret_cast<uintptr_t>(arena.data()) % Plan::alignment != 0)
    fail({.file = file,
          .tensor = "weights",
          .found = "data that does not start at a multiple of 64 bytes",
          .expected = "an aligned data section",
          .advice = "compile again"});
  weights = arena;
  if (arena.empty())
    return;
  // Hints: read ahead, and keep the pages mapped that will be walked once a token.
  uintptr_t page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  uintptr_t begin = reinterpret_cast<uintptr_t>(arena.data()) / page * page;
  uintptr_t end = reinterpret_cast<uintptr_t>(arena.data()) + arena.size();
  madvise(reinterpret_cast<void *>(begin), end - begin, MADV_WILLNEED);
}

void HostDevice::allocate(Arena arena, uint64_t bytes) {
  static const char *const names[] = {"weights", "cache", "workspace", "state"};
  prepared.clear();
  buffers[indexOf(arena)] = HostBuffer(bytes, names[indexOf(arena)]);
}

std::byte *HostDevice::base(Arena arena) {
  // Kernels only read the weights; their argument lists are one array of plain pointers for all arenas.
  if (arena == Arena::Weights)
    return const_cast<std::byte *>(weights.data());
  return buffers[indexOf(arena)].data();
}

uint64_t HostDevice::size(Arena arena) const {
  return arena == Arena::Weights ? weights.size() : buffers[indexOf(arena)].size();
}

unsigned HostDevice::prepare(const Plan &plan, const TokenPlan &tokens, uint64_t positions) {
  auto result = std::make_unique<Prepared>();
  for (size_t number = 0; number < tokens.steps.size(); ++number) {
    const PlanStep &step = tokens.steps[number];
    const PlanKernel &kernel = plan.kernels.at(step.kernel);
    auto &args = result->argLists.emplace_back(std::make_unique<void *[]>(step.args.size()));
    for (size_t i = 0; i < step.args.size(); ++i) {
      const PlanArg &arg = step.args[i];
      Arena arena = arenaOf(arg.kind);
      uint64_t offset = arg.kind == PlanArg::Kind::Cache ? arg.value * positions : arg.value;
      if (offset > size(arena))
        fail({.tensor = "plan step " + std::to_string(number) + " (" + step.source + ")",
              .found = "offset " + std::to_string(offset),
              .expected = "one inside an arena of " + std::to_string(size(arena)) + " bytes"});
      args[i] = base(arena) + offset;
    }
    for (size_t s = 0; s < kernel.stages.size(); ++s) {
      const uint64_t items = kernel.stages[s].items;
      if (items == 0 || items > maxItems)
        fail({.tensor = "plan kernel " + kernel.name,
              .found = std::to_string(items) + " items in a stage",
              .expected = "1 to " + std::to_string(maxItems)});
      uint64_t chunk = pool->size() == 1 ? items : std::max<uint64_t>(1, items / (pool->size() * chunksPerThread));
      result->stages.push_back(
          {functions.at(step.kernel).at(s), args.get(), static_cast<uint32_t>(items), static_cast<uint32_t>(chunk)});
      result->steps.push_back(number);
    }
  }
  runner.reserve(result->stages.size());
  prepared.push_back(std::move(result));
  return static_cast<unsigned>(prepared.size() - 1);
}

void HostDevice::upload(Arena arena, uint64_t offset, std::span<const std::byte> bytes) {
  if (arena == Arena::Weights || offset > size(arena) || bytes.size() > size(arena) - offset)
    fail({.found = "an upload of " + std::to_string(bytes.size()) + " bytes at " + std::to_string(offset),
          .expected = "one inside an arena of " + std::to_string(size(arena)) + " bytes"});
  std::memcpy(base(arena) + offset, bytes.data(), bytes.size());
}

std::span<const std::byte> HostDevice::download(Arena arena, uint64_t offset, uint64_t bytes) {
  if (offset > size(arena) || bytes > size(arena) - offset)
    fail({.found = "a download of " + std::to_string(bytes) + " bytes at " + std::to_string(offset),
          .expected = "one inside an arena of " + std::to_string(size(arena)) + " bytes"});
  return {base(arena) + offset, bytes};
}

void HostDevice::launch(unsigned handle) {
  const Prepared &plan = *prepared.at(handle);
  times.clear();
  if (!profiling) {
    runner.run(plan.stages);
    return;
  }
  using Clock = std::chrono::steady_clock;
  std::vector<Clock::time_point> ends;
  Clock::time_point last = Clock::now();
  runner.run(plan.stages, &ends);
  for (size_t i = 0; i < ends.size(); ++i) {
    if (times.empty() || times.back().step != plan.steps[i])
      times.push_back({plan.steps[i], 0});
    // A thread that lost its core between finishing a stage and looking at the clock is late.
    if (ends[i] <= last)
      continue;
    times.back().seconds += std::chrono::duration<double>(ends[i] - last).count();
    last = ends[i];
  }
}

} // namespace qlr
