// Perplexity, and the divergence of a model from its reference.
#pragma once

#include "runtime/exec/Scoring.h"
#include "runtime/exec/Session.h"
#include "runtime/exec/ThreadPool.h"

#include <functional>
#include <vector>

namespace qlr {

/// What windows of tokens say about a model.
struct Evaluation {
  Series nll; ///< nats per scored token
  Series kl;  ///< against the reference, per scored position; empty without one
  Series referenceNll;
  uint64_t sameTop = 0; ///< positions where both models' most likely token is the same
  uint64_t tokensRun = 0;
  double seconds = 0; ///< in the model (and its reference)

  double tokensPerSecond() const { return seconds > 0 ? static_cast<double>(tokensRun) / seconds : 0; }
};

/// Runs each window from an empty cache and scores the positions from `firstScored` up to the last but one: position i
/// predicts token i+1. Sessions need all logits. `reference` may be null; its vocabulary must be the model's.
/// `afterWindow` is called with the number of windows done. Throws Error.
Evaluation evaluate(Session &model, Session *reference, const std::vector<std::vector<uint32_t>> &windows,
                    uint32_t firstScored, ThreadPool &pool,
                    const std::function<void(uint64_t, const Evaluation &)> &afterWindow);

} // namespace qlr
