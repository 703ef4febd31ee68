// What a plan needs of the thing it runs on. The host is the first; an emulator and a CUDA driver fit behind the same
// interface.
#pragma once

#include "runtime/format/Plan.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace qlr {

/// The four memories that a plan's steps address by offset.
enum class Arena {
  Weights,   ///< read-only, as the artifact lays them out
  Cache,     ///< keys and values; its size is positions times the plan's bytes a position
  Workspace, ///< activations and logits
  State      ///< position and token ids: the only thing that changes between two launches of one plan
};

/// The memory that a step's argument of this kind lies in.
Arena arenaOf(PlanArg::Kind kind);

/// What the user asked of a device.
struct DeviceOptions {
  unsigned threads = 0;     ///< 0: every core this process may use
  std::string cpuLevel;     ///< empty: the best the machine has
  uint64_t memoryLimit = 0; ///< 0: what is available
  /// "host" or "device": where a device with memory of its own reads these weights; empty: embedding host, head device.
  std::string embedding, head;
};

/// Bytes of each arena. `hostWeights` stay in the host's memory and are none of `weights`.
struct MemoryNeed {
  uint64_t weights = 0, cache = 0, workspace = 0, state = 0, hostWeights = 0;
  /// Of the device's memory.
  uint64_t total() const { return weights + cache + workspace + state; }
};

/// One step's share of a profile.
struct StepTime {
  size_t step;
  double seconds;
};

/// Executes plans. The order of calls: loadKernels, reserve, uploadWeights, allocate for each of the other arenas,
/// prepare for each plan, then any number of upload, launch, synchronize and download. All throw Error; none is
/// thread-safe.
class Device {
public:
  virtual ~Device() = default;

  /// One line for people: the device, its instruction set or driver, its threads.
  virtual std::string describe() const = 0;

  /// Bytes that can still be taken, the memory limit applied.
  virtual uint64_t availableMemory() const = 0;

  /// Whether weights are copied into memory that is not the host's.
  virtual bool hasOwnMemory() const { return false; }

  /// Makes every kernel of `plan` ready. `image` is the artifact's tensor kernels/<target>; `file` names the artifact.
  virtual void loadKernels(const Plan &plan, std::span<const std::byte> image, const std::string &file) = 0;

  /// Takes the memory of all arenas at once, where the device has memory of its own. The weights of `onHost` (by
  /// offset) stay in the host's memory, where the device reads them.
  virtual void reserve(const MemoryNeed &need, std::span<const PlanRegion> onHost) {}

  /// Gives the weights arena its content. A device that can read `arena` in place keeps no copy, so the memory behind
  /// it must outlive the device.
  virtual void uploadWeights(std::span<const std::byte> arena, const std::string &file) = 0;

  /// Makes `arena` (not Weights) `bytes` long and zero. Forgets every prepared plan.
  virtual void allocate(Arena arena, uint64_t bytes) = 0;

  /// Resolves the addresses of `plan` for a cache of `positions` and returns the handle that launch takes. Everything
  /// that can be done once is done here; a CUDA device captures its graph.
  virtual unsigned prepare(const Plan &plan, const TokenPlan &tokens, uint64_t positions) = 0;

  virtual void upload(Arena arena, uint64_t offset, std::span<const std::byte> bytes) = 0;

  /// Starts a prepared plan. Launches run in the order of the calls.
  virtual void launch(unsigned handle) = 0;

  /// Returns when everything launched has finished.
  virtual void synchronize() = 0;

  /// A view of device memory, valid until the next call of any function here.
  virtual std::span<const std::byte> download(Arena arena, uint64_t offset, uint64_t bytes) = 0;

  /// Records the time of every step of the launches to come, at a small cost, or stops doing so.
  virtual void setProfiling(bool on) = 0;

  /// The times of the last launch's steps; empty unless profiling.
  virtual std::vector<StepTime> profile() const = 0;
};

/// The names that `--device` takes here, each with a description: what `--list-devices` prints.
std::vector<std::pair<std::string, std::string>> listDevices();

/// "a, b, c".
std::string listText(std::span<const std::string> names);

/// A device, and which of an artifact's targets it runs.
struct ChosenDevice {
  std::unique_ptr<Device> device;
  std::string target;
};

/// Makes the device called `name`: "host", "cuda" (the first), "cuda:N" or "emulator"; empty: the one the first target
/// asks for. `targets` are those of the artifact `file`. Throws Error naming what was found and what there is.
ChosenDevice makeDevice(const std::string &name, std::span<const std::string> targets, const DeviceOptions &options,
                        const std::string &file);

/// The target to compile a model directory for when it is to run on the device called `name`.
std::string targetForDevice(const std::string &name);

} // namespace qlr
