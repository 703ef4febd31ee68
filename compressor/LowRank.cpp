#include "compressor/LowRank.h"

#include "compressor/Random.h"

#include <ATen/ATen.h>

using namespace qlr;

namespace {

/// The share of what L can answer that Q's metric keeps: without it that metric is singular.
constexpr double keptShare = 0.1;

at::Tensor randomColumns(int64_t rows, int64_t columns, uint64_t seed) {
  Random random(seed, "subspace");
  at::Tensor x = at::empty({rows, columns}, at::kDouble);
  double *data = x.data_ptr<double>();
  for (int64_t i = 0; i < x.numel(); ++i)
    data[i] = random.normal();
  return x;
}

at::Tensor orthonormal(const at::Tensor &x) { return std::get<0>(at::linalg_qr(x, "reduced")); }

/// H without the padding.
at::Tensor hessian(const Metric &metric) {
  return metric.h64().slice(0, 0, metric.columns()).slice(1, 0, metric.columns());
}

/// H R^T and R H R^T, fp64.
struct Projection {
  at::Tensor hr, gram;
  Projection(const Metric &metric, const at::Tensor &r) {
    at::Tensor r64 = r.to(at::kDouble);
    hr = hessian(metric).mm(r64.t());
    gram = r64.mm(hr);
  }
};

/// The metric of L: its error meets R x.
Metric leftMetric(const Metric &metric, const at::Tensor &r) {
  return Metric(Projection(metric, r).gram, 1e-4, "low-rank factor");
}

/// gram^-1 b, where factors may have rows of zeros.
at::Tensor solve(at::Tensor gram, const at::Tensor &b) {
  gram.diagonal().add_(1e-9 * gram.diagonal().mean().item<double>() + 1e-30);
  return at::linalg_solve(gram, b);
}

/// The products with A and H in fp32 are exact enough for a subspace; its orthogonalisation is in fp64.
at::Tensor timesAHA(const at::Tensor &a, const at::Tensor &h, const at::Tensor &y) {
  return a.mm(h.mm(a.t().mm(y.to(at::kFloat)))).to(at::kDouble);
}

} // namespace

LowRankPair qlr::bestLowRank(const at::Tensor &a, const Metric &metric, int64_t rank, uint64_t seed) {
  int64_t rows = a.size(0);
  int64_t width = std::min(rows, rank + 16);
  at::Tensor h = metric.h().slice(0, 0, metric.columns()).slice(1, 0, metric.columns()).contiguous();
  at::Tensor y = orthonormal(timesAHA(a, h, randomColumns(rows, width, seed)));
  for (int i = 0; i < 8; ++i)
    y = orthonormal(timesAHA(a, h, y));
  // Within the subspace: the eigenvectors of Y^T A H A^T Y, largest last.
  at::Tensor ya = y.t().mm(a.to(at::kDouble));
  auto [values, vectors] = at::linalg_eigh(ya.mm(hessian(metric)).mm(ya.t()));
  at::Tensor u = y.mm(vectors.slice(1, width - rank).flip({1}));
  at::Tensor sigma = values.slice(0, width - rank).flip({0}).clamp_min(0).sqrt();
  // Half of each singular value goes to either factor, so that one scale a row of L serves all columns.
  at::Tensor share = sigma.clamp_min(sigma.max() * 1e-9 + 1e-30).sqrt();
  at::Tensor r = u.t().mm(a.to(at::kDouble)) / share.unsqueeze(1);
  return {(u * share).to(at::kFloat), r.to(at::kFloat)};
}

at::Tensor qlr::leftGivenRight(const at::Tensor &a, const Metric &metric, const at::Tensor &r) {
  Projection p(metric, r);
  return solve(p.gram, a.to(at::kDouble).mm(p.hr).t()).t().to(at::kFloat).contiguous();
}

at::Tensor qlr::rightGivenLeft(const at::Tensor &a, const at::Tensor &l) {
  at::Tensor l64 = l.to(at::kDouble);
  return solve(l64.t().mm(l64), l64.t().mm(a.to(at::kDouble))).to(at::kFloat).contiguous();
}

at::Tensor qlr::hessianWithoutLeft(const Metric &metric, const at::Tensor &r, double kept) {
  Projection p(metric, r);
  at::Tensor hr = padTo(p.hr, metric.paddedColumns(), r.size(0));
  return at::addmm(metric.h(), hr.to(at::kFloat), solve(p.gram, hr.t()).to(at::kFloat), 1, kept - 1);
}

at::Tensor QuantizedPair::product() const { return l.dense.mm(r.dense); }

QuantizedPair qlr::quantizedLowRank(const at::Tensor &a, const Metric &metric, int64_t rank, const Encoder &factors,
                                    unsigned rounds, uint64_t seed) {
  LowRankPair pair = bestLowRank(a, metric, rank, seed);
  QuantizedPair best;
  double least = 0;
  for (unsigned i = 0; i < rounds; ++i) {
    QuantizedPair now;
    now.r = quantize(pair.r, factors, metric, {.feedback = true, .sweeps = 1});
    Metric inner = leftMetric(metric, now.r.dense);
    now.l = quantize(leftGivenRight(a, metric, now.r.dense), factors, inner, {.feedback = true, .sweeps = 1});
    double error = metric.error(a - now.product());
    pair.r = rightGivenLeft(a, now.l.dense);
    if (i == 0 || error < least) {
      least = error;
      best = std::move(now);
    }
  }
  return best;
}

at::Tensor Decomposition::dense() const { return factors ? q.dense + factors->product() : q.dense; }

namespace {

/// Q, L and R of one matrix while they are fitted to each other; keeps the best they ever were.
class Alternation {
public:
  Alternation(const at::Tensor &weights, const Encoder &encoder, const Metric &metric, const DecomposeOptions &options)
      : weights(weights), metric(metric), options(options), factors(lowRank(weights)),
        q(weights - factors.product(), encoder) {
    q.encode(metric, options.quantize);
    keepBest();
  }

  void fitAnew() {
    for (unsigned i = 0; i < options.rounds; ++i) {
      factors = lowRank(weights - q.dense());
      bool better = keepBest();
      q.retarget(weights - factors.product());
      if (options.quantize.sweeps)
        q.descend(hessianWithoutLeft(metric, factors.r.dense, keptShare));
      else
        q.encode(metric, options.quantize);
      better |= keepBest();
      idle = better ? 0 : idle + 1;
      if (idle == 2)
        break;
    }
  }

  /// R stays; codes of L and Q change one column tile at a time, each only where the error falls.
  void descend() {
    if (!options.quantize.sweeps)
      return;
    Metric inner = leftMetric(metric, factors.r.dense);
    TileQuantizer l(leftGivenRight(weights - q.dense(), metric, factors.r.dense), *options.factors);
    l.encode(inner, {.feedback = true});
    for (unsigned i = 0; i < options.descents; ++i) {
      l.retarget(leftGivenRight(weights - q.dense(), metric, factors.r.dense));
      l.descend(inner.h());
      factors.l = l.finish(nullptr);
      q.retarget(weights - factors.product());
      q.descend(metric.h());
      keepBest();
    }
  }

  Decomposition best;

private:
  QuantizedPair lowRank(const at::Tensor &a) const {
    return quantizedLowRank(a, metric, options.rank, *options.factors, options.factorRounds, options.seed);
  }
  /// Whether the error fell by a thousandth.
  bool keepBest() {
    double error = metric.error(weights - q.dense() - factors.product());
    bool better = !best.factors || error < best.error * 0.999;
    if (!best.factors || error < best.error) {
      best.q = q.finish(nullptr);
      best.factors = factors;
      best.error = error;
    }
    return better;
  }

  const at::Tensor &weights;
  const Metric &metric;
  const DecomposeOptions &options;
  QuantizedPair factors;
  TileQuantizer q;
  unsigned idle = 0;
};

} // namespace

Decomposition qlr::decompose(const at::Tensor &weights, const Encoder &encoder, const Metric &metric,
                             const DecomposeOptions &options) {
  if (options.rank == 0) {
    Decomposition only;
    only.q = quantize(weights, encoder, metric, options.quantize);
    only.error = only.q.error;
    return only;
  }
  Alternation alternation(weights, encoder, metric, options);
  alternation.fitAnew();
  alternation.descend();
  return std::move(alternation.best);
}
