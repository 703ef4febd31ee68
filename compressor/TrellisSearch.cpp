//===- TrellisSearch.cpp - batching and dispatch of the trellis search
//-----------------------------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------------------------------------------------===//

#include "compressor/TrellisSearch.h"

#include "runtime/format/Error.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <string>

using namespace qlr;

namespace {

detail::SearchKernel kernelFor(SearchIsa isa, unsigned bits, unsigned window, unsigned steps) {
  switch (isa) {
  case SearchIsa::Avx512:
    return detail::searchKernelAvx512(bits, window, steps);
  case SearchIsa::Avx2:
    return detail::searchKernelAvx2(bits, window, steps);
  case SearchIsa::Portable:
    break;
  }
  return detail::searchKernelPortable(bits, window, steps);
}

} // namespace

bool TrellisSearch::hasIsa(SearchIsa isa) {
  switch (isa) {
  case SearchIsa::Avx512:
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
  case SearchIsa::Avx2:
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  case SearchIsa::Portable:
    break;
  }
  return true;
}

SearchIsa TrellisSearch::bestIsa() {
  static const SearchIsa best = hasIsa(SearchIsa::Avx512) ? SearchIsa::Avx512
                                : hasIsa(SearchIsa::Avx2) ? SearchIsa::Avx2
                                                          : SearchIsa::Portable;
  return best;
}

TrellisSearch::TrellisSearch(unsigned bits, unsigned window, std::vector<float> levels, unsigned steps)
    : b(bits), l(window), n(steps), table(std::move(levels)), isa(bestIsa()) {
  if (!detail::searchKernelPortable(bits, window, steps) || table.size() != size_t(1) << window)
    throw Error("no trellis search for " + std::to_string(bits) + " bits, window " + std::to_string(window) + ", " +
                std::to_string(steps) + " steps and " + std::to_string(table.size()) + " levels");
}

void TrellisSearch::setIsa(SearchIsa wanted) {
  if (!hasIsa(wanted))
    throw Error("this CPU lacks the instruction set asked for the trellis search");
  isa = wanted;
}

void TrellisSearch::search(const float *targets, size_t tiles, uint8_t *windows) const {
  detail::SearchKernel kernel = kernelFor(isa, b, l, n);
  std::vector<float> store((n + 1) * lanes);
  std::vector<uint8_t> found(n * lanes);
  uint8_t overlap[lanes];
  void *aligned = store.data();
  size_t space = store.size() * sizeof(float);
  float *x = static_cast<float *>(std::align(64, n * lanes * sizeof(float), aligned, space));
  for (size_t at = 0; at < tiles; at += lanes) {
    size_t count = std::min(lanes, tiles - at);
    for (size_t i = 0; i < n; ++i)
      for (size_t t = 0; t < lanes; ++t)
        x[i * lanes + t] = t < count ? targets[(at + t) * n + i] : 0.0f;
    kernel({x, table.data(), found.data(), overlap, false, refine});
    for (size_t t = 0; t < count; ++t)
      for (size_t i = 0; i < n; ++i)
        windows[(at + t) * n + i] = found[i * lanes + t];
  }
}

void TrellisSearch::searchFixed(const float *target, unsigned wrapping, uint8_t *windows) const {
  alignas(64) float x[64 * lanes] = {};
  uint8_t found[64 * lanes], overlap[lanes];
  std::fill(overlap, overlap + lanes, static_cast<uint8_t>(wrapping));
  for (size_t i = 0; i < n; ++i)
    x[i * lanes] = target[i];
  kernelFor(isa, b, l, n)({x, table.data(), found, overlap, true, false});
  for (size_t i = 0; i < n; ++i)
    windows[i] = found[i * lanes];
}

void TrellisSearch::pack(const uint8_t *windows, uint8_t *bytes) const {
  std::memset(bytes, 0, n * b / 8);
  for (unsigned i = 0; i < n; ++i) {
    unsigned code = windows[i] >> (l - b);
    for (unsigned k = 0; k < b; ++k)
      bytes[(i * b + k) / 8] |= static_cast<uint8_t>(((code >> k) & 1u) << ((i * b + k) % 8));
  }
}
