//===- IntEncoder.cpp - int2, int3, int4, int8, by row or by group --------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "compressor/Encoder.h"

#include <algorithm>
#include <cmath>

namespace qlr {
namespace {

class IntEncoder final : public Encoder {
public:
  explicit IntEncoder(const Codec &codec) : Encoder(codec), bits(codec.bits()) {}

  void startScales(const float *weights, size_t rows, size_t columns, float *scales) const override {
    size_t groups = codec().groupCount(columns);
    size_t width = codec().group() ? codec().group() : columns;
    for (size_t r = 0; r < rows; ++r)
      for (size_t g = 0; g < groups; ++g) {
        const float *w = weights + r * columns + g * width;
        size_t n = std::min(width, columns - g * width);
        scales[r * groups + g] = static_cast<float>(startScale(w, n));
      }
  }

  void encode(const float *targets, size_t tiles, uint8_t *codes, float *values) const override {
    for (size_t t = 0; t < tiles; ++t) {
      uint8_t fields[tileWeights];
      for (unsigned i = 0; i < tileWeights; ++i) {
        fields[i] = field(targets[t * tileWeights + i]);
        values[t * tileWeights + i] = value(fields[i]);
      }
      packTile(fields, bits, codes + t * codec().tileBytes());
    }
  }

private:
  /// The step of least error on N(0,1) for a whole row. Groups are short and 8 bits reach far into the tails, so there
  /// the step is searched.
  double startScale(const float *w, size_t n) const {
    if (codec().group() == 0 && bits < 8) {
      constexpr double steps[] = {0, 0, 0.9957, 0.5860, 0.3352};
      return steps[bits] * rootMeanSquare(w, n);
    }
    return searchScale(w, n);
  }

  double searchScale(const float *w, size_t n) const {
    double largest = 0;
    for (size_t i = 0; i < n; ++i)
      largest = std::max(largest, std::abs(double(w[i])));
    if (largest == 0)
      return 0;
    double full = largest / (bits == 8 ? 127.0 : (1 << (bits - 1)) - 0.5);
    double best = full, least = squaredError(w, n, full);
    for (double share = 0.35; share < 1.0; share += 0.05) {
      double scale = full * share;
      for (int i = 0; i < 3; ++i) {
        if (double error = squaredError(w, n, scale); error < least) {
          least = error;
          best = scale;
        }
        scale = refit(w, n, scale);
      }
    }
    return best;
  }

  double squaredError(const float *w, size_t n, double scale) const {
    double sum = 0;
    for (size_t i = 0; i < n; ++i) {
      double d = w[i] - scale * value(field(static_cast<float>(w[i] / scale)));
      sum += d * d;
    }
    return sum;
  }

  /// The scale of least error for the codes that `scale` gives.
  double refit(const float *w, size_t n, double scale) const {
    double dot = 0, square = 0;
    for (size_t i = 0; i < n; ++i) {
      double v = value(field(static_cast<float>(w[i] / scale)));
      dot += v * w[i];
      square += v * v;
    }
    return dot > 0 ? dot / square : scale;
  }

  uint8_t field(float target) const {
    if (bits == 8)
      return static_cast<uint8_t>(128 + std::clamp(std::nearbyintf(target), -127.0f, 127.0f));
    float half = static_cast<float>(1 << (bits - 1));
    return static_cast<uint8_t>(std::clamp(std::floor(target + half), 0.0f, 2 * half - 1));
  }

  float value(uint8_t q) const {
    return bits == 8 ? static_cast<float>(q - 128) : static_cast<float>(q) - static_cast<float>(1 << (bits - 1)) + 0.5f;
  }

  unsigned bits;
};

} // namespace

std::unique_ptr<Encoder> makeIntEncoder(const Codec &codec) {
  if (codec.isFloat() || codec.levelCount())
    return nullptr;
  return std::make_unique<IntEncoder>(codec);
}

} // namespace qlr
