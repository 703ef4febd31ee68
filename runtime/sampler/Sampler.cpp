#include "runtime/sampler/Sampler.h"
#include "runtime/format/Error.h"

#include <algorithm>
#include <cmath>
#include <unordered_set>

namespace qlr {

namespace {

[[noreturn]] void notFinite(size_t id) {
  fail({.found = "a logit that is not finite (token " + std::to_string(id) + ")",
        .expected = "finite logits",
        .advice = "the weights are damaged, or the model overflows the cache's number format: try --cache f32"});
}

void checkRange(const char *option, double value, double low, double high) {
  if (!(value >= low && value <= high))
    fail({.found = std::string(option) + " " + std::to_string(value),
          .expected = std::to_string(low) + " to " + std::to_string(high)});
}

} // namespace

uint32_t argmax(std::span<const float> logits) {
  if (logits.empty())
    fail({.found = "no logits", .expected = "at least one"});
  size_t best = 0;
  for (size_t i = 0; i < logits.size(); ++i) {
    if (!std::isfinite(logits[i]))
      notFinite(i);
    if (logits[i] > logits[best])
      best = i;
  }
  return static_cast<uint32_t>(best);
}

Sampler::Sampler(const SamplingOptions &options, uint32_t vocabLimit)
    : theOptions(options), vocabLimit(vocabLimit), random(options.seed) {
  checkRange("temperature", options.temperature, 0, 1e3);
  checkRange("top-p", options.topP, 0, 1);
  checkRange("min-p", options.minP, 0, 1);
  checkRange("repetition penalty", options.repetitionPenalty, 1e-3, 1e3);
}

uint32_t Sampler::sample(std::span<const float> logits, std::span<const uint32_t> context) {
  if (vocabLimit != 0 && vocabLimit < logits.size())
    logits = logits.first(vocabLimit);
  uint32_t best = argmax(logits);
  bool penalty = theOptions.repetitionPenalty != 1;
  if (!penalty && theOptions.temperature == 0)
    return best;

  candidates.resize(logits.size());
  for (uint32_t i = 0; i < candidates.size(); ++i)
    candidates[i] = {i, logits[i]};
  if (penalty) {
    // Once for each id, however often it came; toward less likely on either side of zero.
    auto factor = static_cast<float>(theOptions.repetitionPenalty);
    for (uint32_t id : std::unordered_set<uint32_t>(context.begin(), context.end()))
      if (id < candidates.size()) {
        float &logit = candidates[id].logit;
        logit = logit < 0 ? logit * factor : logit / factor;
      }
  }
  // Likelier first, the lower id of equals.
  auto likelier = [](const Candidate &a, const Candidate &b) {
    return a.logit != b.logit ? a.logit > b.logit : a.id < b.id;
  };
  best = std::min_element(candidates.begin(), candidates.end(), likelier)->id;
  if (theOptions.temperature == 0)
    return best;

  auto temperature = static_cast<float>(theOptions.temperature);
  for (Candidate &candidate : candidates)
    candidate.logit /= temperature;
  if (theOptions.topK != 0 && theOptions.topK < candidates.size()) {
    std::nth_element(candidates.begin(), candidates.begin() + theOptions.topK, candidates.end(), likelier);
    candidates.resize(theOptions.topK);
  }
  double maximum = std::min_element(candidates.begin(), candidates.end(), likelier)->logit;
  if (!std::isfinite(maximum)) // a tiny temperature took it past f32
    return best;
  auto weight = [&](const Candidate &candidate) { return std::exp(static_cast<double>(candidate.logit) - maximum); };

  double total = 0;
  if (theOptions.topP < 1) {
    // The likeliest are sorted in growing portions: few are needed, as a rule.
    for (const Candidate &candidate : candidates)
      total += weight(candidate);
    double sum = 0;
    size_t kept = 0, sorted = 0;
    while (kept < candidates.size()) {
      if (kept == sorted) {
        sorted = std::min(candidates.size(), std::max<size_t>(256, 4 * sorted));
        std::partial_sort(candidates.begin() + static_cast<ptrdiff_t>(kept),
                          candidates.begin() + static_cast<ptrdiff_t>(sorted), candidates.end(), likelier);
      }
      sum += weight(candidates[kept++]);
      if (sum >= theOptions.topP * total)
        break;
    }
    candidates.resize(kept);
  }
  if (theOptions.minP > 0)
    std::erase_if(candidates, [&](const Candidate &candidate) { return weight(candidate) < theOptions.minP; });
  // One order, whatever the cuts left behind.
  std::sort(candidates.begin(), candidates.end(), [](const auto &a, const auto &b) { return a.id < b.id; });

  total = 0;
  for (const Candidate &candidate : candidates)
    total += weight(candidate);
  // 53 random bits: std::uniform_real_distribution may differ between standard libraries.
  double target = static_cast<double>(random() >> 11) * 0x1p-53 * total;
  for (const Candidate &candidate : candidates) {
    target -= weight(candidate);
    if (target < 0)
      return candidate.id;
  }
  return candidates.back().id;
}

} // namespace qlr
