//===- Rotation.h - randomized block Hadamard rotation of an input --------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#pragma once

#include <ATen/core/Tensor.h>
#include <cstdint>
#include <string>
#include <vector>

namespace qlr {

/// x' = H (s ⊙ x) / √h in blocks of h columns, H the Sylvester matrix of order h. Orthogonal, so weights rotate like
/// activations: W x = W' x' with each row of W' the rotated row of W.
class Rotation {
public:
  /// No rotation.
  Rotation() = default;
  /// Signs from (seed, name of the input); blocks of the largest power of two <= limit that divides `columns`.
  Rotation(uint64_t seed, const std::string &input, uint64_t columns, uint32_t limit);

  uint32_t block() const { return h; }
  /// Rotates the last dimension.
  at::Tensor apply(const at::Tensor &x) const;
  at::Tensor undo(const at::Tensor &x) const;
  /// E[x' y'^T] from E[x y^T], both sides rotated.
  at::Tensor applyToMoment(const at::Tensor &moment) const;
  /// One bit a column, the first in the lowest bit, 1 = negative.
  const std::vector<uint8_t> &packedSigns() const { return packed; }

private:
  at::Tensor mix(const at::Tensor &x) const;

  uint32_t h = 0;
  at::Tensor signs, hadamard; // fp64
  std::vector<uint8_t> packed;
};

} // namespace qlr
