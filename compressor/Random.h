//===- Random.h - the compressor's own random numbers ---------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The standard library's distributions differ between implementations; everything random in a checkpoint comes from
// here, so that a seed means the same bytes everywhere.
//
//===----------------------------------------------------------------------===//
#pragma once

#include <cmath>
#include <cstdint>
#include <string_view>

namespace qlr {

/// SplitMix64: one multiply-xorshift chain over a counter.
class Random {
public:
  explicit Random(uint64_t seed) : state(seed) {}

  /// The stream of (seed, name): independent streams for independent things, whatever the order they are made in.
  Random(uint64_t seed, std::string_view name) : state(seed) {
    uint64_t hash = 0xcbf29ce484222325u;
    for (char c : name)
      hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
    state = next() ^ hash;
    next();
  }

  uint64_t next() {
    uint64_t z = state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }

  /// Uniform in [0, 1).
  double uniform() { return static_cast<double>(next() >> 11) * 0x1p-53; }

  /// Standard normal (Marsaglia's polar method).
  double normal() {
    if (hasSpare) {
      hasSpare = false;
      return spare;
    }
    double u, v, s;
    do {
      u = 2 * uniform() - 1;
      v = 2 * uniform() - 1;
      s = u * u + v * v;
    } while (s >= 1 || s == 0);
    double f = std::sqrt(-2 * std::log(s) / s);
    spare = v * f;
    hasSpare = true;
    return u * f;
  }

private:
  uint64_t state;
  double spare = 0;
  bool hasSpare = false;
};

} // namespace qlr
