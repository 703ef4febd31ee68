#include "runtime/exec/Scoring.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

// The loops below run over whole vocabularies at every position. They are written in lanes that the compiler turns into
// vectors, once for each kind of CPU; sums are taken in a fixed order.
#if defined(__x86_64__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_UNDEFINED__)
#define QLR_VECTOR_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define QLR_VECTOR_CLONES
#endif

namespace qlr {
namespace {

constexpr size_t lanes = 16;

/// e^x for x <= 0, relative error below 1e-14 (Taylor to degree 12 on [-ln2/2, ln2/2]); 0 below -700. Without branches
/// and calls, so that it vectorizes.
inline __attribute__((always_inline)) double expNegative(double x) {
  constexpr double log2e = 1.4426950408889634, ln2High = 0.6931471803691238, ln2Low = 1.9082149292705877e-10;
  constexpr double rounder = 6755399441055744.0; // 1.5 * 2^52: adding it rounds to an integer, in the low bits
  double clamped = x < -700.0 ? -700.0 : x;
  double shifted = clamped * log2e + rounder;
  double n = shifted - rounder;
  double r = (clamped - n * ln2High) - n * ln2Low;
  double p = 1.0 / 479001600;
  p = p * r + 1.0 / 39916800;
  p = p * r + 1.0 / 3628800;
  p = p * r + 1.0 / 362880;
  p = p * r + 1.0 / 40320;
  p = p * r + 1.0 / 5040;
  p = p * r + 1.0 / 720;
  p = p * r + 1.0 / 120;
  p = p * r + 1.0 / 24;
  p = p * r + 1.0 / 6;
  p = p * r + 0.5;
  p = p * r + 1.0;
  p = p * r + 1.0;
  uint64_t scale = (std::bit_cast<uint64_t>(shifted) + 1023) << 52;
  double result = p * std::bit_cast<double>(scale);
  return x < -700.0 ? 0.0 : result;
}

QLR_VECTOR_CLONES float maximum(const float *values, size_t count) {
  float best[lanes];
  for (size_t lane = 0; lane < lanes; ++lane)
    best[lane] = -std::numeric_limits<float>::infinity();
  size_t i = 0;
  for (; i + lanes <= count; i += lanes)
    for (size_t lane = 0; lane < lanes; ++lane)
      best[lane] = values[i + lane] > best[lane] ? values[i + lane] : best[lane];
  float result = best[0];
  for (size_t lane = 1; lane < lanes; ++lane)
    result = best[lane] > result ? best[lane] : result;
  for (; i < count; ++i)
    result = values[i] > result ? values[i] : result;
  return result;
}

QLR_VECTOR_CLONES double sumOfExp(const float *values, size_t count, double top) {
  double sums[lanes] = {};
  size_t i = 0;
  for (; i + lanes <= count; i += lanes)
    for (size_t lane = 0; lane < lanes; ++lane)
      sums[lane] += expNegative(values[i + lane] - top);
  double total = 0;
  for (; i < count; ++i)
    total += expNegative(values[i] - top);
  for (size_t lane = 0; lane < lanes; ++lane)
    total += sums[lane];
  return total;
}

struct PairSums {
  double reference, other, weighted; // sum e^a, sum e^b, sum e^a (a - b), each relative to its maximum
};

QLR_VECTOR_CLONES PairSums sumPairs(const float *a, const float *b, size_t count, double topA, double topB) {
  double sumA[lanes] = {}, sumB[lanes] = {}, weighted[lanes] = {};
  size_t i = 0;
  for (; i + lanes <= count; i += lanes)
    for (size_t lane = 0; lane < lanes; ++lane) {
      double x = a[i + lane], y = b[i + lane];
      double e = expNegative(x - topA);
      sumA[lane] += e;
      weighted[lane] += e * (x - y);
      sumB[lane] += expNegative(y - topB);
    }
  PairSums result{};
  for (; i < count; ++i) {
    double x = a[i], y = b[i], e = expNegative(x - topA);
    result.reference += e;
    result.weighted += e * (x - y);
    result.other += expNegative(y - topB);
  }
  for (size_t lane = 0; lane < lanes; ++lane) {
    result.reference += sumA[lane];
    result.weighted += weighted[lane];
    result.other += sumB[lane];
  }
  return result;
}

} // namespace

double logSumExp(std::span<const float> logits) {
  double top = maximum(logits.data(), logits.size());
  return top + std::log(sumOfExp(logits.data(), logits.size(), top));
}

double negativeLogLikelihood(std::span<const float> logits, uint32_t token) {
  return logSumExp(logits) - logits[token];
}

uint32_t argMax(std::span<const float> logits) {
  float top = maximum(logits.data(), logits.size());
  return static_cast<uint32_t>(std::find(logits.begin(), logits.end(), top) - logits.begin());
}

Divergence compareLogits(std::span<const float> reference, std::span<const float> other) {
  double topA = maximum(reference.data(), reference.size()), topB = maximum(other.data(), other.size());
  PairSums sums = sumPairs(reference.data(), other.data(), reference.size(), topA, topB);
  Divergence result;
  result.referenceLogSum = topA + std::log(sums.reference);
  result.otherLogSum = topB + std::log(sums.other);
  result.kl = sums.weighted / sums.reference - result.referenceLogSum + result.otherLogSum;
  result.sameTop = argMax(reference) == argMax(other);
  return result;
}

void Series::add(double value) {
  // Welford's update: no cancellation however many numbers there are.
  ++n;
  double delta = value - average;
  average += delta / static_cast<double>(n);
  squares += delta * (value - average);
}

double Series::standardError() const {
  if (n < 2)
    return 0;
  return std::sqrt(squares / static_cast<double>(n - 1) / static_cast<double>(n));
}

} // namespace qlr
