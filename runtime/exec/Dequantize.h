// Compressed matrices as numbers again: for looking at them, never for running them.
#pragma once

#include "runtime/format/Checkpoint.h"
#include "runtime/format/Codec.h"
#include "runtime/format/QuantConfig.h"

#include <vector>

namespace qlr {

/// Codes, scales and levels of one matrix in a checkpoint.
class CodedMatrix {
public:
  /// `prefix` is e.g. "model.layers.0.self_attn.q_proj.q". Checks dtypes, shapes and levels; throws Error naming the
  /// tensor.
  CodedMatrix(const Checkpoint &checkpoint, const std::string &prefix, const Codec &codec, uint64_t rows,
              uint64_t columns);

  /// The 16 rows of `strip`, row after row without padding columns; padding rows come out as 0.
  void decodeStrip(uint64_t strip, std::vector<float> &out) const;

  /// Bytes of codes and scales.
  uint64_t bytes() const { return codes.size() + scaleBytes.size(); }

private:
  const Codec &codec;
  uint64_t rows, columns;
  std::span<const std::byte> codes, scaleBytes;
  const int8_t *levels = nullptr;
  double unit = 1;
};

/// One compressed linear: Q, L R and the rotation of its input.
class StoredLinear {
public:
  StoredLinear(const Checkpoint &checkpoint, const std::string &name, const ModuleQuant &quant);

  /// The 16 rows of `strip` of the matrix that meets the unrotated input.
  void decodeStrip(uint64_t strip, std::vector<float> &out) const;

  uint64_t strips() const { return stripCount(rows); }
  /// Bytes of everything that belongs to this module alone (signs and level tables are shared).
  uint64_t bytes() const;

private:
  void addLowRank(uint64_t strip, std::vector<float> &out) const;
  void undoRotation(std::vector<float> &out) const;

  uint64_t rows, columns;
  CodedMatrix q;
  std::vector<CodedMatrix> l; // none or one
  uint64_t factorBytes = 0;
  std::vector<float> r; // rank x columns
  uint32_t rank, rotation;
  std::span<const std::byte> signs;
};

} // namespace qlr
