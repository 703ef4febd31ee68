#include "runtime/cuda/check/KernelTimes.h"

#include "runtime/cuda/check/Bandwidth.h"
#include "runtime/cuda/check/CompactPlan.h"
#include "runtime/exec/CommandLine.h"
#include "runtime/exec/Session.h"
#include "runtime/format/Plan.h"

#include <algorithm>
#include <cstring>
#include <map>

namespace qlr::cuda {
namespace {

constexpr size_t mostLaunches = 4000; // of one graph

struct Timing {
  double seconds, spread;
};

Timing summarize(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const double median = values[values.size() / 2];
  return {median, (values.back() - values.front()) / median};
}

/// A prepared device with random weights and real activations in its workspace.
class Bench {
public:
  Bench(Device &device, const Artifact &artifact, const std::string &target, const KernelTimesOptions &options)
      : device(device), options(options), plan(compactPlan(artifact.plan(target), options.coldBytes, options.budget)) {
    // The kernels were made for the whole plan, and are the same.
    device.loadKernels(plan, artifact.kernels(target), artifact.path());
    context = std::min(options.context, plan.model.maxPositions);
    positions = (uint64_t{context} + 63) / 64 * 64;
    MemoryNeed need = memoryNeed(plan, context, /*allLogits=*/false);
    device.reserve(need, {});
    std::vector<std::byte> weights(plan.weightsBytes);
    fillBytes(weights.data(), weights.size(), 3);
    device.uploadWeights(weights, artifact.path());
    device.allocate(Arena::Cache, need.cache);
    device.allocate(Arena::Workspace, need.workspace);
    device.allocate(Arena::State, need.state);
    uploadState();
  }

  const Plan &compacted() const { return plan; }

  /// One launch of `tokens`, seconds.
  Timing time(const TokenPlan &tokens) {
    unsigned handle = device.prepare(plan, tokens, positions);
    std::vector<double> seconds;
    for (unsigned i = 0; i <= options.repetitions; ++i) {
      double begin = now();
      device.launch(handle);
      device.synchronize();
      if (i > 0)
        seconds.push_back(now() - begin);
    }
    return summarize(seconds);
  }

private:
  void uploadState() {
    uint32_t last = Plan::maxTokens < context ? context - Plan::maxTokens : 0;
    const auto position = static_cast<int32_t>(std::min(options.position, last));
    std::vector<int32_t> ids(Plan::maxTokens);
    for (size_t i = 0; i < ids.size(); ++i)
      ids[i] = static_cast<int32_t>(i * 7919 % plan.model.vocab);
    device.upload(Arena::State, plan.state.position, std::as_bytes(std::span(&position, 1)));
    device.upload(Arena::State, plan.state.ids, std::as_bytes(std::span(ids)));
    device.synchronize();
  }

  Device &device;
  const KernelTimesOptions &options;
  const Plan plan;
  uint32_t context = 0;
  uint64_t positions = 0;
};

/// The launches of one kernel, over and over, for about the time asked for.
TokenPlan onlyKernel(const TokenPlan &tokens, uint32_t kernel, double secondsOfLaunch, double secondsAsked) {
  TokenPlan result = tokens;
  std::erase_if(result.steps, [&](const PlanStep &step) { return step.kernel != kernel; });
  const size_t once = result.steps.size();
  const auto wanted = static_cast<size_t>(secondsAsked / std::max(secondsOfLaunch, 1e-7));
  const size_t count = std::clamp(wanted, once, std::max(once, mostLaunches));
  result.steps.reserve(count);
  for (size_t i = once; i < count; ++i)
    result.steps.push_back(result.steps[i - once]);
  return result;
}

} // namespace

ModelTimes timeModel(Device &device, const Artifact &artifact, const std::string &target,
                     const KernelTimesOptions &options) {
  Bench bench(device, artifact, target, options);
  ModelTimes result;
  for (const TokenPlan &tokens : bench.compacted().plans) {
    if (tokens.tokens > options.mostTokens || (tokens.allLogits && tokens.tokens > 1))
      continue; // of its kernels only the head differs
    // The whole plan comes first, and fills the workspace with what the kernels will see.
    Timing whole = bench.time(tokens);
    result.plans.push_back({tokens.tokens, weightBytesOf(tokens), whole.seconds, whole.spread});

    std::map<uint32_t, KernelTime> kernels;
    for (const PlanStep &step : tokens.steps) {
      KernelTime &time = kernels[step.kernel];
      ++time.launches;
      time.weightBytes = std::max(time.weightBytes, step.weightBytes);
      if (time.source.empty())
        time.source = step.source;
    }
    for (auto &[kernel, time] : kernels) {
      time.kernel = bench.compacted().kernels[kernel].name;
      time.tokens = tokens.tokens;
      TokenPlan few = onlyKernel(tokens, kernel, 1, 0);
      const double estimate = bench.time(few).seconds / static_cast<double>(few.steps.size());
      TokenPlan many = onlyKernel(tokens, kernel, estimate, options.secondsPerKernel);
      Timing timing = bench.time(many);
      time.seconds = timing.seconds / static_cast<double>(many.steps.size());
      time.spread = timing.spread;
      result.kernels.push_back(time);
    }
  }
  return result;
}

} // namespace qlr::cuda
