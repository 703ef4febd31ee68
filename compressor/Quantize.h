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

/// A matrix while it is encoded, improved step by step. All matrices are padded to whole tiles; rows and columns of
/// padding have target 0. Metrics are given as Metric::h(), fp32 and padded.
class TileQuantizer {
public:
  /// Begins with the encoder's scales and no codes. `weights` is [rows, columns].
  TileQuantizer(const at::Tensor &weights, const Encoder &encoder);

  /// Other weights of the same shape from now on; codes and scales stay as they are.
  void retarget(const at::Tensor &weights);
  /// Encodes every tile, from the first column to the last, refits the row scales, and descends.
  void encode(const Metric &metric, const QuantizeOptions &options);
  /// A round of coordinate descent: codes of each column tile given all others, taken where tr(E H E^T) falls, then the
  /// row scales of least error (groups keep theirs).
  void descend(const at::Tensor &h);
  /// Encodes every tile by itself, without a metric.
  void encodePlain();

  /// [rows, columns] fp32: what codes and scales mean.
  at::Tensor dense() const;
  /// The result; its error is 0 without a metric.
  Quantized finish(const Metric *metric) const;

private:
  void ldlq(const Metric &metric, bool feedback);
  void sweep(const at::Tensor &h);
  void refitRowScales(const at::Tensor &h);
  at::Tensor scaleAt(int64_t column) const;
  at::Tensor dequantized() const;
  void roundScales();
  at::Tensor encodeTiles(const at::Tensor &targets, int64_t column, std::vector<uint8_t> &tileCodes) const;
  void put(int64_t column, const at::Tensor &found, const std::vector<uint8_t> &tileCodes,
           const std::vector<uint8_t> *strips = nullptr);

  const Encoder *encoder;
  int64_t rows, columns;
  at::Tensor w, values, scales; // [padded rows, padded columns], values in units of scales [padded rows, groups]
  size_t tileBytes;
  int64_t columnTiles;
  std::vector<uint8_t> codes;
};

/// Encodes `weights` [rows, columns] for the least error in `metric`: LDLQ from the first column tile to the last, row
/// scales refitted by weighted least squares, F16.
Quantized quantize(const at::Tensor &weights, const Encoder &encoder, const Metric &metric,
                   const QuantizeOptions &options);

/// Encodes rows by themselves: no activations are known (embedding and head).
Quantized quantizePlain(const at::Tensor &weights, const Encoder &encoder);

} // namespace qlr
