#include "runtime/exec/EvalCommand.h"

#include "runtime/exec/CommandLine.h"
#include "runtime/exec/Cpu.h"
#include "runtime/exec/Evaluate.h"
#include "runtime/exec/ModelStore.h"
#include "runtime/exec/ModelText.h"
#include "runtime/exec/Windows.h"
#include "runtime/format/Error.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace qlr {
namespace {

struct EvalFlags {
  std::string model, text, ids, protocol = "gptq-2048", reference;
  uint64_t maxWindows = 0;
  bool json = false;
};

void addMeasureFlags(CLI::App &command, EvalFlags &flags) {
  command.add_option("--text", flags.text, "text file to measure on");
  command.add_option("--ids", flags.ids, "JSON file of id lists instead: each is one window");
  command.add_option("--protocol", flags.protocol, "gptq-2048, gptq-4096, llama-512 or window:N")
      ->capture_default_str();
  command.add_option("--max-windows", flags.maxWindows, "measure the first N windows only");
  command.add_flag("--json", flags.json, "print one JSON object");
}

/// The windows to measure and what to call them.
struct Material {
  std::vector<std::vector<uint32_t>> windows;
  std::string protocol;
  uint32_t firstScored = 0;
  uint64_t longest = 0;
};

Material readMaterial(const EvalFlags &flags, const Artifact &artifact) {
  if (flags.text.empty() == flags.ids.empty())
    fail({.found = flags.text.empty() ? "nothing to measure on" : "both --text and --ids",
          .expected = "one of --text FILE and --ids FILE"});
  Material material;
  if (!flags.ids.empty()) {
    material.protocol = "ids";
    material.windows = readWindows(flags.ids, flags.maxWindows);
  } else {
    Protocol protocol = Protocol::parse(flags.protocol);
    std::vector<uint32_t> ids = loadTokenizer(artifact).encode(readText(flags.text));
    material.protocol = protocol.name;
    material.firstScored = protocol.firstScored;
    material.windows = cutWindows(ids, protocol, flags.maxWindows, flags.text);
  }
  for (const std::vector<uint32_t> &window : material.windows)
    material.longest = std::max<uint64_t>(material.longest, window.size());
  if (material.longest > artifact.plan().model.maxPositions)
    fail({.file = artifact.path(),
          .found = "a window of " + std::to_string(material.longest) + " tokens",
          .expected = "at most the model's " + std::to_string(artifact.plan().model.maxPositions) + " positions",
          .advice = "choose another --protocol"});
  return material;
}

double perplexity(const Series &nll) { return std::exp(nll.mean()); }

std::string runningText(const Evaluation &sums, bool kl) {
  char text[128];
  if (kl)
    std::snprintf(text, sizeof text, "kl %.5f  top1 %.4f  %.0f tok/s", sums.kl.mean(),
                  static_cast<double>(sums.sameTop) / static_cast<double>(sums.kl.count()), sums.tokensPerSecond());
  else
    std::snprintf(text, sizeof text, "perplexity %.4f  %.0f tok/s", perplexity(sums.nll), sums.tokensPerSecond());
  return text;
}

void printResult(const EvalFlags &flags, const Material &material, const Plan &plan, const Evaluation &sums, bool kl) {
  const double top1 = kl ? static_cast<double>(sums.sameTop) / static_cast<double>(sums.kl.count()) : 0;
  if (flags.json) {
    nlohmann::json out = {
        {"protocol", material.protocol},      {"tokens", sums.nll.count()},
        {"windows", material.windows.size()}, {"nll", sums.nll.mean()},
        {"perplexity", perplexity(sums.nll)}, {"perplexity_error", perplexity(sums.nll) * sums.nll.standardError()},
        {"activations", plan.activations},    {"tokens_per_second", sums.tokensPerSecond()}};
    if (kl) {
      out["kl"] = sums.kl.mean();
      out["kl_error"] = sums.kl.standardError();
      out["top1"] = top1;
      out["reference_perplexity"] = perplexity(sums.referenceNll);
    }
    printJson(out);
    return;
  }
  std::printf("protocol     %s, %zu windows, %lu tokens scored\n", material.protocol.c_str(), material.windows.size(),
              static_cast<unsigned long>(sums.nll.count()));
  std::printf("activations  %s\n", plan.activations.c_str());
  std::printf("perplexity   %.4f ± %.4f\n", perplexity(sums.nll), perplexity(sums.nll) * sums.nll.standardError());
  if (kl) {
    std::printf("reference    %.4f\n", perplexity(sums.referenceNll));
    std::printf("KL           %.6f ± %.6f nats\n", sums.kl.mean(), sums.kl.standardError());
    std::printf("top-1 equal  %.4f\n", top1);
  }
  std::printf("speed        %.1f tok/s\n", sums.tokensPerSecond());
}

int evaluateModel(const EvalFlags &flags, SessionOptions options, bool kl) {
  if (!flags.ids.empty() || !flags.text.empty())
    readText(flags.ids.empty() ? flags.text : flags.ids); // a missing file is told before anything is compiled
  if (flags.ids.empty())
    Protocol::parse(flags.protocol);
  std::shared_ptr<const Artifact> artifact = openModel(flags.model, targetForDevice(options.device));
  Material material = readMaterial(flags, *artifact);
  options.context = static_cast<uint32_t>(material.longest);
  options.allLogits = true;
  Session model(artifact, options);
  std::optional<Session> reference;
  if (kl)
    reference.emplace(openModel(flags.reference, targetForDevice(options.device)), options);
  ThreadPool pool(options.deviceOptions.threads ? options.deviceOptions.threads : usableCores());
  std::fprintf(stderr, "%s, %s, %s\n", material.protocol.c_str(), artifact->plan().activations.c_str(),
               model.device().describe().c_str());
  Progress progress("window", material.windows.size());
  Evaluation sums =
      evaluate(model, kl ? &*reference : nullptr, material.windows, material.firstScored, pool,
               [&](uint64_t done, const Evaluation &soFar) { progress.update(done, runningText(soFar, kl)); });
  progress.finish();
  printResult(flags, material, artifact->plan(), sums, kl);
  return 0;
}

} // namespace

int evalCommandMain(int argc, char **argv) {
  EvalFlags flags;
  CLI::App app;
  describeProgram(app, "eval", "Measures a compiled model on text.");
  app.add_option("model", flags.model, "M.qlr, or a model directory (compiled once, then kept)")->required();
  SessionFlags sessionFlags(app, /*context=*/false);
  app.require_subcommand(1);
  CLI::App *ppl = app.add_subcommand("perplexity", "perplexity of a text, by a named protocol");
  CLI::App *kl = app.add_subcommand("kl", "KL divergence from a reference model, and how often the top token is its");
  for (CLI::App *command : {ppl, kl}) {
    command->fallthrough();
    addMeasureFlags(*command, flags);
  }
  kl->add_option("--reference", flags.reference, "the uncompressed model: a directory or a .qlr")->required();
  if (std::optional<int> code = parseCommandLine(app, {argv, argv + argc}))
    return *code;
  return evaluateModel(flags, sessionFlags.finish(), kl->parsed());
}

} // namespace qlr
