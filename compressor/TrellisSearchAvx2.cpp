//===- TrellisSearchAvx2.cpp - the trellis search with 16 tiles in two registers
//------------------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------------------------------------------------===//

#include <immintrin.h>

namespace qlr::detail {
namespace {
struct Lanes {
  __m256 low, high;
};
inline Lanes load(const float *p) { return {_mm256_load_ps(p), _mm256_load_ps(p + 8)}; }
inline void store(float *p, Lanes v) {
  _mm256_store_ps(p, v.low);
  _mm256_store_ps(p + 8, v.high);
}
inline Lanes broadcast(float v) { return {_mm256_set1_ps(v), _mm256_set1_ps(v)}; }
inline Lanes sub(Lanes a, Lanes b) { return {_mm256_sub_ps(a.low, b.low), _mm256_sub_ps(a.high, b.high)}; }
inline Lanes fma(Lanes a, Lanes b, Lanes c) {
  return {_mm256_fmadd_ps(a.low, b.low, c.low), _mm256_fmadd_ps(a.high, b.high, c.high)};
}
inline Lanes minimum(Lanes a, Lanes b) { return {_mm256_min_ps(a.low, b.low), _mm256_min_ps(a.high, b.high)}; }
inline unsigned short less(Lanes a, Lanes b) {
  unsigned low = _mm256_movemask_ps(_mm256_cmp_ps(a.low, b.low, _CMP_LT_OQ));
  unsigned high = _mm256_movemask_ps(_mm256_cmp_ps(a.high, b.high, _CMP_LT_OQ));
  return static_cast<unsigned short>(low | (high << 8));
}
} // namespace
} // namespace qlr::detail

#include "compressor/TrellisSearchKernel.h"

qlr::detail::SearchKernel qlr::detail::searchKernelAvx2(unsigned bits, unsigned window, unsigned steps) {
  return pickKernel(bits, window, steps);
}
