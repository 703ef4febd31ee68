//===- TrellisSearchPortable.cpp - the trellis search in plain C++
//---------------------------------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------------------------------------------------===//

namespace qlr::detail {
namespace {
struct Lanes {
  float at[16];
};
inline Lanes load(const float *p) {
  Lanes r;
  for (int i = 0; i < 16; ++i)
    r.at[i] = p[i];
  return r;
}
inline void store(float *p, Lanes v) {
  for (int i = 0; i < 16; ++i)
    p[i] = v.at[i];
}
inline Lanes broadcast(float v) {
  Lanes r;
  for (int i = 0; i < 16; ++i)
    r.at[i] = v;
  return r;
}
inline Lanes sub(Lanes a, Lanes b) {
  for (int i = 0; i < 16; ++i)
    a.at[i] -= b.at[i];
  return a;
}
// The built-in is a correctly rounded fused multiply-add, in hardware or in software: the vector versions' rounding.
inline Lanes fma(Lanes a, Lanes b, Lanes c) {
  for (int i = 0; i < 16; ++i)
    a.at[i] = __builtin_fmaf(a.at[i], b.at[i], c.at[i]);
  return a;
}
inline Lanes minimum(Lanes a, Lanes b) {
  for (int i = 0; i < 16; ++i)
    a.at[i] = a.at[i] < b.at[i] ? a.at[i] : b.at[i];
  return a;
}
inline unsigned short less(Lanes a, Lanes b) {
  unsigned mask = 0;
  for (int i = 0; i < 16; ++i)
    mask |= static_cast<unsigned>(a.at[i] < b.at[i]) << i;
  return static_cast<unsigned short>(mask);
}
} // namespace
} // namespace qlr::detail

#include "compressor/TrellisSearchKernel.h"

qlr::detail::SearchKernel qlr::detail::searchKernelPortable(unsigned bits, unsigned window, unsigned steps) {
  return pickKernel(bits, window, steps);
}
