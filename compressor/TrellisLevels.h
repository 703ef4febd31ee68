//===- TrellisLevels.h - the level tables of the tile trellis codecs ------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#pragma once

#include <cstdint>
#include <vector>

namespace qlr {

/// A table of int8 levels: level·unit are the values for data of unit variance.
struct TrellisLevels {
  std::vector<int8_t> levels;
  double unit = 0;

  std::vector<float> values() const;
};

/// The committed table (TrellisLevels.inc) of a trellis; throws Error when there is none.
const TrellisLevels &trellisLevels(unsigned bits, unsigned window);

/// The seed the committed table came from.
uint64_t trellisLevelsSeed(unsigned bits, unsigned window);

/// Learns a table for N(0,1): alternates the trellis search with centroids on fixed samples, while noise on the levels
/// decays from `noise` to nothing over the first two thirds (plain alternation ends in a local optimum 3 % worse), then
/// polishes on more samples and rounds to int8. The tables are odd: level[~i] = −level[i].
struct LevelTraining {
  unsigned bits = 2;
  unsigned window = 7;
  uint64_t seed = 1;
  unsigned iterations = 1500;
  unsigned tiles = 4096;
  unsigned polishIterations = 20;
  unsigned polishTiles = 32768;
  /// 0 = the default of the bit width.
  double noise = 0;

  TrellisLevels run() const;
};

/// Mean squared error of a table on `tiles` fresh tiles of N(0,1).
double trellisError(unsigned bits, unsigned window, const TrellisLevels &levels, unsigned tiles, uint64_t seed);

} // namespace qlr
