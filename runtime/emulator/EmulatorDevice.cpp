#include "runtime/emulator/EmulatorDevice.h"

#include "runtime/exec/Cpu.h"
#include "runtime/format/Plan.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstring>

namespace qlr {
namespace {

constexpr const char *arenaNames[] = {"weights", "cache", "workspace", "state"};
constexpr uint64_t guardBytes = 1u << 16; // nobody's, so that the end of an arena is the end of a buffer

size_t indexOf(Arena arena) { return static_cast<size_t>(arena); }

/// Where in the weights a step's argument may begin, in order; what an argument may be used for ends at the next.
std::vector<uint64_t> weightOffsets(const Plan &plan) {
  std::vector<uint64_t> offsets = {plan.weightsBytes};
  for (const TokenPlan &tokens : plan.plans)
    for (const PlanStep &step : tokens.steps)
      for (const PlanArg &arg : step.args)
        if (arg.kind == PlanArg::Kind::Weights)
          offsets.push_back(arg.value);
  std::sort(offsets.begin(), offsets.end());
  offsets.erase(std::unique(offsets.begin(), offsets.end()), offsets.end());
  return offsets;
}

} // namespace

EmulatorSettings EmulatorSettings::parse(const std::string &text) {
  EmulatorSettings settings;
  auto refuse = [&](const std::string &word) {
    fail({.tensor = "--device",
          .found = "emulator setting '" + word + "'",
          .expected = "blocks=N, seed=N or unchecked, such as emulator:blocks=8,seed=1"});
  };
  for (size_t begin = 0; begin < text.size();) {
    size_t end = std::min(text.find(',', begin), text.size());
    std::string word = text.substr(begin, end - begin);
    begin = end + 1;
    size_t equals = word.find('=');
    if (word == "unchecked") {
      settings.options.checks = false;
      continue;
    }
    uint64_t value = 0;
    const char *last = word.data() + word.size();
    auto number = equals == std::string::npos ? std::from_chars_result{nullptr, std::errc::invalid_argument}
                                              : std::from_chars(word.data() + equals + 1, last, value);
    if (number.ec != std::errc() || number.ptr != last)
      refuse(word);
    if (word.starts_with("blocks=") && value >= 1 && value <= 1024)
      settings.blocks = static_cast<uint32_t>(value);
    else if (word.starts_with("seed="))
      settings.options.seed = value;
    else
      refuse(word);
  }
  return settings;
}

bool isEmulatorName(const std::string &device) { return device == "emulator" || device.starts_with("emulator:"); }

ChosenDevice makeEmulatorDevice(const std::string &name, std::span<const std::string> targets,
                                const DeviceOptions &options, const std::string &file) {
  EmulatorSettings settings = EmulatorSettings::parse(name == "emulator" ? "" : name.substr(sizeof "emulator:" - 1));
  auto target =
      std::find_if(targets.begin(), targets.end(), [](const std::string &one) { return one.starts_with("emulator:"); });
  if (target == targets.end())
    fail({.file = file,
          .found = "an artifact for " + listText(targets),
          .expected = "one for emulator:sm_80, emulator:sm_86 or emulator:sm_90",
          .advice = "compile with --target emulator:sm_86, or choose another --device"});
  return {std::make_unique<EmulatorDevice>(settings, options), *target};
}

EmulatorDevice::EmulatorDevice(const EmulatorSettings &asked, const DeviceOptions &options)
    : settings(asked), memoryLimit(options.memoryLimit) {
  settings.options.hostThreads = options.threads ? options.threads : usableCores();
}

std::string EmulatorDevice::describe() const {
  unsigned threads = settings.options.hostThreads;
  std::string blocks = std::to_string(settings.blocks) + (settings.blocks == 1 ? " block, " : " blocks, ");
  return target + ": " + blocks + (settings.options.checks ? "checked, " : "unchecked, ") + std::to_string(threads) +
         (threads == 1 ? " thread" : " threads");
}

uint64_t EmulatorDevice::availableMemory() const {
  uint64_t available = availableHostMemory();
  return memoryLimit ? std::min(memoryLimit, available) : available;
}

void EmulatorDevice::loadKernels(const Plan &plan, std::span<const std::byte> image, const std::string &file) {
  target = plan.target;
  library = EmulatorLibrary::open(image, file, "kernels/" + target);
  for (const PlanKernel &kernel : plan.kernels) {
    std::vector<uint32_t> sizes = library.parameterSizes(kernel.name);
    if (std::any_of(sizes.begin(), sizes.end(), [](uint32_t bytes) { return bytes != sizeof(void *); }))
      fail({.file = file, .tensor = "kernel " + kernel.name, .found = "a parameter that is no pointer"});
  }
}

void EmulatorDevice::uploadWeights(std::span<const std::byte> arena, const std::string &) {
  if (!weights.empty())
    memory.unregisterBuffer(weights.data());
  weights = arena;
  memory.registerBuffer(arena.data(), arena.size(), true, arenaNames[0]);
}

void EmulatorDevice::allocate(Arena arena, uint64_t bytes) {
  size_t index = indexOf(arena);
  prepared.clear();
  if (sizes[index])
    memory.unregisterBuffer(buffers[index].data());
  buffers[index] = HostBuffer(bytes + guardBytes, arenaNames[index]);
  sizes[index] = bytes;
  memory.registerBuffer(buffers[index].data(), bytes, false, arenaNames[index]);
}

std::byte *EmulatorDevice::base(Arena arena) {
  // Kernels only read the weights; the checker sees to it.
  if (arena == Arena::Weights)
    return const_cast<std::byte *>(weights.data());
  return buffers[indexOf(arena)].data();
}

uint64_t EmulatorDevice::size(Arena arena) const {
  return arena == Arena::Weights ? weights.size() : sizes[indexOf(arena)];
}

unsigned EmulatorDevice::prepare(const Plan &plan, const TokenPlan &tokens, uint64_t positions) {
  std::vector<uint64_t> offsetsOfWeights = weightOffsets(plan);
  std::vector<Step> &steps = prepared.emplace_back();
  for (size_t number = 0; number < tokens.steps.size(); ++number) {
    const PlanStep &step = tokens.steps[number];
    const PlanKernel &kernel = plan.kernels.at(step.kernel);
    std::string where = "plan step " + std::to_string(number) + " (" + step.source + ")";
    if (step.args.size() != library.parameterSizes(kernel.name).size())
      fail({.tensor = where,
            .found = std::to_string(step.args.size()) + " arguments",
            .expected = std::to_string(library.parameterSizes(kernel.name).size()) + " of kernel " + kernel.name});
    Step &result = steps.emplace_back();
    result.kernel = kernel.name;
    result.source = step.source;
    result.grid = static_cast<uint32_t>(std::clamp<uint64_t>(kernel.items, 1, settings.blocks));
    result.threads = kernel.threads;
    result.sharedBytes = kernel.sharedBytes;
    std::vector<std::pair<Arena, uint64_t>> places;
    for (const PlanArg &arg : step.args) {
      Arena arena = arenaOf(arg.kind);
      uint64_t offset = arg.kind == PlanArg::Kind::Cache ? arg.value * positions : arg.value;
      if (offset > size(arena))
        fail({.tensor = where,
              .found = "offset " + std::to_string(offset),
              .expected = "one inside an arena of " + std::to_string(size(arena)) + " bytes"});
      places.push_back({arena, offset});
      result.addresses.push_back(base(arena) + offset);
    }
    for (auto [arena, offset] : places) {
      uint64_t end = size(arena);
      if (arena == Arena::Weights)
        end = std::min(end, *std::upper_bound(offsetsOfWeights.begin(), offsetsOfWeights.end() - 1, offset));
      // What one step works on does not overlap.
      for (auto [other, begin] : places)
        if (other == arena && begin > offset)
          end = std::min(end, begin);
      result.extents.push_back(end - offset);
    }
  }
  return static_cast<unsigned>(prepared.size() - 1);
}

void EmulatorDevice::upload(Arena arena, uint64_t offset, std::span<const std::byte> bytes) {
  if (arena == Arena::Weights || offset > size(arena) || bytes.size() > size(arena) - offset)
    fail({.found = "an upload of " + std::to_string(bytes.size()) + " bytes at " + std::to_string(offset),
          .expected = "one inside an arena of " + std::to_string(size(arena)) + " bytes"});
  std::memcpy(base(arena) + offset, bytes.data(), bytes.size());
}

std::span<const std::byte> EmulatorDevice::download(Arena arena, uint64_t offset, uint64_t bytes) {
  if (offset > size(arena) || bytes > size(arena) - offset)
    fail({.found = "a download of " + std::to_string(bytes) + " bytes at " + std::to_string(offset),
          .expected = "one inside an arena of " + std::to_string(size(arena)) + " bytes"});
  return {base(arena) + offset, bytes};
}

void EmulatorDevice::launch(unsigned handle) {
  using Clock = std::chrono::steady_clock;
  times.clear();
  const std::vector<Step> &steps = prepared.at(handle);
  for (size_t number = 0; number < steps.size(); ++number) {
    const Step &step = steps[number];
    std::vector<const void *> values(step.addresses.begin(), step.addresses.end());
    std::vector<void *> params;
    for (const void *&value : values)
      params.push_back(&value);
    LaunchOptions options = settings.options;
    options.extents = step.extents;
    Clock::time_point begin = Clock::now();
    try {
      library.launch(memory, step.kernel, step.grid, step.threads, step.sharedBytes, params.data(), options);
    } catch (const Error &error) {
      throw Error("plan step " + std::to_string(number) + " (" + step.source + "): " + error.what());
    }
    if (profiling)
      times.push_back({number, std::chrono::duration<double>(Clock::now() - begin).count()});
  }
}

} // namespace qlr
