//===- TrellisSearchKernel.h - the Viterbi recursion, written once for all instruction sets
//------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Included by one file per instruction set, each compiled with its own flags, after it has defined `Lanes` (16 floats)
// in an unnamed namespace. No standard header is used here: an inline library function compiled with AVX-512 could
// otherwise be the copy the linker keeps for everyone.
//
// Lanes are tiles, so nothing moves across lanes and one text serves every bit width and window. A step costs, for each
// state, one subtraction and one fused multiply-add, and for each group of 2^b predecessors a tournament of minima
// whose comparison masks are the traceback.
//
//===----------------------------------------------------------------------------------------------------------------===//

#include "compressor/TrellisSearch.h"

namespace qlr::detail {
namespace {

template <unsigned B, unsigned L, unsigned N> struct Viterbi {
  static constexpr unsigned states = 1u << L, fan = 1u << B, groups = 1u << (L - B), W = 16;

  // Predecessors of state s are the states (s mod groups)·fan + d: consecutive, and the same for the fan states that
  // share s mod groups.
  alignas(64) float cost[2][states][W];
  alignas(64) float start[groups][W];
  unsigned short choice[N][groups][fan]; // heap order: node 1 is the final, nodes 2k and 2k+1 feed node k

  static inline Lanes expand(Lanes base, Lanes target, float level) {
    Lanes d = sub(target, broadcast(level));
    return fma(d, d, base);
  }

  void first(const float *target, const float *levels, float (*to)[W]) {
    Lanes x = load(target);
    for (unsigned g = 0; g < groups; ++g) {
      Lanes m = load(start[g]);
      for (unsigned c = 0; c < fan; ++c)
        store(to[g + c * groups], expand(m, x, levels[g + c * groups]));
    }
  }

  void step(const float *target, const float *levels, const float (*from)[W], float (*to)[W],
            unsigned short (*picks)[fan]) {
    Lanes x = load(target);
    for (unsigned g = 0; g < groups; ++g) {
      Lanes v[fan];
      for (unsigned d = 0; d < fan; ++d)
        v[d] = load(from[g * fan + d]);
#pragma GCC unroll 8
      for (unsigned width = fan / 2; width; width /= 2)
#pragma GCC unroll 16
        for (unsigned j = 0; j < width; ++j) {
          picks[g][width + j] = less(v[2 * j + 1], v[2 * j]);
          v[j] = minimum(v[2 * j + 1], v[2 * j]);
        }
#pragma GCC unroll 16
      for (unsigned c = 0; c < fan; ++c)
        store(to[g + c * groups], expand(v[0], x, levels[g + c * groups]));
    }
  }

  /// Runs the recursion over positions from, from+1, … (modulo N), count of them; returns the last costs.
  float (*run(const SearchBatch &batch, unsigned from, unsigned count)) [W] {
    first(batch.targets + (from % N) * W, batch.levels, cost[0]);
    unsigned at = 0;
    for (unsigned i = 1; i < count; ++i, at ^= 1)
      step(batch.targets + ((from + i) % N) * W, batch.levels, cost[at], cost[at ^ 1], choice[i]);
    return cost[at];
  }

  unsigned predecessor(unsigned i, unsigned state, unsigned lane) const {
    const unsigned short *node = choice[i][state & (groups - 1)];
    unsigned k = 1;
    for (unsigned bit = 0; bit < B; ++bit)
      k = 2 * k + ((node[k] >> lane) & 1u);
    return (state & (groups - 1)) * fan + (k - fan);
  }

  void findOverlap(const SearchBatch &batch) {
    constexpr unsigned half = N / 2;
    for (unsigned g = 0; g < groups; ++g)
      for (unsigned t = 0; t < W; ++t)
        start[g][t] = 0.0f;
    const float (*last)[W] = run(batch, half, N);
    unsigned state[W];
    float best[W];
    for (unsigned t = 0; t < W; ++t)
      state[t] = 0, best[t] = last[0][t];
    for (unsigned s = 1; s < states; ++s)
      for (unsigned t = 0; t < W; ++t)
        if (last[s][t] < best[t])
          best[t] = last[s][t], state[t] = s;
    for (unsigned i = N - 1; i >= N - half; --i)
      for (unsigned t = 0; t < W; ++t)
        state[t] = predecessor(i, state[t], t);
    for (unsigned t = 0; t < W; ++t)
      batch.overlap[t] = static_cast<unsigned char>(state[t] >> B);
  }

  /// The exact search that begins at position `from`, for the given overlap of the windows before and at it.
  void searchFixed(const SearchBatch &batch, unsigned from) {
    constexpr float far = 1e30f;
    for (unsigned g = 0; g < groups; ++g)
      for (unsigned t = 0; t < W; ++t)
        start[g][t] = g == batch.overlap[t] ? 0.0f : far;
    const float (*last)[W] = run(batch, from, N);
    unsigned state[W];
    for (unsigned t = 0; t < W; ++t) {
      unsigned base = batch.overlap[t] * fan, pick = base;
      for (unsigned d = 1; d < fan; ++d)
        if (last[base + d][t] < last[pick][t])
          pick = base + d;
      state[t] = pick;
    }
    for (unsigned i = N - 1;; --i) {
      for (unsigned t = 0; t < W; ++t)
        batch.windows[((from + i) % N) * W + t] = static_cast<unsigned char>(state[t]);
      if (i == 0)
        break;
      for (unsigned t = 0; t < W; ++t)
        state[t] = predecessor(i, state[t], t);
    }
  }
};

template <unsigned B, unsigned L, unsigned N> void searchBatch(const SearchBatch &batch) {
  static thread_local Viterbi<B, L, N> work;
  if (!batch.fixed)
    work.findOverlap(batch);
  work.searchFixed(batch, 0);
  if (batch.refine) {
    for (unsigned t = 0; t < 16; ++t)
      batch.overlap[t] = static_cast<unsigned char>(batch.windows[(N / 2 - 1) * 16 + t] >> B);
    work.searchFixed(batch, N / 2);
  }
}

template <unsigned N> SearchKernel pickKernel(unsigned bits, unsigned window) {
  if (window == 7)
    return bits == 2   ? searchBatch<2, 7, N>
           : bits == 3 ? searchBatch<3, 7, N>
           : bits == 4 ? searchBatch<4, 7, N>
                       : nullptr;
  if (window == 8)
    return bits == 2   ? searchBatch<2, 8, N>
           : bits == 3 ? searchBatch<3, 8, N>
           : bits == 4 ? searchBatch<4, 8, N>
                       : nullptr;
  return nullptr;
}

SearchKernel pickKernel(unsigned bits, unsigned window, unsigned steps) {
  return steps == 64 ? pickKernel<64>(bits, window) : steps == 8 ? pickKernel<8>(bits, window) : nullptr;
}

} // namespace
} // namespace qlr::detail
