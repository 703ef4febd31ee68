//===- Sampler.h - logits to the next token -------------------------------===//
#pragma once

#include "runtime/sampler/GenerationConfig.h"

#include <random>
#include <span>

namespace qlr {

/// Repetition penalty, temperature, top-k, top-p, min-p, in that order; then one draw. Greedy when the temperature is 0
/// (the penalty still holds). The same seed, options and logits give the same tokens on every platform.
class Sampler {
public:
  /// Ids from `vocabLimit` on are padding of the model's vocabulary and never chosen; 0 = no limit.
  /// Throws Error naming the option that is out of range.
  explicit Sampler(const SamplingOptions &options, uint32_t vocabLimit = 0);

  /// `context`: the ids the penalty applies to (prompt and what was generated). Throws Error when a logit is not
  /// finite.
  uint32_t sample(std::span<const float> logits, std::span<const uint32_t> context);

  const SamplingOptions &options() const { return theOptions; }

private:
  struct Candidate {
    uint32_t id;
    float logit;
  };

  SamplingOptions theOptions;
  uint32_t vocabLimit;
  std::mt19937_64 random;
  std::vector<Candidate> candidates; // kept between calls for its memory
};

/// The id of the largest logit, the lowest of equals. Throws Error when a logit is not finite.
uint32_t argmax(std::span<const float> logits);

} // namespace qlr
