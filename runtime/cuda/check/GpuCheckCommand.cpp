#include "runtime/cuda/check/GpuCheckCommand.h"

#include "runtime/cuda/CudaDevices.h"
#include "runtime/cuda/check/Bandwidth.h"
#include "runtime/cuda/check/GpuReport.h"
#include "runtime/exec/CommandLine.h"
#include "runtime/exec/Memory.h"
#include "runtime/format/Error.h"

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>

namespace qlr {

using namespace cuda;
namespace fs = std::filesystem;

namespace {

constexpr uint64_t copyBytes = 2'000'000'000;      // of each of two buffers, where there is room
constexpr uint64_t coldBytesAtLeast = 256'000'000; // of weights between two uses of the same
constexpr uint64_t coldCaches = 4;                 // or so many times the L2 cache

struct GpuCheckFlags {
  std::string root = ".", device = "cuda:0", json, output, commit;
  std::vector<std::string> expect;
  double bound = 0.01;
  uint64_t bytes = 0;
  bool quick = false;
  Question question;
};

std::vector<fs::path> artifactsIn(const fs::path &folder) {
  std::vector<fs::path> found;
  if (fs::is_directory(folder))
    for (const fs::directory_entry &entry : fs::directory_iterator(folder))
      if (entry.path().extension() == ".qlr")
        found.push_back(entry.path());
  std::sort(found.begin(), found.end());
  return found;
}

/// The host's answers, to be compared with where there is a GPU.
int writeExpected(const GpuCheckFlags &flags) {
  for (const std::string &path : flags.expect) {
    SessionOptions options;
    options.device = "host";
    const fs::path out = fs::path(flags.output) / fs::path(path).stem().concat(".answer");
    writeAnswer(out.string(), answer(std::make_shared<Artifact>(Artifact::open(path)), options, flags.question));
    std::fprintf(stderr, "%s\n", out.c_str());
  }
  return 0;
}

const DeviceInfo &findInfo(const std::string &device) {
  const std::vector<DeviceInfo> &devices = Driver::get().devices();
  const size_t ordinal = device == "cuda" ? 0 : static_cast<size_t>(std::atoi(device.c_str() + 5));
  if (!isCudaName(device) || ordinal >= devices.size())
    fail({.tensor = "--device",
          .found = "'" + device + "'",
          .expected = "one of " + std::to_string(devices.size()) + " CUDA devices"});
  return devices[ordinal];
}

/// One artifact with an answer beside it, on the device.
ParityRow checkParity(const fs::path &path, const GpuCheckFlags &flags) {
  ParityRow row;
  row.model = path.stem().string();
  try {
    std::fprintf(stderr, "parity: %s\n", row.model.c_str());
    auto artifact = std::make_shared<Artifact>(Artifact::open(path.string()));
    SessionOptions options;
    options.device = flags.device;
    const Answer expected = readAnswer(fs::path(path).replace_extension(".answer").string());
    const Question question = questionOf(expected);
    Answer found = answer(artifact, options, question), again = answer(artifact, options, question);
    row.result = compare(found, expected, flags.bound);
    row.sameTwice = found.logits == again.logits && found.ids == again.ids;
    // The embedding in the host's memory or not: the same numbers.
    options.deviceOptions.embedding = "device";
    options.deviceOptions.head = "host";
    row.sameElsewhere = answer(artifact, options, question).logits == found.logits;
  } catch (const Error &error) {
    row.error = error.what();
  }
  return row;
}

ShapeTimes timeShape(const fs::path &path, const DeviceInfo &info, const GpuCheckFlags &flags) {
  ShapeTimes shape;
  shape.model = path.stem().string();
  try {
    std::fprintf(stderr, "times: %s\n", shape.model.c_str());
    Artifact artifact = Artifact::open(path.string());
    ChosenDevice chosen = makeDevice(flags.device, artifact.targets(), {}, path.string());
    shape.target = chosen.target;
    KernelTimesOptions options;
    options.coldBytes = std::max<uint64_t>(coldBytesAtLeast, coldCaches * static_cast<uint64_t>(info.l2Bytes));
    options.budget = chosen.device->availableMemory() / 2;
    if (flags.quick) {
      options.coldBytes = 0;
      options.context = 256;
      options.position = 64;
      options.secondsPerKernel = 0;
      options.repetitions = 1;
      options.mostTokens = 8;
    }
    shape.times = timeModel(*chosen.device, artifact, chosen.target, options);
  } catch (const Error &error) {
    shape.error = error.what();
  }
  return shape;
}

int check(const GpuCheckFlags &flags) {
  const DeviceInfo &info = findInfo(flags.device);
  GpuReport report;
  report.device = info;
  report.driver = Driver::get().version();
  report.commit = flags.commit;
  report.bound = flags.bound;
  const std::vector<fs::path> models = artifactsIn(fs::path(flags.root) / "models"),
                              shapes = artifactsIn(fs::path(flags.root) / "shapes");
  if (models.empty() && shapes.empty())
    fail({.file = flags.root,
          .found = "no artifacts in models/ and shapes/",
          .expected = "what tools/gpu-check --pack collects"});
  std::fprintf(stderr, "bandwidth\n");
  const uint64_t bytes = flags.bytes ? flags.bytes : std::min(copyBytes, info.memory / 8);
  report.bandwidth = measureBandwidth(info, bytes, flags.quick ? 1 : 10);
  for (const fs::path &path : models)
    report.parity.push_back(checkParity(path, flags));
  for (const fs::path &path : shapes)
    report.shapes.push_back(timeShape(path, info, flags));
  std::fputs(report.toMarkdown().c_str(), stdout);
  if (!flags.json.empty() && !(std::ofstream(flags.json) << report.toJson().dump(1) << '\n' << std::flush))
    fail({.file = flags.json, .found = "a failed write", .expected = "a file that can be written"});
  return report.passed() ? 0 : 1;
}

} // namespace

int gpuCheckMain(int argc, char **argv) {
  GpuCheckFlags flags;
  CLI::App app;
  describeProgram(app, "gpu-check", "Checks and times the kernels that tools/gpu-check --pack collected, on a GPU.");
  app.add_option("--root", flags.root, "folder with models/ and shapes/")->capture_default_str();
  app.add_option("--device", flags.device, "cuda:N")->capture_default_str();
  app.add_option("--json", flags.json, "also write the results there");
  app.add_option("--bound", flags.bound, "largest relative error of logits")->capture_default_str();
  app.add_option("--bytes", flags.bytes, "bytes of the buffers that bandwidth is measured with");
  app.add_option("--commit", flags.commit, "what the bundle was made of, for the report");
  app.add_flag("--quick", flags.quick, "each kernel once: for trying the program out");
  app.add_option("--expect", flags.expect, "instead: write the host's answers of these artifacts");
  app.add_option("-o,--output", flags.output, "folder for --expect");
  app.add_option("--prompt-tokens", flags.question.promptTokens, "for --expect: tokens whose logits are compared")
      ->capture_default_str()
      ->check(CLI::Range(2u, 4096u));
  app.add_option("--greedy-tokens", flags.question.greedyTokens, "for --expect: tokens generated")
      ->capture_default_str();
  if (std::optional<int> code = parseCommandLine(app, {argv, argv + argc}))
    return *code;
  return flags.expect.empty() ? check(flags) : writeExpected(flags);
}

} // namespace qlr
