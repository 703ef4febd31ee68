#include "runtime/cuda/check/CompactPlan.h"

#include "runtime/format/Artifact.h"

#include <algorithm>
#include <map>
#include <set>

namespace qlr::cuda {
namespace {

/// Where tensors begin, with their sizes: an argument always points to a tensor's begin.
std::map<uint64_t, uint64_t> findTensors(const Plan &plan) {
  std::set<uint64_t> begins;
  for (const TokenPlan &tokens : plan.plans)
    for (const PlanStep &step : tokens.steps)
      for (const PlanArg &arg : step.args)
        if (arg.kind == PlanArg::Kind::Weights)
          begins.insert(arg.value);
  std::map<uint64_t, uint64_t> sizes;
  for (auto it = begins.begin(); it != begins.end(); ++it)
    sizes[*it] = (std::next(it) == begins.end() ? plan.weightsBytes : *std::next(it)) - *it;
  return sizes;
}

/// What of a kernel's launches is kept: their weights' offsets, argument by argument.
struct Kept {
  std::vector<std::vector<uint64_t>> launches;
  uint64_t bytes = 0;
  size_t next = 0;
};

std::vector<uint64_t> weightsOf(const PlanStep &step) {
  std::vector<uint64_t> offsets;
  for (const PlanArg &arg : step.args)
    if (arg.kind == PlanArg::Kind::Weights)
      offsets.push_back(arg.value);
  return offsets;
}

} // namespace

Plan compactPlan(const Plan &plan, uint64_t coldBytes, uint64_t budget) {
  const std::map<uint64_t, uint64_t> tensors = findTensors(plan);
  std::map<uint64_t, uint64_t> moved; // offset of a kept tensor -> its new one
  uint64_t bytes = 0;
  std::map<uint32_t, Kept> kernels;
  for (const TokenPlan &tokens : plan.plans)
    for (const PlanStep &step : tokens.steps) {
      Kept &kept = kernels[step.kernel];
      std::vector<uint64_t> offsets = weightsOf(step);
      if (std::find(kept.launches.begin(), kept.launches.end(), offsets) != kept.launches.end())
        continue;
      uint64_t more = 0, total = 0;
      for (uint64_t offset : offsets) {
        total += tensors.at(offset);
        more += moved.count(offset) ? 0 : tensors.at(offset);
      }
      if (!kept.launches.empty() && more > 0 && (kept.bytes >= coldBytes || bytes + more > budget))
        continue;
      for (uint64_t offset : offsets)
        if (moved.emplace(offset, bytes).second)
          bytes += tensors.at(offset);
      kept.bytes += total;
      kept.launches.push_back(std::move(offsets));
    }

  Plan result = plan;
  result.weightsBytes = std::max<uint64_t>(bytes, Plan::alignment);
  result.regions.clear();
  for (TokenPlan &tokens : result.plans)
    for (PlanStep &step : tokens.steps) {
      Kept &kept = kernels.at(step.kernel);
      const std::vector<uint64_t> offsets = weightsOf(step);
      const bool own =
          std::all_of(offsets.begin(), offsets.end(), [&](uint64_t offset) { return moved.count(offset); });
      const std::vector<uint64_t> &source = own ? offsets : kept.launches[kept.next++ % kept.launches.size()];
      size_t i = 0;
      for (PlanArg &arg : step.args)
        if (arg.kind == PlanArg::Kind::Weights)
          arg.value = moved.at(source[i++]);
    }
  return result;
}

} // namespace qlr::cuda
