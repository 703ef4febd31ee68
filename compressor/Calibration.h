//===- Calibration.h - token windows of the calibration text --------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#pragma once

#include "runtime/format/ModelConfig.h"

#include <cstdint>
#include <string>
#include <vector>

namespace qlr {

/// The first `windows` windows of `length` tokens of the texts, one after another.
struct Calibration {
  std::vector<uint32_t> ids; // [windows][length]
  uint64_t windows = 0, length = 0;

  /// XXH64 of the ids.
  std::string hash() const;
};

/// Reads and tokenizes the files with the model's tokenizer. Fewer windows than asked for are taken where the text is
/// short (the caller says so); throws Error where there is not even one.
Calibration loadCalibration(const std::string &modelDir, const ModelConfig &model,
                            const std::vector<std::string> &files, uint64_t windows, uint64_t length);

} // namespace qlr
