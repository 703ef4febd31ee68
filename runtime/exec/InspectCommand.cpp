#include "runtime/exec/InspectCommand.h"

#include "runtime/exec/CommandLine.h"
#include "runtime/exec/Inspect.h"
#include "runtime/exec/Memory.h"
#include "runtime/exec/ModelStore.h"
#include "runtime/format/Error.h"

#include <cstdio>
#include <filesystem>

namespace qlr {
namespace {

// A stored matrix that has less than this in common with the original is not that matrix.
constexpr double leastCorrelation = 0.5;

struct InspectFlags {
  std::string path, reference, target, memoryLimit;
  std::optional<uint32_t> context;
  DeviceOptions device;
  bool json = false, tensors = false;
};

Report inspect(const InspectFlags &flags) {
  namespace fs = std::filesystem;
  if (fs::is_directory(flags.path)) {
    Report report = inspectDirectory(flags.path);
    if (flags.context || !flags.target.empty())
      addMemory(report, compilePlan(flags.path, flags.target.empty() ? "host" : flags.target), flags.context,
                flags.device);
    if (!flags.reference.empty())
      addCorrelations(report, flags.reference);
    return report;
  }
  if (!flags.reference.empty())
    fail({.file = flags.path,
          .tensor = "--reference",
          .found = "a file",
          .expected = "a compressed directory to compare"});
  if (fs::path(flags.path).extension() == ".safetensors")
    return inspectFile(flags.path);
  Artifact artifact = Artifact::open(flags.path);
  Report report = inspectArtifact(artifact);
  addMemory(report, flags.target.empty() ? artifact.plan() : artifact.plan(flags.target), flags.context, flags.device);
  return report;
}

} // namespace

int inspectCommandMain(int argc, char **argv) {
  InspectFlags flags;
  CLI::App app;
  describeProgram(app, "inspect", "Shows what is in an artifact, a model directory or a safetensors file.");
  app.add_option("path", flags.path, "M.qlr, DIR or F.safetensors")->required();
  app.add_option("--reference", flags.reference, "the uncompressed directory: recompute correlations with it");
  app.add_option("-c,--ctx-size", flags.context,
                 "memory for this context (0: the model's); compiles a directory's plan");
  app.add_option("--target", flags.target,
                 "memory on this target: of a directory's plan (default host), or one of an "
                 "artifact's (default its first)");
  app.add_option("--memory-limit", flags.memoryLimit, "check the memory against this, e.g. 22GB; with -c 0 fill it");
  addPlacementFlags(app, flags.device);
  app.add_flag("--tensors", flags.tensors, "list every tensor");
  app.add_flag("--json", flags.json, "print one JSON object");
  if (std::optional<int> code = parseCommandLine(app, {argv, argv + argc}))
    return *code;
  if (!flags.memoryLimit.empty())
    flags.device.memoryLimit = parseByteSize(flags.memoryLimit, "--memory-limit");
  Report report = inspect(flags);
  if (flags.json)
    printJson(report.toJson());
  else
    std::fputs(report.toText(flags.tensors).c_str(), stdout);
  for (const ModuleReport &module : report.modules)
    if (module.correlation && !(*module.correlation >= leastCorrelation))
      fail({.file = flags.path,
            .tensor = module.name,
            .found = "a correlation of " + std::to_string(*module.correlation) + " with the reference",
            .expected = "at least 0.5",
            .advice = "another model was compressed, or the checkpoint is damaged"});
  return 0;
}

} // namespace qlr
