// Whether two devices compute the same model.
#pragma once

#include "runtime/exec/Session.h"

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace qlr::cuda {

/// What a model says to a fixed prompt that is cut into pieces of 128, 8 and 1 tokens.
struct Answer {
  uint32_t vocab = 0;
  std::vector<uint32_t> prompt, ids; ///< `ids`: the greedy continuation of the prompt's first tokens
  std::vector<float> logits;         ///< [prompt][vocab]
  std::vector<float> gaps;           ///< of each id: how far its logit is above the second best
};

/// What is asked: pieces of every size by default.
struct Question {
  uint32_t promptTokens = 128 + 2 * 8 + 3;
  uint32_t greedyTokens = 24;
};

/// Asks `artifact` on the device that `options` name. Throws Error.
Answer answer(const std::shared_ptr<const Artifact> &artifact, const SessionOptions &options, const Question &question);

/// What `answer` was the answer to.
inline Question questionOf(const Answer &answer) {
  return {static_cast<uint32_t>(answer.prompt.size()), static_cast<uint32_t>(answer.ids.size())};
}

/// Writes and reads an answer: a JSON line, then the logits as f32.
void writeAnswer(const std::string &path, const Answer &answer);
Answer readAnswer(const std::string &path);

struct Comparison {
  double relativeError = 0;    ///< ‖a − b‖ / ‖b‖ over all logits
  double largestError = 0;     ///< of one logit
  double topEqual = 0;         ///< share of positions with the same best token
  size_t sameIds = 0, ids = 0; ///< greedy ids that agree from the first on
  bool passed = false;
};

/// Compares with a reference. Passes when the relative error is at most `bound` and the greedy ids agree, or first
/// differ where the reference's two best are closer than twice the largest error. NaN never passes.
Comparison compare(const Answer &found, const Answer &reference, double bound);

} // namespace qlr::cuda
