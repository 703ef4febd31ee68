//===- LowRank.h - W ~ Q + L R in the metric of the activations -----------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#pragma once

#include "compressor/Quantize.h"

#include <optional>

namespace qlr {

/// L [rows, rank] and R [rank, columns], fp32.
struct LowRankPair {
  at::Tensor l, r;
};

/// The L R of least tr((A - L R) H (A - L R)^T): L spans the top eigenvectors of A H A^T, R = L^T A, and no inverse or
/// root of H is needed. Subspace iteration from seeded random columns; the singular values are shared evenly by both
/// factors.
LowRankPair bestLowRank(const at::Tensor &a, const Metric &metric, int64_t rank, uint64_t seed);

/// The best L for a given R: A H R^T (R H R^T)^-1.
at::Tensor leftGivenRight(const at::Tensor &a, const Metric &metric, const at::Tensor &r);
/// The best R for a given L: L^+ A; H cancels.
at::Tensor rightGivenLeft(const at::Tensor &a, const at::Tensor &l);

/// H - (1 - kept) H R^T (R H R^T)^-1 R H, fp32 and padded like Metric::h(). With kept = 0, tr(E H' E^T) is what the
/// best L for this R leaves of an error E = W - Q.
at::Tensor hessianWithoutLeft(const Metric &metric, const at::Tensor &r, double kept);

/// Both factors as they are stored.
struct QuantizedPair {
  Quantized l, r;
  at::Tensor product() const;
};

/// bestLowRank with encoded factors: each is refitted to the other and encoded in turn, R in the metric of the
/// activations and L in that of R x; the best pair of `rounds` is kept.
QuantizedPair quantizedLowRank(const at::Tensor &a, const Metric &metric, int64_t rank, const Encoder &factors,
                               unsigned rounds, uint64_t seed);

/// A module as it is stored.
struct Decomposition {
  Quantized q;
  std::optional<QuantizedPair> factors;
  double error = 0; // tr(E H E^T)
  at::Tensor dense() const;
};

struct DecomposeOptions {
  QuantizeOptions quantize;
  int64_t rank = 0;
  const Encoder *factors = nullptr;
  /// Rounds of L and R anew, then Q; ends early after two rounds without gain.
  unsigned rounds = 6;
  unsigned factorRounds = 4;
  /// Rounds of coordinate descent over L and Q with the last R.
  unsigned descents = 6;
  uint64_t seed = 0;
};

/// Begins with (L, R) = lowRank(W) and Q = LDLQ(W - L R), then alternates (L, R) = lowRank(W - Q) with coordinate
/// descent on Q in a metric that leaves out most of what L can answer, and ends with coordinate descent on L and Q.
/// Keeps the best iterate. Without sweeps Q is encoded anew each round and the last part is left out. Rank 0 is one
/// encoding.
Decomposition decompose(const at::Tensor &weights, const Encoder &encoder, const Metric &metric,
                        const DecomposeOptions &options);

} // namespace qlr
