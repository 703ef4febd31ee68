//===- TrellisSearchAvx512.cpp - the trellis search with 16 tiles in a register
//-------------------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------------------------------------------------===//

#include <immintrin.h>

namespace qlr::detail {
namespace {
using Lanes = __m512;
inline Lanes load(const float *p) { return _mm512_load_ps(p); }
inline void store(float *p, Lanes v) { _mm512_store_ps(p, v); }
inline Lanes broadcast(float v) { return _mm512_set1_ps(v); }
inline Lanes sub(Lanes a, Lanes b) { return _mm512_sub_ps(a, b); }
inline Lanes fma(Lanes a, Lanes b, Lanes c) { return _mm512_fmadd_ps(a, b, c); }
inline Lanes minimum(Lanes a, Lanes b) { return _mm512_min_ps(a, b); }
inline unsigned short less(Lanes a, Lanes b) { return _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ); }
} // namespace
} // namespace qlr::detail

#include "compressor/TrellisSearchKernel.h"

qlr::detail::SearchKernel qlr::detail::searchKernelAvx512(unsigned bits, unsigned window, unsigned steps) {
  return pickKernel(bits, window, steps);
}
