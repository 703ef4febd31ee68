// A GPU behind NVIDIA's driver: PTX from the artifact, one allocation, a graph for each plan.
#pragma once

#include "runtime/cuda/CudaArena.h"
#include "runtime/cuda/CudaKernels.h"
#include "runtime/exec/Device.h"

#include <memory>

namespace qlr {

/// Launches are asynchronous; a fault of a kernel shows at the next synchronize or download, after which the device is
/// of no more use. With the environment variable QLR_CUDA_SYNC set, steps are launched one by one and waited for, so
/// that a fault names its kernel.
class CudaDevice final : public Device {
public:
  CudaDevice(const cuda::DeviceInfo &info, const DeviceOptions &options);
  ~CudaDevice() override;

  std::string describe() const override;
  uint64_t availableMemory() const override;
  bool hasOwnMemory() const override { return true; }
  void loadKernels(const Plan &plan, std::span<const std::byte> image, const std::string &file) override;
  void reserve(const MemoryNeed &need, std::span<const PlanRegion> onHost) override;
  void uploadWeights(std::span<const std::byte> arena, const std::string &file) override;
  /// Of memory that reserve() has taken.
  void allocate(Arena arena, uint64_t bytes) override;
  unsigned prepare(const Plan &plan, const TokenPlan &tokens, uint64_t positions) override;
  void upload(Arena arena, uint64_t offset, std::span<const std::byte> bytes) override;
  void launch(unsigned handle) override;
  void synchronize() override;
  std::span<const std::byte> download(Arena arena, uint64_t offset, uint64_t bytes) override;
  void setProfiling(bool on) override { profiling = on; }
  std::vector<StepTime> profile() const override { return times; }

private:
  struct Step {
    const cuda::Kernel *kernel;
    std::vector<cuda::CUdeviceptr> values; // of the parameters
    std::vector<void *> params;            // their addresses
    std::string source;
  };
  struct Prepared {
    std::vector<Step> steps;
    cuda::GraphExec graph;
  };

  std::string name() const { return "cuda:" + std::to_string(info.ordinal); }
  void launchStep(const Prepared &plan, size_t number);
  cuda::GraphExec capture(const Prepared &plan);
  void launchSteps(const Prepared &plan);
  void launchProfiled(const Prepared &plan);
  void checkRange(const char *what, Arena arena, uint64_t offset, uint64_t bytes) const;
  /// Throws for what a kernel did as well as for what this device did. `what` says what was being waited for.
  void checkFinished(cuda::CUresult result, const std::string &what) const;

  const cuda::DeviceInfo info;
  const uint64_t memoryLimit;
  const bool stepwise;
  cuda::Context context;
  cuda::Stream stream;
  std::vector<cuda::Kernel> kernels;
  cuda::CudaArena arena;
  std::vector<std::unique_ptr<Prepared>> prepared;
  cuda::PinnedBuffer state;    // what upload copies from: the state arena's size
  cuda::PinnedBuffer received; // what download copies to
  bool running = false;        // something was launched and not waited for
  bool profiling = false;
  std::vector<cuda::Event> events; // of a profiled launch: the begin, then the end of each step
  std::vector<StepTime> times;
};

} // namespace qlr
