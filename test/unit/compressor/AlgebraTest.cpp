//===- AlgebraTest.cpp - rotation, LDLQ, low-rank step, block forward ------===//

#include "compressor/LowRank.h"
#include "compressor/Qwen2Block.h"
#include "compressor/Random.h"
#include "compressor/Rotation.h"
#include "runtime/format/Error.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

using namespace qlr;

namespace {

at::Tensor normal(int64_t rows, int64_t columns, uint64_t seed) {
  Random random(seed);
  at::Tensor x = at::empty({rows, columns}, at::kDouble);
  for (int64_t i = 0; i < x.numel(); ++i)
    x.data_ptr<double>()[i] = random.normal();
  return x;
}

/// A second moment with strong correlations, as activations have.
at::Tensor correlatedMoment(int64_t n, uint64_t seed) {
  at::Tensor mix = normal(n, n, seed) * at::pow(0.93, at::arange(n, at::kDouble)).unsqueeze(1);
  return mix.t().mm(mix) / double(n) + 0.01 * at::eye(n, at::kDouble);
}

double value(const at::Tensor &t) { return t.item<double>(); }

/// Feedback by its definition: after each column tile, the later columns are told the change that would repair the
/// output best if they were real numbers: E_rest = -E_done H_done,rest H_rest,rest^-1.
at::Tensor bruteForceFeedback(const at::Tensor &w, const at::Tensor &h, const Encoder &encoder,
                              const at::Tensor &scale) {
  int64_t rows = w.size(0), n = w.size(1);
  at::Tensor errors = at::zeros_like(w), dense = at::zeros_like(w);
  for (int64_t k = 0; k < n; k += 4) {
    at::Tensor target = w.slice(1, k, k + 4);
    if (k) {
      at::Tensor rest = h.slice(0, k).slice(1, k), cross = h.slice(0, 0, k).slice(1, k);
      at::Tensor wish = -errors.slice(1, 0, k).mm(cross).mm(at::linalg_inv(rest));
      target = target - wish.slice(1, 0, 4);
    }
    at::Tensor units = (target / scale).to(at::kFloat).contiguous(), found = at::empty_like(units);
    std::vector<uint8_t> codes(rows / 16 * encoder.codec().tileBytes());
    encoder.encode(units.data_ptr<float>(), rows / 16, codes.data(), found.data_ptr<float>());
    dense.slice(1, k, k + 4).copy_(found.to(at::kDouble) * scale);
    errors.slice(1, k, k + 4).copy_(w.slice(1, k, k + 4) - dense.slice(1, k, k + 4));
  }
  return dense;
}

TEST(Quantize, LdlqEqualsFeedbackByItsDefinition) {
  for (const char *name : {"int2", "int4", "trellis2"}) {
    constexpr int64_t rows = 32, n = 144; // more than one batch of 128 columns
    const Encoder &encoder = Encoder::get(Codec::get(name));
    at::Tensor w = normal(rows, n, 1).to(at::kFloat);
    Metric metric(correlatedMoment(n, 2), 0.01, "test");
    Quantized q = quantize(w, encoder, metric, {});

    at::Tensor start = at::empty({rows, 1}, at::kFloat);
    encoder.startScales(w.data_ptr<float>(), rows, n, start.data_ptr<float>());
    at::Tensor scale = start.to(at::kHalf).to(at::kDouble);
    at::Tensor expected = bruteForceFeedback(w.to(at::kDouble), metric.h64(), encoder, scale);
    // The refit changed scales after the codes were chosen: compare in units of each row's scale.
    at::Tensor refitted = at::empty({rows}, at::kHalf);
    std::copy(q.scales.begin(), q.scales.end(), reinterpret_cast<uint16_t *>(refitted.data_ptr()));
    at::Tensor difference = q.dense.to(at::kDouble) / refitted.to(at::kDouble).unsqueeze(1) - expected / scale;
    EXPECT_LE(value(difference.abs().max()), 1e-3) << name;
  }
}

TEST(Quantize, FeedbackRefitAndSweepsLowerTheError) {
  constexpr int64_t rows = 48, n = 130; // neither whole strips of both nor whole tiles
  const Encoder &encoder = Encoder::get(Codec::get("trellis2"));
  at::Tensor w = normal(rows - 3, n, 3).to(at::kFloat);
  Metric metric(correlatedMoment(n, 4), 0.01, "test");
  double nearest = quantize(w, encoder, metric, {.feedback = false}).error;
  Quantized ldlq = quantize(w, encoder, metric, {});
  double last = ldlq.error;
  EXPECT_LT(last, 0.8 * nearest);
  EXPECT_EQ(ldlq.scales.size(), 48u);
  EXPECT_EQ(ldlq.codes.size(), 3u * 33 * 16);
  EXPECT_EQ(ldlq.scales[47], 0);
  for (unsigned sweeps = 1; sweeps <= 3; ++sweeps) {
    double error = quantize(w, encoder, metric, {.feedback = true, .sweeps = sweeps}).error;
    EXPECT_LE(error, last * (1 + 1e-5));
    last = error;
  }
  // The refitted scales are a minimum.
  for (double factor : {0.995, 1.005}) {
    at::Tensor moved = ldlq.dense * factor;
    EXPECT_GE(metric.error(w - moved), ldlq.error * (1 - 1e-6));
  }
}

TEST(Quantize, GroupScalesAreStoredByGroup) {
  const Encoder &encoder = Encoder::get(Codec::get("int2g64"));
  at::Tensor w = normal(16, 160, 5).to(at::kFloat);
  w.slice(1, 64, 128).mul_(10);
  Metric metric(at::eye(160, at::kDouble), 0.01, "test");
  Quantized q = quantize(w, encoder, metric, {.feedback = false});
  ASSERT_EQ(q.scales.size(), 16u * 3);
  EXPECT_LT(value((w - q.dense).square().sum()) / value(w.square().sum()), 0.13);
}

/// The target that compensates drifted inputs: of all matrices on the drifted x, the one closest to W x of the
/// original.
TEST(Metric, DivisionGivesTheRegressionOnTheInputs) {
  constexpr int64_t n = 30, tokens = 400;
  at::Tensor x = normal(tokens, n, 20), original = x + 0.2 * normal(tokens, n, 21), w = normal(6, n, 22);
  Metric metric(x.t().mm(x) / double(tokens), 0, "test");
  at::Tensor drift = metric.divide((original - x).t().mm(x) / double(tokens));
  at::Tensor target = w + w.mm(drift);
  auto error = [&](const at::Tensor &m) { return value((original.mm(w.t()) - x.mm(m.t())).square().sum()); };
  EXPECT_LT(error(target), 0.99 * error(w));
  EXPECT_LE(error(target), error(target + 1e-3 * normal(6, n, 23)));
}

TEST(Quantize, RefusesActivationsThatAreNotFinite) {
  at::Tensor moment = at::eye(8, at::kDouble);
  moment[2][3] = std::nan("");
  EXPECT_THROW(Metric(moment, 0.01, "model.layers.0.attn_in"), Error);
}

TEST(LowRank, EqualsTheWhitenedSingularValueDecomposition) {
  constexpr int64_t rows = 40, n = 56, rank = 6;
  at::Tensor a = normal(rows, n, 6);
  Metric metric(correlatedMoment(n, 7), 0.01, "test");
  at::Tensor root = at::linalg_cholesky(metric.h64());
  auto [u, s, v] = at::linalg_svd(a.mm(root), false);
  double expected = value(s.slice(0, rank).square().sum());
  LowRankPair pair = bestLowRank(a.to(at::kFloat), metric, rank, 1);
  double error = metric.error(a - pair.l.to(at::kDouble).mm(pair.r.to(at::kDouble)));
  EXPECT_NEAR(error / expected, 1.0, 1e-4);
  at::Tensor best =
      at::linalg_solve(root.t(), (u.slice(1, 0, rank) * s.slice(0, 0, rank)).mm(v.slice(0, 0, rank)).t()).t();
  // root is lower triangular: A root = U S V^T, so the product is U S V^T root^-1.
  best = at::linalg_solve(root.t(), ((u.slice(1, 0, rank) * s.slice(0, 0, rank)).mm(v.slice(0, 0, rank))).t()).t();
  EXPECT_LE(value((pair.l.mm(pair.r).to(at::kDouble) - best).norm()) / value(best.norm()), 2e-3);
}

TEST(LowRank, EachFactorIsBestForTheOther) {
  constexpr int64_t rows = 24, n = 32, rank = 4;
  at::Tensor a = normal(rows, n, 8).to(at::kFloat);
  Metric metric(correlatedMoment(n, 9), 0.01, "test");
  at::Tensor r = normal(rank, n, 10).to(at::kFloat);
  at::Tensor l = leftGivenRight(a, metric, r);
  double least = metric.error(a - l.mm(r));
  EXPECT_GE(metric.error(a - (l + 0.01 * normal(rows, rank, 11).to(at::kFloat)).mm(r)), least);
  // R given L is best in every positive definite metric.
  at::Tensor best = rightGivenLeft(a, l);
  for (uint64_t seed : {12, 13}) {
    Metric other(correlatedMoment(n, seed), 0.01, "test");
    double error = other.error(a - l.mm(best));
    EXPECT_GE(other.error(a - l.mm(best + 0.01 * normal(rank, n, seed + 5).to(at::kFloat))), error);
  }
}

TEST(LowRank, MetricWithoutLeftIsWhatTheBestLeftFactorLeaves) {
  constexpr int64_t rows = 20, n = 30, rank = 4; // columns of padding
  Metric metric(correlatedMoment(n, 24), 0.01, "test");
  at::Tensor r = normal(rank, n, 25).to(at::kFloat), e = normal(rows, n, 26).to(at::kFloat);
  double left = metric.error(e - leftGivenRight(e, metric, r).mm(r)), whole = metric.error(e);
  for (double kept : {0.0, 0.1, 1.0}) {
    at::Tensor h = hessianWithoutLeft(metric, r, kept), padded = padTo(e, rows, metric.paddedColumns());
    EXPECT_NEAR(value((padded.mm(h) * padded).sum()), left + kept * (whole - left), 1e-4 * whole);
  }
}

TEST(LowRank, EveryPartOfTheAlternationLowersTheError) {
  constexpr int64_t rows = 64, n = 64;
  at::Tensor w = normal(rows, n, 27).to(at::kFloat);
  Metric metric(correlatedMoment(n, 28), 0.01, "test");
  const Encoder &encoder = Encoder::get(Codec::get("trellis2"));
  auto error = [&](QuantizeOptions quantize, unsigned rounds, unsigned descents) {
    DecomposeOptions options{.quantize = quantize, .rank = 8, .factors = &Encoder::get(Codec::get("int4"))};
    options.rounds = rounds;
    options.descents = descents;
    return decompose(w, encoder, metric, options).error;
  };
  QuantizeOptions swept{.feedback = true, .sweeps = 2};
  double first = error(swept, 0, 0), fitted = error(swept, 6, 0);
  EXPECT_LT(fitted, first);
  EXPECT_LT(error(swept, 6, 6), fitted);
  // Round to nearest has no metric to sweep in; its rounds encode Q anew.
  QuantizeOptions nearest{.feedback = false};
  EXPECT_LT(error(nearest, 6, 6), error(nearest, 0, 0));
}

TEST(LowRank, DecompositionKeepsTheBestIterate) {
  constexpr int64_t rows = 64, n = 64;
  at::Tensor w = normal(rows, n, 14).to(at::kFloat);
  Metric metric(correlatedMoment(n, 15), 0.01, "test");
  const Encoder &encoder = Encoder::get(Codec::get("trellis2")), &factors = Encoder::get(Codec::get("int4"));
  DecomposeOptions options;
  options.factors = &factors;
  double last = 1e300, once = 0;
  for (int64_t rank : {0, 4, 10}) {
    options.rank = rank;
    Decomposition d = decompose(w, encoder, metric, options);
    EXPECT_NEAR(d.error, metric.error(w - d.dense()), 1e-6 * d.error + 1e-9);
    EXPECT_LT(d.error, last);
    last = d.error;
  }
  options.rounds = 1;
  once = decompose(w, encoder, metric, options).error;
  EXPECT_LE(last, once);
}

TEST(Rotation, IsOrthogonalAndSeeded) {
  constexpr int64_t n = 384;
  Rotation rotation(1, "model.layers.0.attn_in", n, 128);
  EXPECT_EQ(rotation.block(), 128u);
  at::Tensor x = normal(5, n, 16), y = rotation.apply(x);
  EXPECT_LE(value((rotation.undo(y) - x).abs().max()), 1e-12);
  // One entry by the definition: y = H (s x) / sqrt(h) in the second block.
  double sum = 0;
  for (int64_t j = 0; j < 128; ++j) {
    bool negative = rotation.packedSigns()[(128 + j) / 8] >> ((128 + j) % 8) & 1;
    int parity = __builtin_popcount(5 & j) % 2;
    sum += (negative ? -1 : 1) * (parity ? -1 : 1) * value(x[2][128 + j]);
  }
  EXPECT_NEAR(value(y[2][128 + 5]), sum / std::sqrt(128.0), 1e-12);
  at::Tensor moment = x.t().mm(x);
  EXPECT_LE(value((rotation.applyToMoment(moment) - y.t().mm(y)).abs().max()), 1e-10);
  EXPECT_EQ(Rotation(1, "model.layers.0.attn_in", n, 128).packedSigns(), rotation.packedSigns());
  EXPECT_NE(Rotation(1, "model.layers.1.attn_in", n, 128).packedSigns(), rotation.packedSigns());
  EXPECT_NE(Rotation(2, "model.layers.0.attn_in", n, 128).packedSigns(), rotation.packedSigns());
  EXPECT_EQ(Rotation(1, "x", 29568, 128).block(), 128u);
  EXPECT_EQ(Rotation(1, "x", 76, 128).block(), 4u);
}

TEST(Qwen2Block, EqualsHuggingFace) {
  std::string dir = QLR_SOURCE_DIR "/test/unit/compressor/block";
  Checkpoint source = Checkpoint::open(dir);
  ModelConfig config = ModelConfig::load(dir);
  Qwen2Block block(config, source, 0);
  at::Tensor out = block.forward(loadFloats(source, "hidden_in")), expected = loadFloats(source, "hidden_out");
  EXPECT_LE((out - expected).abs().max().item<float>(), 1e-4 * expected.abs().max().item<float>());
}

} // namespace
