// The GPU emulator as a device: runs the kernels of a target emulator:sm_NN on the host and reports their faults.
#pragma once

#include "runtime/emulator/Emulator.h"
#include "runtime/exec/Device.h"
#include "runtime/exec/Memory.h"

#include <array>

namespace qlr {

/// How `--device emulator[:setting,...]` runs plans.
struct EmulatorSettings {
  uint32_t blocks = 4;   ///< of a grid, at most; "blocks=N"
  LaunchOptions options; ///< "seed=N"; "unchecked"; host threads are those of the device options

  /// Parses what follows "emulator" on the command line; throws Error naming the settings there are.
  static EmulatorSettings parse(const std::string &text);
};

/// True for "emulator" and "emulator:...".
bool isEmulatorName(const std::string &device);

/// The device called `name` for the first emulated target among `targets`; throws Error when there is none.
ChosenDevice makeEmulatorDevice(const std::string &name, std::span<const std::string> targets,
                                const DeviceOptions &options, const std::string &file);

/// Weights are read where the artifact is mapped. A launch returns when it has finished.
class EmulatorDevice final : public Device {
public:
  EmulatorDevice(const EmulatorSettings &settings, const DeviceOptions &options);

  std::string describe() const override;
  uint64_t availableMemory() const override;
  void loadKernels(const Plan &plan, std::span<const std::byte> image, const std::string &file) override;
  void uploadWeights(std::span<const std::byte> arena, const std::string &file) override;
  void allocate(Arena arena, uint64_t bytes) override;
  unsigned prepare(const Plan &plan, const TokenPlan &tokens, uint64_t positions) override;
  void upload(Arena arena, uint64_t offset, std::span<const std::byte> bytes) override;
  void launch(unsigned handle) override;
  void synchronize() override {}
  std::span<const std::byte> download(Arena arena, uint64_t offset, uint64_t bytes) override;
  void setProfiling(bool on) override { profiling = on; }
  std::vector<StepTime> profile() const override { return times; }

private:
  struct Step {
    std::string kernel, source;
    uint32_t grid, threads;
    uint64_t sharedBytes;
    std::vector<std::byte *> addresses;
    std::vector<uint64_t> extents; // bytes that each address may be used for
  };

  std::byte *base(Arena arena);
  uint64_t size(Arena arena) const;

  EmulatorSettings settings;
  const uint64_t memoryLimit;
  std::string target;
  EmulatorLibrary library;
  EmulatorMemory memory;
  std::span<const std::byte> weights;
  std::array<HostBuffer, 4> buffers; // [Arena]; that of Weights stays empty
  std::array<uint64_t, 4> sizes{};   // without the guard behind
  std::vector<std::vector<Step>> prepared;
  bool profiling = false;
  std::vector<StepTime> times;
};

} // namespace qlr
