#include "runtime/cuda/CudaDevice.h"

#include "runtime/exec/Memory.h"
#include "runtime/format/Error.h"
#include "runtime/format/Plan.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>

namespace qlr {

using namespace cuda;

namespace {

/// Left to the driver where no limit is given: kernels' code, graphs.
constexpr uint64_t headroom = 128'000'000;

/// Results that say a kernel did wrong, not its launcher.
bool isKernelFault(CUresult result) {
  return result == CUDA_ERROR_ILLEGAL_ADDRESS || (result >= CUDA_ERROR_ASSERT && result <= CUDA_ERROR_LAUNCH_FAILED) ||
         result == CUDA_ERROR_LAUNCH_TIMEOUT;
}

bool asked(const char *variable) {
  const char *value = std::getenv(variable);
  return value && *value && std::strcmp(value, "0") != 0;
}

} // namespace

CudaDevice::CudaDevice(const DeviceInfo &info, const DeviceOptions &options)
    : info(info), memoryLimit(options.memoryLimit), stepwise(asked("QLR_CUDA_SYNC")), context(info) {
  const Driver &driver = Driver::get();
  driver.check(driver.api.streamCreate(stream.out(), CU_STREAM_NON_BLOCKING), "opening " + name());
}

CudaDevice::~CudaDevice() {
  // Members are given back in this context, after what was launched has ended; errors have been told before.
  try {
    context.enter();
  } catch (const Error &) {
  }
  if (running)
    Driver::get().api.streamSynchronize(stream.get());
}

std::string CudaDevice::describe() const {
  return name() + ": " + info.name + ", compute capability " + std::to_string(info.capability / 10) + "." +
         std::to_string(info.capability % 10) + ", driver for CUDA " + versionText(Driver::get().version());
}

uint64_t CudaDevice::availableMemory() const {
  const Driver &driver = Driver::get();
  context.enter();
  size_t free = 0, total = 0;
  driver.check(driver.api.memGetInfo(&free, &total), "asking for the free memory of " + name());
  uint64_t available = free - std::min<uint64_t>(free, headroom);
  if (memoryLimit)
    available = std::min(available, memoryLimit);
  // The arenas are aligned more coarsely than they are counted.
  return available - std::min(available, 4 * CudaArena::alignment);
}

void CudaDevice::loadKernels(const Plan &plan, std::span<const std::byte> image, const std::string &file) {
  context.enter();
  prepared.clear();
  kernels = cuda::loadKernels(info, plan, image, file);
}

void CudaDevice::reserve(const MemoryNeed &need, std::span<const PlanRegion> onHost) {
  context.enter();
  prepared.clear();
  arena = CudaArena(); // what was taken is given back first
  arena = CudaArena(need, onHost, name());
  state = PinnedBuffer(std::max<uint64_t>(need.state, 1), "the state");
}

void CudaDevice::uploadWeights(std::span<const std::byte> weights, const std::string &file) {
  context.enter();
  if (weights.size() != arena.size(Arena::Weights))
    fail({.file = file,
          .tensor = "weights",
          .found = std::to_string(weights.size()) + " bytes",
          .expected = std::to_string(arena.size(Arena::Weights)) + " as reserved"});
  arena.uploadWeights(weights, stream.get());
}

void CudaDevice::allocate(Arena which, uint64_t bytes) {
  context.enter();
  prepared.clear();
  checkRange("an allocation", which, 0, bytes);
  if (bytes == 0)
    return;
  const Driver &driver = Driver::get();
  driver.check(driver.api.memsetD8Async(arena.address(which, 0), 0, bytes, stream.get()), "clearing memory");
  driver.check(driver.api.streamSynchronize(stream.get()), "clearing memory");
}

void CudaDevice::checkRange(const char *what, Arena which, uint64_t offset, uint64_t bytes) const {
  const uint64_t size = arena.size(which);
  if (offset > size || bytes > size - offset)
    fail({.found = std::string(what) + " of " + std::to_string(bytes) + " bytes at " + std::to_string(offset),
          .expected = "one inside an arena of " + std::to_string(size) + " bytes"});
}

unsigned CudaDevice::prepare(const Plan &plan, const TokenPlan &tokens, uint64_t positions) {
  context.enter();
  auto result = std::make_unique<Prepared>();
  for (const PlanStep &planned : tokens.steps) {
    Step &step = result->steps.emplace_back();
    step.kernel = &kernels.at(planned.kernel);
    step.source = planned.source;
    for (const PlanArg &arg : planned.args) {
      const Arena which = arenaOf(arg.kind);
      const uint64_t offset = arg.kind == PlanArg::Kind::Cache ? arg.value * positions : arg.value;
      checkRange(("an argument of " + step.kernel->name).c_str(), which, offset, 0);
      step.values.push_back(arena.address(which, offset));
    }
  }
  for (Step &step : result->steps) // the vectors stay where they are from here on
    for (CUdeviceptr &value : step.values)
      step.params.push_back(&value);
  result->graph = capture(*result);
  prepared.push_back(std::move(result));
  return static_cast<unsigned>(prepared.size() - 1);
}

void CudaDevice::launchStep(const Prepared &plan, size_t number) {
  const Step &step = plan.steps[number];
  // The first kernel of a plan follows a copy of the state, not a kernel.
  const bool dependent = step.kernel->dependent && number > 0;
  CUresult result = launchKernel(*step.kernel, dependent, const_cast<void **>(step.params.data()), stream.get());
  if (isKernelFault(result)) // of one before it
    checkFinished(result, "launching kernel " + step.kernel->name);
  Driver::get().check(result, "launching kernel " + step.kernel->name + " (" + step.source + ")");
}

GraphExec CudaDevice::capture(const Prepared &plan) {
  const Driver &driver = Driver::get();
  driver.check(driver.api.streamBeginCapture(stream.get(), CU_STREAM_CAPTURE_MODE_THREAD_LOCAL), "capturing a graph");
  Graph graph;
  try {
    for (size_t i = 0; i < plan.steps.size(); ++i)
      launchStep(plan, i);
  } catch (const Error &) {
    driver.api.streamEndCapture(stream.get(), graph.out()); // the stream is of use again
    throw;
  }
  driver.check(driver.api.streamEndCapture(stream.get(), graph.out()), "capturing a graph");
  GraphExec executable;
  driver.check(driver.api.graphInstantiate(executable.out(), graph.get(), 0), "making a graph executable");
  return executable;
}

void CudaDevice::upload(Arena which, uint64_t offset, std::span<const std::byte> bytes) {
  context.enter();
  if (which != Arena::State)
    fail({.found = "an upload to another arena than the state", .expected = "the state"});
  checkRange("an upload", which, offset, bytes.size());
  if (running) // the page-locked copy may still be read
    synchronize();
  std::memcpy(state.data() + offset, bytes.data(), bytes.size());
  const Driver &driver = Driver::get();
  driver.check(
      driver.api.memcpyHtoDAsync(arena.address(which, offset), state.data() + offset, bytes.size(), stream.get()),
      "copying the state");
}

void CudaDevice::launch(unsigned handle) {
  context.enter();
  const Prepared &plan = *prepared.at(handle);
  times.clear();
  running = true;
  if (profiling)
    return launchProfiled(plan);
  if (stepwise)
    return launchSteps(plan);
  checkFinished(Driver::get().api.graphLaunch(plan.graph.get(), stream.get()), "launching a plan");
}

void CudaDevice::launchSteps(const Prepared &plan) {
  for (size_t i = 0; i < plan.steps.size(); ++i) {
    launchStep(plan, i);
    checkFinished(Driver::get().api.streamSynchronize(stream.get()),
                  "kernel " + plan.steps[i].kernel->name + " (" + plan.steps[i].source + ")");
  }
}

void CudaDevice::launchProfiled(const Prepared &plan) {
  const Driver &driver = Driver::get();
  const std::string what = "profiling";
  while (events.size() <= plan.steps.size())
    driver.check(driver.api.eventCreate(events.emplace_back().out(), CU_EVENT_DEFAULT), what);
  driver.check(driver.api.eventRecord(events[0].get(), stream.get()), what);
  for (size_t i = 0; i < plan.steps.size(); ++i) {
    launchStep(plan, i);
    driver.check(driver.api.eventRecord(events[i + 1].get(), stream.get()), what);
  }
  synchronize();
  for (size_t i = 0; i < plan.steps.size(); ++i) {
    float milliseconds = 0;
    driver.check(driver.api.eventElapsedTime(&milliseconds, events[i].get(), events[i + 1].get()), what);
    times.push_back({i, milliseconds / 1e3});
  }
}

void CudaDevice::synchronize() {
  context.enter();
  CUresult result = Driver::get().api.streamSynchronize(stream.get());
  running = false;
  checkFinished(result, "running a plan");
}

std::span<const std::byte> CudaDevice::download(Arena which, uint64_t offset, uint64_t bytes) {
  context.enter();
  checkRange("a download", which, offset, bytes);
  if (received.size() < bytes) {
    received = PinnedBuffer();
    received = PinnedBuffer(bytes, "results");
  }
  if (bytes == 0)
    return {};
  checkFinished(Driver::get().api.memcpyDtoHAsync(received.data(), arena.address(which, offset), bytes, stream.get()),
                "copying results");
  synchronize();
  return {received.data(), bytes};
}

void CudaDevice::checkFinished(CUresult result, const std::string &what) const {
  if (isKernelFault(result))
    fail({.tensor = name() + " (" + info.name + "), " + what,
          .found = "a fault of a kernel: " + Driver::get().describe(result),
          .expected = "kernels that end without one",
          .advice = stepwise ? "report it, with the output of qlr run --list-devices"
                             : "run again with QLR_CUDA_SYNC=1 in the environment to learn which kernel it is"});
  Driver::get().check(result, what);
}

} // namespace qlr
