#include "compressor/LowRank.h"

#include "compressor/Random.h"

#include <ATen/ATen.h>

using namespace qlr;

namespace {

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
  at::Tensor hr = hessian(metric).mm(r.to(at::kDouble).t());
  at::Tensor gram = r.to(at::kDouble).mm(hr);
  gram.diagonal().add_(1e-9 * gram.diagonal().mean().item<double>() + 1e-30);
  at::Tensor cross = a.to(at::kDouble).mm(hr);
  return at::linalg_solve(gram, cross.t()).t().to(at::kFloat).contiguous();
}

at::Tensor qlr::rightGivenLeft(const at::Tensor &a, const at::Tensor &l) {
  at::Tensor l64 = l.to(at::kDouble);
  at::Tensor gram = l64.t().mm(l64);
  gram.diagonal().add_(1e-9 * gram.diagonal().mean().item<double>() + 1e-30);
  return at::linalg_solve(gram, l64.t().mm(a.to(at::kDouble))).to(at::kFloat).contiguous();
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
    at::Tensor r = now.r.dense.to(at::kDouble);
    Metric inner(r.mm(hessian(metric)).mm(r.t()), 1e-4, "low-rank factor");
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

Decomposition qlr::decompose(const at::Tensor &weights, const Encoder &encoder, const Metric &metric,
                             const DecomposeOptions &options) {
  if (options.rank == 0) {
    Decomposition only;
    only.q = quantize(weights, encoder, metric, options.quantize);
    only.error = only.q.error;
    return only;
  }
  Decomposition best, now;
  unsigned idle = 0;
  bool first = true;
  auto keepBest = [&] {
    now.error = metric.error(weights - now.dense());
    if (first || now.error < best.error * 0.999)
      idle = 0;
    if (first || now.error < best.error)
      best = now;
    first = false;
  };
  for (unsigned i = 0; i < options.rounds && idle < 2; ++i) {
    ++idle;
    at::Tensor target = now.factors ? weights - now.factors->product() : weights;
    now.q = quantize(target, encoder, metric, options.quantize);
    if (now.factors)
      keepBest();
    now.factors = quantizedLowRank(weights - now.q.dense, metric, options.rank, *options.factors, options.factorRounds,
                                   options.seed);
    keepBest();
  }
  return best;
}
