#include "compressor/Metric.h"

#include "runtime/format/Error.h"

#include <ATen/ATen.h>

using namespace qlr;

Moment::Moment(int64_t rows, int64_t columns) : sum(at::zeros({rows, columns}, at::kDouble)) {}

void Moment::add(const at::Tensor &x, const at::Tensor &y) {
  at::Tensor a = x.reshape({-1, sum.size(0)}), b = y.reshape({-1, sum.size(1)});
  sum.add_(a.t().mm(b));
  count += a.size(0);
}

at::Tensor Moment::mean() const { return count ? sum / static_cast<double>(count) : sum; }

at::Tensor qlr::padTo(const at::Tensor &x, int64_t rows, int64_t columns) {
  if (x.size(0) == rows && x.size(1) == columns)
    return x.contiguous();
  at::Tensor padded = at::zeros({rows, columns}, x.options());
  padded.slice(0, 0, x.size(0)).slice(1, 0, x.size(1)).copy_(x);
  return padded;
}

Metric::Metric(const at::Tensor &moment, double damping, const std::string &name) : n(moment.size(0)), label(name) {
  double mean = moment.diagonal().mean().item<double>();
  if (!std::isfinite(mean) || !at::isfinite(moment).all().item<bool>())
    fail({.tensor = name,
          .found = "calibration activations that are not finite",
          .expected = "finite ones",
          .advice = "check the model's weights"});
  if (mean <= 0)
    mean = 1; // an input that is always zero: every error is as good as any other
  int64_t padded = (n + 3) / 4 * 4;
  hessian = padTo(moment, padded, padded).clone();
  hessian.diagonal().add_(damping * mean);
  if (padded > n)
    hessian.diagonal().slice(0, n).fill_(mean);
  h32 = hessian.to(at::kFloat);
}

void Metric::failDefinite() const {
  fail({.tensor = label,
        .found = "a Hessian that is not positive definite",
        .expected = "a positive definite one",
        .advice = "use more calibration text"});
}

const at::Tensor &Metric::feedback() const {
  if (m.defined())
    return m;
  // Cholesky gives lower factors; reversing the order of the columns before and after gives the upper one.
  auto [lower, info] = at::linalg_cholesky_ex(hessian.flip({0, 1}));
  if (info.item<int>() != 0)
    failDefinite();
  at::Tensor upper = lower.flip({0, 1});
  int64_t blocks = hessian.size(0) / 4;
  at::Tensor columns = upper.reshape({-1, blocks, 4}).permute({1, 0, 2}); // [blocks, n, 4]
  at::Tensor diagonal = upper.reshape({blocks, 4, blocks, 4}).diagonal(0, 0, 2).permute({2, 0, 1}).contiguous();
  m = columns.bmm(at::linalg_inv(diagonal)).permute({1, 0, 2}).reshape(hessian.sizes()).to(at::kFloat).contiguous();
  return m;
}

double Metric::error(const at::Tensor &e) const {
  at::Tensor padded = padTo(e.to(at::kDouble), e.size(0), hessian.size(0));
  return padded.mm(hessian).mul_(padded).sum().item<double>();
}

at::Tensor Metric::divide(const at::Tensor &x) const {
  at::Tensor h = hessian.slice(0, 0, n).slice(1, 0, n);
  auto [lower, info] = at::linalg_cholesky_ex(h);
  if (info.item<int>() != 0)
    failDefinite();
  return at::cholesky_solve(x.t(), lower).t().contiguous();
}
