//===- Compress.h - a model directory to a compressed checkpoint ----------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#pragma once

#include "compressor/CompressConfig.h"

#include <functional>

namespace qlr {

struct CompressOptions {
  std::string model, out, configuration;
  CompressConfig::Flags flags;
  std::vector<std::string> calibration;
  uint64_t windows = 192, length = 256;
  uint64_t seed = 1;
  std::string work; // empty: beside `out`, removed at the end
  bool resume = false, dryRun = false;
  unsigned threads = 0; // 0 = the CPU's cores
};

/// What a compression will need, from shapes alone and a short measurement of this machine.
struct CompressEstimate {
  double memoryBytes = 0, workBytes = 0, outputBytes = 0, seconds = 0;
  double bitsPerWeight = 0; // of the decoder's linears, all their metadata included
  std::string text() const;
};

/// Runs a compression, or only says what it needs. Progress goes to standard error. `interrupted` is asked between
/// steps; where it says so, Error is thrown and the finished layers stay in the work directory.
void compress(const CompressOptions &options, const std::function<bool()> &interrupted);

} // namespace qlr
