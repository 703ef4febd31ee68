// What logits say about tokens: log-likelihoods, and the distance between two models' distributions.
#pragma once

#include <cstdint>
#include <span>

namespace qlr {

/// The natural logarithm of the sum of exp(logits), in double.
double logSumExp(std::span<const float> logits);

/// -log softmax(logits)[token].
double negativeLogLikelihood(std::span<const float> logits, uint32_t token);

/// The index of the largest value, the first of equals.
uint32_t argMax(std::span<const float> logits);

/// Two distributions over one vocabulary compared.
struct Divergence {
  double kl = 0;                               ///< KL(reference || other) in nats
  double referenceLogSum = 0, otherLogSum = 0; ///< logSumExp of each
  bool sameTop = false;                        ///< both have the same most likely token
};

/// Compares softmax(reference) with softmax(other); equally many logits each.
Divergence compareLogits(std::span<const float> reference, std::span<const float> other);

/// Sums of a series of numbers: mean, and its standard error.
class Series {
public:
  void add(double value);
  uint64_t count() const { return n; }
  double mean() const { return n ? average : 0; }
  /// Standard deviation over the square root of the count; 0 below two numbers.
  double standardError() const;

private:
  uint64_t n = 0;
  double average = 0, squares = 0;
};

} // namespace qlr
