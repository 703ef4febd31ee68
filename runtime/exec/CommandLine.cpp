#include "runtime/exec/CommandLine.h"

#include "runtime/exec/Memory.h"
#include "runtime/format/Error.h"
#include "runtime/format/MappedFile.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <iostream>
#include <iterator>
#include <new>
#include <unistd.h>

namespace qlr {

int runMain(const std::function<int()> &command) {
  try {
    return command();
  } catch (const Error &error) {
    std::fflush(stdout);
    std::fprintf(stderr, "error: %s\n", error.what());
  } catch (const std::bad_alloc &) {
    std::fprintf(stderr, "error: out of memory\n");
  } catch (const std::exception &error) {
    std::fprintf(stderr, "error: %s\n", error.what());
  }
  return 1;
}

void describeProgram(CLI::App &app, const std::string &verb, const std::string &what) {
  app.description(what);
  app.name("qlr " + verb);
  app.set_version_flag("--version", "qlr " + verb + " " QLR_VERSION);
  app.get_formatter()->column_width(34);
}

std::optional<int> parseCommandLine(CLI::App &app, std::vector<std::string> arguments) {
  // CLI11 takes the arguments without the program's name, last one first.
  arguments.erase(arguments.begin());
  std::reverse(arguments.begin(), arguments.end());
  try {
    app.parse(arguments);
  } catch (const CLI::Success &stop) {
    return app.exit(stop);
  } catch (const CLI::ParseError &error) {
    std::fprintf(stderr, "error: %s (see --help)\n", error.what());
    return 2;
  }
  return std::nullopt;
}

void addPlacementFlags(CLI::App &app, DeviceOptions &options) {
  app.add_option("--embedding", options.embedding,
                 "on a GPU, keep the embedding in host or device memory (default host)")
      ->check(CLI::IsMember({"host", "device"}));
  app.add_option("--head", options.head, "on a GPU, keep the output head in host or device memory (default device)")
      ->check(CLI::IsMember({"host", "device"}));
}

SessionFlags::SessionFlags(CLI::App &app, bool context) {
  app.add_option(
      "--device", options.device,
      "host, cuda, cuda:N or emulator; see --list-devices of qlr run (default: what the model was compiled for)");
  app.add_option("-t,--threads", options.deviceOptions.threads, "threads (default: every core)")
      ->check(CLI::Range(1, 1024));
  app.add_option("--cpu-level", options.deviceOptions.cpuLevel, "instruction set of the kernels: avx2 or avx512");
  app.add_option("--memory-limit", memoryLimit, "take no more memory than this, e.g. 22GB");
  addPlacementFlags(app, options.deviceOptions);
  if (context)
    app.add_option("-c,--ctx-size", options.context,
                   "tokens of context; 0 = as many as model and memory allow (default: up to 4096)");
}

SessionOptions SessionFlags::finish() const {
  SessionOptions result = options;
  if (!memoryLimit.empty())
    result.deviceOptions.memoryLimit = parseByteSize(memoryLimit, "--memory-limit");
  return result;
}

void printJson(const nlohmann::json &value) {
  std::string text = value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
  std::fwrite(text.data(), 1, text.size(), stdout);
  if (std::fflush(stdout) != 0)
    fail({.file = "standard output", .found = "a failed write", .expected = "room for the result"});
}

std::string readText(const std::string &path) {
  if (path == "-")
    return {std::istreambuf_iterator<char>(std::cin), {}};
  return std::string(MappedFile::open(path).text());
}

double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

std::string formatDuration(double seconds) {
  char text[64];
  uint64_t whole = static_cast<uint64_t>(seconds + 0.5);
  if (whole >= 3600)
    std::snprintf(text, sizeof text, "%lu h %02lu min", whole / 3600, whole / 60 % 60);
  else if (whole >= 60)
    std::snprintf(text, sizeof text, "%lu min %02lu s", whole / 60, whole % 60);
  else
    std::snprintf(text, sizeof text, "%lu s", whole);
  return text;
}

Progress::Progress(std::string unitName, uint64_t count)
    : unit(std::move(unitName)), total(count), begin(now()), terminal(isatty(STDERR_FILENO)) {}

void Progress::update(uint64_t done, const std::string &text) {
  double time = now();
  // A terminal can take ten lines a second; a log file wants about twenty for the whole job.
  bool due = done == total || (terminal ? time - last > 0.1 : done * 20 / total > shown);
  if (!due)
    return;
  last = time;
  shown = done * 20 / total;
  double left = done ? (time - begin) / static_cast<double>(done) * static_cast<double>(total - done) : 0;
  std::fprintf(stderr, "%s%s %lu/%lu  %s%s%s%s", terminal ? "\r\033[K" : "", unit.c_str(), done, total, text.c_str(),
               done == total ? "" : "  ETA ", done == total ? "" : formatDuration(left).c_str(), terminal ? "" : "\n");
  std::fflush(stderr);
}

void Progress::finish() {
  if (terminal)
    std::fputc('\n', stderr);
}

} // namespace qlr
