//===- Metric.h - the Hessian of a linear layer's output error ------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#pragma once

#include <ATen/core/Tensor.h>

namespace qlr {

/// Sums X^T Y over batches of activations: products in fp32, the sum in fp64.
class Moment {
public:
  Moment(int64_t rows, int64_t columns);
  /// x is [..., rows], y [..., columns]; fp32, the same leading sizes.
  void add(const at::Tensor &x, const at::Tensor &y);
  /// The mean of x y^T, fp64.
  at::Tensor mean() const;

private:
  at::Tensor sum;
  int64_t count = 0;
};

/// H = E[x x^T] plus damping: tr(E H E^T) is the expected squared error of the outputs for weight errors E. Columns are
/// padded to a multiple of four by columns of the identity, which nothing couples to.
class Metric {
public:
  /// `moment` is fp64 [columns, columns]; `damping` is a share of the mean diagonal. Throws Error where the moment is
  /// not finite or, damped, not positive definite; `name` stands in the message.
  Metric(const at::Tensor &moment, double damping, const std::string &name);

  int64_t columns() const { return n; }
  int64_t paddedColumns() const { return h32.size(0); }
  /// fp32, padded.
  const at::Tensor &h() const { return h32; }
  /// fp64, padded.
  const at::Tensor &h64() const { return hessian; }
  /// The unit block upper triangular M of H = M D M^T (blocks of four), fp32: made when first asked for. An error E_j
  /// of block j is best answered by adding E_j M_jk to the target of each later block k.
  const at::Tensor &feedback() const;
  /// X H^-1 for X [rows, columns]; fp64.
  at::Tensor divide(const at::Tensor &x) const;
  /// tr(E H E^T) for errors [rows, columns] or [rows, padded columns].
  double error(const at::Tensor &e) const;

private:
  [[noreturn]] void failDefinite() const;

  int64_t n;
  at::Tensor hessian, h32;
  mutable at::Tensor m;
  std::string label;
};

/// The tensor with `rows` x `columns`, filled up with zeros.
at::Tensor padTo(const at::Tensor &x, int64_t rows, int64_t columns);

} // namespace qlr
