#include "runtime/exec/Evaluate.h"

#include "runtime/exec/CommandLine.h"
#include "runtime/format/Error.h"

namespace qlr {
namespace {

struct PositionScore {
  double nll = 0, referenceNll = 0, kl = 0;
  bool sameTop = false;
};

/// Launches that `count` tokens take: pieces of 128, 8 and 1.
size_t launches(size_t count) { return count / 128 + count % 128 / 8 + count % 8; }

/// One window's tokens as the model takes them: what comes last predicts nothing, so it is left out where that is
/// no dearer.
std::span<const uint32_t> tokensToRun(const std::vector<uint32_t> &window) {
  std::span<const uint32_t> all(window), fewer = all.first(all.size() - 1);
  return launches(fewer.size()) <= launches(all.size()) ? fewer : all;
}

class Evaluator {
public:
  Evaluator(Session &model, Session *reference, uint32_t firstScored, ThreadPool &pool)
      : model(model), reference(reference), firstScored(firstScored), pool(pool) {}

  void run(const std::vector<uint32_t> &window, Evaluation &sums) {
    scores.assign(window.size() - 1, {});
    model.reset();
    double begin = now();
    std::span<const uint32_t> ids = tokensToRun(window);
    if (!reference) {
      model.appendAll(ids, [&](uint32_t first, uint32_t rows, const float *logits, uint64_t stride) {
        score(window, first, rows, [&](uint32_t row, PositionScore &out) {
          out.nll = negativeLogLikelihood(rowOf(logits, stride, row), window[first + row + 1]);
        });
      });
    } else {
      reference->reset();
      // In lockstep, so that one chunk of logits of each is all that has to be kept.
      while (!ids.empty()) {
        std::span<const uint32_t> piece = ids.first(model.chunkTokens(ids.size()));
        model.appendAll(piece, [&](uint32_t first, uint32_t rows, const float *logits, uint64_t stride) {
          reference->appendAll(piece, [&](uint32_t, uint32_t found, const float *wanted, uint64_t wantedStride) {
            if (found != rows)
              fail({.file = reference->artifact().path(),
                    .found = "plans for other numbers of tokens",
                    .expected = "those of " + model.artifact().path(),
                    .advice = "compile both with one version of qlr"});
            score(window, first, rows, [&](uint32_t row, PositionScore &out) {
              std::span<const float> mine = rowOf(logits, stride, row), theirs = rowOf(wanted, wantedStride, row);
              Divergence divergence = compareLogits(theirs, mine);
              uint32_t next = window[first + row + 1];
              out.kl = divergence.kl;
              out.sameTop = divergence.sameTop;
              out.nll = divergence.otherLogSum - mine[next];
              out.referenceNll = divergence.referenceLogSum - theirs[next];
            });
          });
        });
        ids = ids.subspan(piece.size());
      }
    }
    sums.seconds += now() - begin;
    sums.tokensRun += tokensToRun(window).size();
    collect(sums);
  }

private:
  std::span<const float> rowOf(const float *logits, uint64_t stride, uint32_t row) const {
    return {logits + row * stride, model.vocab()};
  }

  /// Calls `body` for each row that is scored, rows spread over the threads.
  void score(const std::vector<uint32_t> &window, uint32_t first, uint32_t rows,
             const std::function<void(uint32_t, PositionScore &)> &body) {
    pool.parallelFor(rows, 1, [&](uint64_t begin, uint64_t end) {
      for (uint64_t row = begin; row < end; ++row)
        if (first + row >= firstScored && first + row + 1 < window.size())
          body(static_cast<uint32_t>(row), scores[first + row]);
    });
  }

  void collect(Evaluation &sums) const {
    for (size_t position = firstScored; position < scores.size(); ++position) {
      const PositionScore &score = scores[position];
      sums.nll.add(score.nll);
      if (!reference)
        continue;
      sums.kl.add(score.kl);
      sums.referenceNll.add(score.referenceNll);
      sums.sameTop += score.sameTop;
    }
  }

  Session &model;
  Session *reference;
  const uint32_t firstScored;
  ThreadPool &pool;
  std::vector<PositionScore> scores;
};

} // namespace

Evaluation evaluate(Session &model, Session *reference, const std::vector<std::vector<uint32_t>> &windows,
                    uint32_t firstScored, ThreadPool &pool,
                    const std::function<void(uint64_t, const Evaluation &)> &afterWindow) {
  if (reference && reference->vocab() != model.vocab())
    fail({.file = reference->artifact().path(),
          .found = "a vocabulary of " + std::to_string(reference->vocab()),
          .expected = std::to_string(model.vocab()) + ", as " + model.artifact().path() + " has"});
  Evaluation sums;
  Evaluator evaluator(model, reference, firstScored, pool);
  for (size_t i = 0; i < windows.size(); ++i) {
    evaluator.run(windows[i], sums);
    if (afterWindow)
      afterWindow(i + 1, sums);
  }
  return sums;
}

} // namespace qlr
