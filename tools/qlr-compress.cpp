//===- qlr-compress.cpp - compress a Qwen2 checkpoint ---------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "compressor/Compress.h"
#include "runtime/format/Error.h"

#include <CLI/CLI.hpp>
#include <atomic>
#include <csignal>
#include <iostream>

namespace {

std::atomic<bool> interrupted = false;

/// The first signal ends the program between two steps, the second at once.
void onSignal(int signal) {
  interrupted = true;
  std::signal(signal, SIG_DFL);
}

int run(int argc, char **argv) {
  qlr::CompressOptions options;
  CLI::App app("Compress a Qwen2 model directory: y = Q x' + L (R x') + b, x' = H (s * x)", "qlr compress");
  app.set_version_flag("--version", "qlr-compress " QLR_VERSION);
  app.add_option("MODEL_DIR", options.model, "Hugging Face directory of an uncompressed model")->required();
  app.add_option("-o,--out", options.out, "directory to write; must not exist, or be empty")->required();
  app.add_option("--config", options.configuration, "JSON file of settings and overrides");
  app.add_option("--codec", options.flags.codec, "codec of the linears (default trellis2)");
  app.add_option("--rank", options.flags.rank, "rank of the low-rank branch (default 0: none)");
  app.add_option("--factors", options.flags.factors, "codec of the low-rank factors (default int4)");
  app.add_option("--calib", options.calibration, "calibration text, one or more files")->expected(1, -1);
  app.add_option("--calib-windows", options.windows, "windows of calibration text")->capture_default_str();
  app.add_option("--calib-length", options.length, "tokens of a window")->capture_default_str();
  app.add_option("--seed", options.seed, "seed of the rotations' signs and of random starts")->capture_default_str();
  app.add_option("--work", options.work, "work directory, kept (default: OUT_DIR.work, removed when done)");
  app.add_option("--threads", options.threads, "CPU threads (default: all cores)")->check(CLI::Range(1, 1024));
  app.add_flag("--resume", options.resume, "go on from the work directory of an interrupted run");
  app.add_flag("--dry-run", options.dryRun, "say memory, disk and time, and stop");
  CLI11_PARSE(app, argc, argv);
  std::signal(SIGINT, onSignal);
  std::signal(SIGTERM, onSignal);
  qlr::compress(options, [] { return interrupted.load(); });
  return 0;
}

} // namespace

int main(int argc, char **argv) {
  try {
    return run(argc, argv);
  } catch (const std::exception &error) {
    std::cerr << "error: " << error.what() << "\n";
    return 1;
  }
}
