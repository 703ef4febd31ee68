#include "runtime/exec/BenchCommand.h"

#include "runtime/exec/CommandLine.h"
#include "runtime/exec/Memory.h"
#include "runtime/exec/ModelStore.h"
#include "runtime/exec/Scoring.h"
#include "runtime/format/Error.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <map>

namespace qlr {
namespace {

struct BenchFlags {
  std::string model, output = "md";
  uint32_t prompt = 512, generate = 128, repetitions = 5;
  double bandwidth = 0;
  bool profile = false;
};

/// One line of the table.
struct BenchResult {
  std::string test;
  std::vector<double> tokensPerSecond; // of each repetition
  uint64_t weightBytes = 0;            // that one repetition reads
  uint64_t tokens = 0;

  double median() const {
    std::vector<double> sorted = tokensPerSecond;
    std::sort(sorted.begin(), sorted.end());
    size_t middle = sorted.size() / 2;
    return sorted.size() % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
  }
  double mean() const {
    double sum = 0;
    for (double value : tokensPerSecond)
      sum += value;
    return sum / static_cast<double>(tokensPerSecond.size());
  }
  double deviation() const {
    double sum = 0;
    for (double value : tokensPerSecond)
      sum += (value - mean()) * (value - mean());
    return tokensPerSecond.size() < 2 ? 0 : std::sqrt(sum / static_cast<double>(tokensPerSecond.size() - 1));
  }
  /// GB/s of weights at the median speed, as the plan counts them.
  double weightGigabytes() const {
    return median() * static_cast<double>(weightBytes) / static_cast<double>(tokens) / 1e9;
  }
};

/// Ids that look like text to nobody but visit many rows of the embedding.
std::vector<uint32_t> benchIds(uint32_t count, uint32_t vocab) {
  std::vector<uint32_t> ids(count);
  uint32_t state = 1;
  for (uint32_t &id : ids) {
    state = state * 1664525u + 1013904223u;
    id = static_cast<uint32_t>((uint64_t{state} * vocab) >> 32);
  }
  return ids;
}

/// One repetition: seconds for `tokens` tokens, as one prompt or one by one.
double measure(Session &session, const std::vector<uint32_t> &ids, bool prompt) {
  session.reset();
  double begin = now();
  if (prompt)
    session.append(ids);
  else
    for (const uint32_t &id : ids)
      session.append(std::span(&id, 1));
  return now() - begin;
}

BenchResult benchmark(Session &session, uint32_t tokens, bool prompt, uint32_t repetitions) {
  BenchResult result;
  result.test = (prompt ? "pp" : "tg") + std::to_string(tokens);
  result.tokens = tokens;
  std::vector<uint32_t> ids = benchIds(tokens, session.vocab());
  std::vector<uint32_t> warmUp(ids.begin(), ids.begin() + std::min<size_t>(ids.size(), prompt ? tokens : 8));
  measure(session, warmUp, prompt);
  for (uint32_t i = 0; i < repetitions; ++i) {
    uint64_t before = session.weightBytesRead();
    result.tokensPerSecond.push_back(tokens / measure(session, ids, prompt));
    result.weightBytes = session.weightBytesRead() - before;
  }
  return result;
}

void print(const BenchFlags &flags, const Session &session, const std::string &device,
           const std::vector<BenchResult> &results) {
  const std::string model = std::filesystem::path(flags.model).filename().string();
  const uint64_t size = session.plan().weightsBytes;
  auto share = [&](const BenchResult &r) { return r.weightGigabytes() / flags.bandwidth; };
  if (flags.output == "json") {
    nlohmann::json rows = nlohmann::json::array();
    for (const BenchResult &r : results) {
      rows.push_back({{"test", r.test},
                      {"tokens", r.tokens},
                      {"tokens_per_second", r.median()},
                      {"mean", r.mean()},
                      {"deviation", r.deviation()},
                      {"samples", r.tokensPerSecond},
                      {"weight_bytes_per_token", static_cast<double>(r.weightBytes) / static_cast<double>(r.tokens)},
                      {"weight_gigabytes_per_second", r.weightGigabytes()}});
      if (flags.bandwidth > 0)
        rows.back()["share_of_bandwidth"] = share(r);
    }
    printJson({{"model", model},
               {"weights", size},
               {"device", device},
               {"activations", session.plan().activations},
               {"form", session.plan().form},
               {"results", rows}});
    return;
  }
  const bool csv = flags.output == "csv";
  if (csv)
    std::printf("model,weights,test,tokens_per_second,mean,deviation,weight_gigabytes_per_second%s\n",
                flags.bandwidth > 0 ? ",share_of_bandwidth" : "");
  else {
    std::printf("%s\n\n", device.c_str());
    std::printf("| model | weights | test | t/s (median) | t/s (mean ± sd) | weights GB/s |%s\n",
                flags.bandwidth > 0 ? " of bandwidth |" : "");
    std::printf("|---|---:|---|---:|---:|---:|%s\n", flags.bandwidth > 0 ? "---:|" : "");
  }
  for (const BenchResult &r : results) {
    char tail[48] = "";
    if (flags.bandwidth > 0)
      std::snprintf(tail, sizeof tail, csv ? ",%.4f" : " %.3f |", share(r));
    if (csv)
      std::printf("%s,%lu,%s,%.4f,%.4f,%.4f,%.4f%s\n", model.c_str(), size, r.test.c_str(), r.median(), r.mean(),
                  r.deviation(), r.weightGigabytes(), tail);
    else
      std::printf("| %s | %s | %s | %.2f | %.2f ± %.2f | %.2f |%s\n", model.c_str(), formatBytes(size).c_str(),
                  r.test.c_str(), r.median(), r.mean(), r.deviation(), r.weightGigabytes(), tail);
  }
}

/// Where the time of one launch goes, steps of the same kernel added up: on standard error, for people who tune.
void printProfile(Session &session, bool prompt) {
  uint32_t tokens = prompt ? session.chunkTokens(Plan::maxTokens) : 1;
  std::vector<uint32_t> ids = benchIds(tokens, session.vocab());
  struct Row {
    double seconds = 0;
    uint64_t bytes = 0;
    size_t launches = 0;
    std::string source;
  };
  std::map<uint32_t, Row> rows;
  const TokenPlan &plan = *session.tokenPlan(tokens);
  session.device().setProfiling(true);
  const unsigned rounds = prompt ? 2 : 10;
  double total = 0;
  for (unsigned round = 0; round < rounds; ++round) {
    session.reset();
    session.append(ids);
    for (const StepTime &time : session.device().profile()) {
      Row &row = rows[plan.steps[time.step].kernel];
      row.seconds += time.seconds / rounds;
      total += time.seconds / rounds;
      if (round == 0) {
        row.bytes += plan.steps[time.step].weightBytes;
        ++row.launches;
        if (row.source.empty())
          row.source = plan.steps[time.step].source;
      }
    }
  }
  session.device().setProfiling(false);
  std::vector<std::pair<uint32_t, Row>> sorted(rows.begin(), rows.end());
  std::sort(sorted.begin(), sorted.end(), [](auto &a, auto &b) { return a.second.seconds > b.second.seconds; });
  std::fprintf(stderr, "%u token%s: %.3f ms\n", tokens, tokens == 1 ? "" : "s", total * 1e3);
  for (const auto &[kernel, row] : sorted)
    std::fprintf(stderr, "%9.3f ms %5.1f %%  x%-4zu %7.2f GB/s  %s  %s\n", row.seconds * 1e3, row.seconds / total * 100,
                 row.launches, static_cast<double>(row.bytes) / row.seconds / 1e9,
                 session.plan().kernels[kernel].name.c_str(), row.source.c_str());
}

} // namespace

int benchCommandMain(int argc, char **argv) {
  BenchFlags flags;
  CLI::App app;
  describeProgram(app, "bench", "Measures the speed of a compiled model: prompt (pp) and generation (tg).");
  app.add_option("model", flags.model, "M.qlr, or a model directory (compiled once, then kept)")->required();
  app.add_option("-p,--n-prompt", flags.prompt, "tokens of the prompt; 0 = leave out")->capture_default_str();
  app.add_option("-n,--n-gen", flags.generate, "tokens to generate; 0 = leave out")->capture_default_str();
  app.add_option("-r,--repetitions", flags.repetitions, "repetitions after a warm-up")
      ->capture_default_str()
      ->check(CLI::Range(1u, 10000u));
  app.add_option("-o,--output", flags.output, "md, json or csv")
      ->capture_default_str()
      ->check(CLI::IsMember({"md", "json", "csv"}));
  app.add_flag_callback("--json", [&] { flags.output = "json"; }, "the same as -o json");
  app.add_option("--bandwidth", flags.bandwidth, "read bandwidth in GB/s, to show the share of it");
  app.add_flag("--profile", flags.profile, "also show the time of each kernel, on standard error");
  SessionFlags sessionFlags(app, /*context=*/false);
  if (std::optional<int> code = parseCommandLine(app, {argv, argv + argc}))
    return *code;
  if (flags.prompt == 0 && flags.generate == 0)
    fail({.found = "-p 0 and -n 0", .expected = "something to measure"});
  SessionOptions options = sessionFlags.finish();
  options.context = std::max({flags.prompt, flags.generate, Plan::maxTokens});
  std::shared_ptr<const Artifact> artifact = openModel(flags.model, targetForDevice(options.device));
  if (flags.prompt <= artifact->plan().model.maxPositions && flags.generate <= artifact->plan().model.maxPositions)
    options.context = std::min(*options.context, artifact->plan().model.maxPositions);
  Session session(artifact, options);
  std::vector<BenchResult> results;
  if (flags.prompt)
    results.push_back(benchmark(session, flags.prompt, true, flags.repetitions));
  if (flags.generate)
    results.push_back(benchmark(session, flags.generate, false, flags.repetitions));
  print(flags, session, session.device().describe(), results);
  if (flags.profile)
    for (bool prompt : {true, false})
      if (prompt ? flags.prompt : flags.generate)
        printProfile(session, prompt);
  return 0;
}

} // namespace qlr
