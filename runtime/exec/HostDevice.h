// The host as a device: native kernels from the artifact, run by a pool of threads over memory of this process.
#pragma once

#include "runtime/exec/Cpu.h"
#include "runtime/exec/Device.h"
#include "runtime/exec/KernelLibrary.h"
#include "runtime/exec/Memory.h"
#include "runtime/exec/StageRunner.h"

#include <array>

namespace qlr {

/// Weights are read where the artifact is mapped. A launch returns when it has finished.
class HostDevice final : public Device {
public:
  HostDevice(const DeviceOptions &options, std::shared_ptr<ThreadPool> pool);

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
  struct Prepared {
    std::vector<std::unique_ptr<void *[]>> argLists;
    std::vector<Stage> stages;
    std::vector<size_t> steps; // of each stage
  };

  std::byte *base(Arena arena);
  uint64_t size(Arena arena) const;

  const uint64_t memoryLimit;
  const std::string forcedLevel;
  std::shared_ptr<ThreadPool> pool;
  CpuLevel level = CpuLevel::Avx2;
  KernelLibrary library;
  std::vector<std::vector<StageFunction>> functions; // [kernel][stage]
  std::span<const std::byte> weights;
  std::array<HostBuffer, 4> buffers; // [Arena]; that of Weights stays empty
  std::vector<std::unique_ptr<Prepared>> prepared;
  StageRunner runner;
  bool profiling = false;
  std::vector<StepTime> times;
};

} // namespace qlr
