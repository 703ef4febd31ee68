//===- TrellisSearch.h - tail-biting Viterbi search over tiles
//-----------------------------------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The search behind the tile trellis codecs. It knows nothing of tensors: batches of 16 tiles in, windows out.
//
//===----------------------------------------------------------------------------------------------------------------===//

#ifndef QLR_COMPRESSOR_TRELLISSEARCH_H
#define QLR_COMPRESSOR_TRELLISSEARCH_H

#include <cstddef>
#include <cstdint>
#include <vector>

namespace qlr {

/// The instruction sets the search is compiled for. All give identical windows: every lane does the same fused
/// multiply-add and breaks ties the same way.
enum class SearchIsa { Portable, Avx2, Avx512 };

/// Finds, for sequences of targets, the tail-biting path through a shift-register trellis with the least squared error.
/// A path is given by its windows: window i holds the bits b·i+b−L … b·i+b−1 of the tile (indices modulo steps·b), so
/// consecutive windows overlap in L−b bits and the last overlaps the first.
class TrellisSearch {
public:
  /// Tiles searched side by side, one a vector lane.
  static constexpr size_t lanes = 16;

  /// \p levels has 2^window values; \p steps is 64 for tiles, 8 for tests against exhaustive search.
  TrellisSearch(unsigned bits, unsigned window, std::vector<float> levels, unsigned steps = 64);

  /// The best instruction set of this CPU.
  static SearchIsa bestIsa();
  static bool hasIsa(SearchIsa isa);
  /// Forces an instruction set (for tests); the CPU must have it.
  void setIsa(SearchIsa isa);
  /// Whether the third pass runs (it does unless told otherwise; training of levels goes without).
  void setRefine(bool wanted) { refine = wanted; }

  /// Three passes: the first, rolled by half, finds the bits that wrap around; the second is exact for them; the third,
  /// rolled by half again, keeps the bits the second has in the middle and frees those that wrap around, so it can only
  /// gain. \p targets is [tiles][steps], \p windows the same shape.
  void search(const float *targets, size_t tiles, uint8_t *windows) const;

  /// The exact search for one tile whose wrapping bits (the high L−b bits of its last window) are \p overlap.
  void searchFixed(const float *target, unsigned overlap, uint8_t *windows) const;

  /// Packs the windows of one tile: weight i owns bits b·i … b·i+b−1.
  void pack(const uint8_t *windows, uint8_t *bytes) const;

  unsigned bits() const { return b; }
  unsigned window() const { return l; }
  unsigned steps() const { return n; }
  const std::vector<float> &levels() const { return table; }

private:
  unsigned b, l, n;
  std::vector<float> table;
  SearchIsa isa;
  bool refine = true;
};

namespace detail {

/// One batch for a kernel; all arrays have 16 lanes innermost.
struct SearchBatch {
  const float *targets; // [steps][16]
  const float *levels;  // [2^window]
  uint8_t *windows;     // [steps][16], out
  uint8_t *overlap;     // [16], out of the first pass; in, where fixed
  bool fixed;           // the overlap is given
  bool refine;          // search once more, rolled by half, for the overlap found in the middle
};

using SearchKernel = void (*)(const SearchBatch &);

/// The kernel for a trellis, null where none was compiled.
SearchKernel searchKernelPortable(unsigned bits, unsigned window, unsigned steps);
SearchKernel searchKernelAvx2(unsigned bits, unsigned window, unsigned steps);
SearchKernel searchKernelAvx512(unsigned bits, unsigned window, unsigned steps);

} // namespace detail
} // namespace qlr

#endif
