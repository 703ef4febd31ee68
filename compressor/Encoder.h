//===- Encoder.h - from weights to the codes of a codec -------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The counterpart of runtime/format/Codec.h. An encoder sees tiles of 64 targets and nothing of Hessians or models.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "runtime/format/Codec.h"

#include <functional>
#include <memory>
#include <span>

namespace qlr {

/// Encodes for one codec: stateless, alive for the whole program, usable from several threads.
class Encoder {
public:
  virtual ~Encoder() = default;

  const Codec &codec() const { return target; }

  /// The level table written to the checkpoint; empty when the codec has none.
  virtual std::span<const int8_t> levels() const { return {}; }
  virtual double levelUnit() const { return 0; }

  /// The scales to begin with, [rows][codec().groupCount(columns)], from the weights [rows][columns]. A row (group) of
  /// zeros gets scale 0.
  virtual void startScales(const float *weights, size_t rows, size_t columns, float *scales) const = 0;

  /// Encodes tiles of 64 targets, given in units of their scales. `codes` gets codec().tileBytes() a tile, `values`
  /// what they decode to, in the same units.
  virtual void encode(const float *targets, size_t tiles, uint8_t *codes, float *values) const = 0;

  /// The encoder of a tiled codec; throws Error for floats, which are not encoded.
  static const Encoder &get(const Codec &codec);

protected:
  explicit Encoder(const Codec &codec) : target(codec) {}

private:
  const Codec &target;
};

/// A family offers itself here: every `<Family>Encoder.cpp` of this folder defines
/// `std::unique_ptr<Encoder> make<Family>Encoder(const Codec &)`, null for codecs of other families. The build collects
/// them, there is no list to edit.
using MakeEncoder = std::unique_ptr<Encoder> (*)(const Codec &);

/// The root of the mean square of n values.
double rootMeanSquare(const float *values, size_t n);

} // namespace qlr
