//===- Quantize.h - block LDLQ: a matrix to codes and scales --------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#pragma once

#include "compressor/Encoder.h"
#include "compressor/Metric.h"

namespace qlr {

/// A matrix as it is stored.
struct Quantized {
  const Encoder *encoder = nullptr;
  int64_t rows = 0, columns = 0;
  std::vector<uint8_t> codes;   // [strips][column tiles][tile bytes]
  std::vector<uint16_t> scales; // F16 bits, [padded rows][groups]
  at::Tensor dense;             // [rows, columns] fp32: what codes and scales mean
  double error = 0;             // tr(E H E^T)
};

struct QuantizeOptions {
  /// Answer the error of each column tile in the targets of the later ones (LDLQ); else round to nearest.
  bool feedback = true;
  /// Rounds of coordinate descent over the column tiles after LDLQ. A tile changes only where the error falls.
  unsigned sweeps = 0;
};

/// Encodes `weights` [rows, columns] for the least error in `metric`: LDLQ from the first column tile to the last, row
/// scales refitted by weighted least squares, F16.
Quantized quantize(const at::Tensor &weights, const Encoder &encoder, const Metric &metric,
                   const QuantizeOptions &options);

/// Encodes rows by themselves: no activations are known (embedding and head).
Quantized quantizePlain(const at::Tensor &weights, const Encoder &encoder);

} // namespace qlr
