// How long the kernels of a large model take, without its weights.
#pragma once

#include "runtime/exec/Device.h"
#include "runtime/format/Artifact.h"

#include <string>
#include <vector>

namespace qlr::cuda {

struct KernelTimesOptions {
  uint64_t budget = 0;            ///< bytes of device memory for weights
  uint64_t coldBytes = 0;         ///< of weights that pass between two uses of the same: several times the cache
  uint32_t context = 4096;        ///< positions of the cache
  uint32_t position = 1024;       ///< where the tokens are: attention reads so much of the cache
  double secondsPerKernel = 0.02; ///< of each repetition
  unsigned repetitions = 5;
  uint32_t mostTokens = Plan::maxTokens; ///< larger plans are left out
};

/// One kernel in one plan.
struct KernelTime {
  std::string kernel, source;
  uint32_t tokens = 0;
  size_t launches = 0;      ///< in the plan
  uint64_t weightBytes = 0; ///< read by a launch
  double seconds = 0;       ///< a launch, median
  double spread = 0;        ///< (slowest - fastest) / median
};

/// A whole plan as one graph.
struct PlanTime {
  uint32_t tokens = 0;
  uint64_t weightBytes = 0;
  double seconds = 0, spread = 0;
};

struct ModelTimes {
  std::vector<KernelTime> kernels;
  std::vector<PlanTime> plans;
};

/// Times every kernel of `artifact` for `target` on `device`, and every plan: weights are pseudo-random, activations
/// what they give. The artifact needs no weights. Throws Error.
ModelTimes timeModel(Device &device, const Artifact &artifact, const std::string &target,
                     const KernelTimesOptions &options);

} // namespace qlr::cuda
