// Measures decode and prefill of host artifacts as shares of this machine's read bandwidth, all in one interleaved run.
#include "runtime/exec/Session.h"
#include "runtime/exec/ThreadPool.h"
#include "runtime/format/Error.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <immintrin.h>
#include <map>
#include <nlohmann/json.hpp>

using namespace qlr;

namespace {

using ReadLoop = uint64_t (*)(const std::byte *, size_t);

double seconds() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

/// Sums 64-byte lines in `Streams` places at once, `Ahead` bytes prefetched (0: left to the hardware).
template <int Streams, int Ahead>
__attribute__((target("avx2"))) uint64_t readAvx2(const std::byte *data, size_t bytes) {
  const size_t part = bytes / Streams / 64 * 64;
  __m256i sum[2 * Streams] = {};
  for (size_t at = 0; at < part; at += 64)
    for (int s = 0; s < Streams; ++s) {
      const std::byte *line = data + s * part + at;
      if (Ahead)
        _mm_prefetch(reinterpret_cast<const char *>(line + Ahead), _MM_HINT_T0);
      sum[2 * s] = _mm256_add_epi64(sum[2 * s], _mm256_loadu_si256(reinterpret_cast<const __m256i *>(line)));
      sum[2 * s + 1] =
          _mm256_add_epi64(sum[2 * s + 1], _mm256_loadu_si256(reinterpret_cast<const __m256i *>(line + 32)));
    }
  for (int s = 1; s < 2 * Streams; ++s)
    sum[0] = _mm256_add_epi64(sum[0], sum[s]);
  return static_cast<uint64_t>(_mm256_extract_epi64(sum[0], 0)) +
         static_cast<uint64_t>(_mm256_extract_epi64(sum[0], 2));
}

constexpr struct {
  const char *name;
  ReadLoop loop;
} kReadLoops[] = {{"1 stream", readAvx2<1, 0>},
                  {"1 stream, prefetched", readAvx2<1, 1024>},
                  {"4 streams", readAvx2<4, 0>},
                  {"4 streams, prefetched", readAvx2<4, 512>}};

/// GB/s of the fastest read loop over `data`, two threads and all.
double readBandwidth(ThreadPool &pool, std::span<const std::byte> data) {
  double best = 0;
  for (auto &[name, loop] : kReadLoops) {
    std::atomic<uint64_t> sink{0};
    const size_t part = data.size() / pool.size() / 64 * 64;
    const double start = seconds();
    pool.run([&](unsigned thread) { sink += loop(data.data() + thread * part, part); });
    best = std::max(best, part * pool.size() / (seconds() - start) / 1e9);
  }
  return best;
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values.empty() ? 0 : values[values.size() / 2];
}

struct Case {
  std::string name, level;
  std::unique_ptr<Session> session;
  uint64_t decodeBytes = 0;
  std::vector<double> bandwidth, share, decode, prefill;
  /// Seconds a call takes in one round, by kernel; of decode and of prefill.
  std::map<std::string, std::vector<double>> decodeKernels, prefillKernels;
};

/// Appends `tokens` with every launch timed, and adds each kernel's mean seconds a call to `times`.
void timeKernels(Session &session, std::span<const uint32_t> tokens, unsigned repeat,
                 std::map<std::string, std::vector<double>> &times) {
  const TokenPlan &plan = *session.tokenPlan(tokens.size());
  std::map<std::string, std::pair<double, unsigned>> sums;
  session.device().setProfiling(true);
  for (unsigned i = 0; i < repeat; ++i) {
    session.append(tokens);
    for (const StepTime &time : session.device().profile()) {
      auto &[seconds, calls] = sums[session.plan().kernels[plan.steps[time.step].kernel].name];
      seconds += time.seconds;
      ++calls;
    }
  }
  session.device().setProfiling(false);
  for (auto &[name, sum] : sums)
    times[name].push_back(sum.first / sum.second);
}

/// Where a decode step's time goes: per kernel its calls, its time and its bytes a second.
void printProfile(Session &session, uint32_t token) {
  const TokenPlan &tokens = *session.tokenPlan(1);
  struct Sum {
    unsigned calls = 0;
    double time = 0;
    uint64_t bytes = 0;
  };
  std::map<std::string, Sum> kernels;
  session.device().setProfiling(true);
  for (int i = 0; i < 5; ++i) {
    session.append(std::span(&token, 1));
    for (const StepTime &time : session.device().profile()) {
      const PlanStep &step = tokens.steps[time.step];
      Sum &sum = kernels[session.plan().kernels[step.kernel].name];
      ++sum.calls;
      sum.time += time.seconds;
      sum.bytes += step.weightBytes;
    }
  }
  session.device().setProfiling(false);
  std::fprintf(stderr, "%-40s %6s %10s %8s\n", "kernel", "calls", "us/call", "GB/s");
  for (auto &[name, sum] : kernels)
    std::fprintf(stderr, "%-40s %6u %10.1f %8.2f\n", name.c_str(), sum.calls / 5, sum.time / sum.calls * 1e6,
                 sum.bytes / sum.time / 1e9);
}

} // namespace

int main(int argc, char **argv) {
  CLI::App app("Decode and prefill of host artifacts as shares of read bandwidth, interleaved with read loops");
  std::vector<std::string> artifacts, levels = {"avx512", "avx2"};
  unsigned rounds = 9, threads = 0, steps = 3;
  bool prefill = true, profile = false, kernels = false;
  app.add_option("artifacts", artifacts, "compiled models (.qlr)")->required();
  app.add_option("--levels", levels, "CPU levels to run")->delimiter(',');
  app.add_option("--rounds", rounds, "interleaved rounds; medians are over rounds");
  app.add_option("--steps", steps, "decode steps a round");
  app.add_option("--threads", threads, "threads; 0 = all cores");
  app.add_flag("!--no-prefill", prefill, "leave the 128-token prefill out");
  app.add_flag("--profile", profile, "first print where the time of a decode step goes, kernel by kernel");
  app.add_flag("--kernels", kernels, "time every kernel in every round too and report the medians");
  app.set_version_flag("--version", "qlr " QLR_VERSION);
  CLI11_PARSE(app, argc, argv);
  try {
    ThreadPool pool(threads ? threads : std::thread::hardware_concurrency());
    std::vector<Case> cases;
    for (const std::string &path : artifacts) {
      auto artifact = std::make_shared<const Artifact>(Artifact::open(path));
      for (const std::string &level : levels) {
        Case one;
        one.name = std::filesystem::path(path).stem().string();
        one.level = level;
        SessionOptions options;
        options.deviceOptions.threads = threads;
        options.deviceOptions.cpuLevel = level;
        options.context = 256;
        one.session = std::make_unique<Session>(artifact, options);
        one.decodeBytes = weightBytesOf(*one.session->tokenPlan(1));
        cases.push_back(std::move(one));
      }
    }
    std::vector<uint32_t> prompt(128);
    for (unsigned i = 0; i < prompt.size(); ++i)
      prompt[i] = (i * 7919) % cases.front().session->vocab();
    const uint32_t token = 42;
    if (profile)
      for (Case &one : cases) {
        std::fprintf(stderr, "%s %s\n", one.name.c_str(), one.level.c_str());
        one.session->append(std::span(&token, 1));
        printProfile(*one.session, token);
      }
    for (unsigned round = 0; round <= rounds; ++round)
      for (Case &one : cases) {
        Session &session = *one.session;
        const double read = readBandwidth(pool, session.artifact().weights());
        session.reset();
        session.append(std::span(&token, 1));
        double start = seconds();
        for (unsigned i = 0; i < steps; ++i)
          session.append(std::span(&token, 1));
        const double step = (seconds() - start) / steps;
        double chunk = 0;
        if (prefill) {
          session.reset();
          start = seconds();
          session.append(prompt);
          chunk = seconds() - start;
        }
        if (kernels && round > 0) {
          session.reset();
          timeKernels(session, std::span(&token, 1), steps, one.decodeKernels);
          if (prefill && session.tokenPlan(prompt.size())) {
            session.reset();
            timeKernels(session, prompt, 1, one.prefillKernels);
          }
        }
        if (round == 0) // warms caches and maps pages
          continue;
        const double rate = one.decodeBytes / step / 1e9;
        one.bandwidth.push_back(read);
        one.share.push_back(rate / read);
        one.decode.push_back(step);
        one.prefill.push_back(chunk);
        std::fprintf(stderr, "round %u %s %s: read %.1f GB/s, decode %.1f GB/s\n", round, one.name.c_str(),
                     one.level.c_str(), read, rate);
      }
    nlohmann::json rows = nlohmann::json::array();
    for (Case &one : cases) {
      const double share = median(one.share), step = median(one.decode), chunk = median(one.prefill);
      nlohmann::json row = {{"model", one.name},
                            {"level", one.level},
                            {"threads", pool.size()},
                            {"decode_bytes", one.decodeBytes},
                            {"read_gb_per_s", median(one.bandwidth)},
                            {"decode_gb_per_s", one.decodeBytes / step / 1e9},
                            {"share", share},
                            {"decode_tokens_per_s", 1 / step},
                            {"valid", share <= 1}};
      if (prefill)
        row["prefill_tokens_per_s"] = 128 / chunk;
      for (auto [name, times] :
           {std::pair("decode_kernels", &one.decodeKernels), {"prefill_kernels", &one.prefillKernels}})
        for (auto &[kernel, seconds] : *times)
          row[name][kernel] = median(seconds);
      rows.push_back(std::move(row));
    }
    std::printf("%s\n", nlohmann::json{{"rounds", rounds}, {"rows", rows}}.dump(1).c_str());
  } catch (const std::exception &error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return 1;
  }
  return 0;
}
