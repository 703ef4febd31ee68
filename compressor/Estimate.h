//===- Estimate.h - memory, disk and time before a compression ------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#pragma once

#include "compressor/Compress.h"

namespace qlr {

/// `windows` x `length` tokens of calibration.
CompressEstimate estimateCompression(const ModelConfig &model, const CompressConfig &config, uint64_t windows,
                                     uint64_t length);

/// "12 s", "3 min 20 s", "1 h 02 min".
std::string durationText(double seconds);

/// "1.24 GB", "13.1 MB" (powers of ten).
std::string bytesText(double bytes);

} // namespace qlr
