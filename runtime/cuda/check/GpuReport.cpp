#include "runtime/cuda/check/GpuReport.h"

#include "runtime/exec/Memory.h"
#include "runtime/exec/Text.h"

#include <algorithm>
#include <ctime>

namespace qlr::cuda {
namespace {

std::string today() {
  std::time_t time = std::time(nullptr);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%d", std::gmtime(&time));
  return text;
}

std::string capability(const DeviceInfo &device) {
  return std::to_string(device.capability / 10) + "." + std::to_string(device.capability % 10);
}

} // namespace

bool GpuReport::passed() const {
  return std::all_of(parity.begin(), parity.end(), [](const ParityRow &row) { return row.passed(); }) &&
         std::all_of(shapes.begin(), shapes.end(), [](const ShapeTimes &shape) { return shape.error.empty(); });
}

std::string GpuReport::toMarkdown() const {
  std::string out = formatText(
      "# %s\n\n%s; commit %s; compute capability %s, %d multiprocessors, %s, driver for CUDA %s.\n\n",
      device.name.c_str(), today().c_str(), commit.empty() ? "unknown" : commit.c_str(), capability(device).c_str(),
      device.multiprocessors, formatBytes(device.memory).c_str(), versionText(driver).c_str());
  out += formatText("Copy bandwidth %.1f GB/s (bytes read plus bytes written), reading %.1f GB/s; buffers of %s.\n",
                    bandwidth.copy, bandwidth.read, formatBytes(bandwidth.bytes).c_str());
  if (!parity.empty()) {
    out += formatText(
        "\n## Parity with the host\n\nRelative error of all logits at most %g, greedy ids equal or apart only "
        "where the reference's two best are closer than twice the largest error.\n\n"
        "| model | relative error | largest | top-1 equal | greedy ids | same twice | same elsewhere | |\n"
        "|---|---:|---:|---:|---:|---|---|---|\n",
        bound);
    for (const ParityRow &row : parity)
      out += row.error.empty()
                 ? formatText("| %s | %.2e | %.2e | %.3f | %zu of %zu | %s | %s | %s |\n", row.model.c_str(),
                              row.result.relativeError, row.result.largestError, row.result.topEqual,
                              row.result.sameIds, row.result.ids, row.sameTwice ? "yes" : "**no**",
                              row.sameElsewhere ? "yes" : "**no**", row.passed() ? "passed" : "**failed**")
                 : "| " + row.model + " | | | | | | | **" + row.error + "** |\n";
  }
  for (const ShapeTimes &shape : shapes) {
    out += "\n## " + shape.model + " (" + shape.target + ")\n\n";
    if (!shape.error.empty()) {
      out += "**" + shape.error + "**\n";
      continue;
    }
    out += "| plan | ms | tokens/s | weights | GB/s | of copy | spread |\n|---|---:|---:|---:|---:|---:|---:|\n";
    for (const PlanTime &plan : shape.times.plans)
      out +=
          formatText("| %u token%s | %.3f | %.1f | %s | %.1f | %.3f | %.3f |\n", plan.tokens,
                     plan.tokens == 1 ? "" : "s", plan.seconds * 1e3, plan.tokens / plan.seconds,
                     formatBytes(plan.weightBytes).c_str(), static_cast<double>(plan.weightBytes) / plan.seconds / 1e9,
                     share(plan.weightBytes, plan.seconds), plan.spread);
    out += "\n| tokens | kernel | launches | us | weights | GB/s | of copy | spread | computes |\n"
           "|---:|---|---:|---:|---:|---:|---:|---:|---|\n";
    for (const KernelTime &time : shape.times.kernels)
      out += formatText("| %u | %s | %zu | %.2f | %s | %.1f | %.3f | %.3f | %s |\n", time.tokens, time.kernel.c_str(),
                        time.launches, time.seconds * 1e6, formatBytes(time.weightBytes).c_str(),
                        static_cast<double>(time.weightBytes) / time.seconds / 1e9,
                        share(time.weightBytes, time.seconds), time.spread, time.source.c_str());
  }
  out += passed() ? "\nEverything passed.\n" : "\n**Something failed.**\n";
  return out;
}

nlohmann::json GpuReport::toJson() const {
  nlohmann::json root = {{"date", today()},
                         {"commit", commit},
                         {"device", device.name},
                         {"compute_capability", capability(device)},
                         {"multiprocessors", device.multiprocessors},
                         {"memory", device.memory},
                         {"l2", device.l2Bytes},
                         {"driver", versionText(driver)},
                         {"copy_gigabytes_per_second", bandwidth.copy},
                         {"read_gigabytes_per_second", bandwidth.read},
                         {"bound", bound},
                         {"passed", passed()},
                         {"parity", nlohmann::json::array()},
                         {"shapes", nlohmann::json::array()}};
  for (const ParityRow &row : parity)
    root["parity"].push_back({{"model", row.model},
                              {"error", row.error},
                              {"relative_error", row.result.relativeError},
                              {"largest_error", row.result.largestError},
                              {"top1_equal", row.result.topEqual},
                              {"same_ids", row.result.sameIds},
                              {"ids", row.result.ids},
                              {"same_twice", row.sameTwice},
                              {"same_elsewhere", row.sameElsewhere},
                              {"passed", row.passed()}});
  for (const ShapeTimes &shape : shapes) {
    nlohmann::json plans = nlohmann::json::array(), kernels = nlohmann::json::array();
    for (const PlanTime &plan : shape.times.plans)
      plans.push_back({{"tokens", plan.tokens},
                       {"seconds", plan.seconds},
                       {"weight_bytes", plan.weightBytes},
                       {"share_of_copy", share(plan.weightBytes, plan.seconds)},
                       {"spread", plan.spread}});
    for (const KernelTime &time : shape.times.kernels)
      kernels.push_back({{"kernel", time.kernel},
                         {"tokens", time.tokens},
                         {"source", time.source},
                         {"launches", time.launches},
                         {"seconds", time.seconds},
                         {"weight_bytes", time.weightBytes},
                         {"share_of_copy", share(time.weightBytes, time.seconds)},
                         {"spread", time.spread}});
    root["shapes"].push_back({{"model", shape.model},
                              {"target", shape.target},
                              {"error", shape.error},
                              {"plans", plans},
                              {"kernels", kernels}});
  }
  return root;
}

} // namespace qlr::cuda
