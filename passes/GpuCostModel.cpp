// The cost model of GPU variants. It knows no card: it asks for enough items to fill the largest of today's several
// times over, as long as an item stays worth its prologue.
#include "passes/CostModel.h"

#include "llvm/Support/MathExtras.h"

namespace qlr {

namespace {

constexpr int64_t kItemsWanted = 264; ///< two for each of 132 multiprocessors
constexpr int64_t kBlocksPerItem = 8; ///< a block of 128 columns for each of its 8 warps
constexpr int64_t kMaxSplits = 16;

int64_t splitsFor(int64_t groups, int64_t most) {
  const int64_t wanted = llvm::divideCeil(kItemsWanted, groups);
  return std::max<int64_t>(1, std::min({wanted, most, kMaxSplits}));
}

} // namespace

GpuVariant chooseGpuVariant(const Product &product, const GpuWishes &wishes) {
  // Plain rows: a warp takes a row at a time, so two strips are four rows for each of 8 warps.
  if (product.codec.isPlainRows())
    return {"", "", 2, 1};
  GpuVariant variant{"imma", "", 8, 1};
  const bool manyTokens = product.tokens > 8;
  if (!manyTokens && (wishes.multiply == "hmma" || (wishes.multiply == "dp4a" && product.tokens <= 2)))
    variant.multiply = wishes.multiply;
  if (variant.multiply == "dp4a")
    variant.strips = 4;
  // A table of four weights is there for 2 bits (and 3 bits of plain integers); copies in every bank need a short
  // index.
  const unsigned bits = product.codec.getBits();
  const bool isTrellis = product.codec.getLevelCount() > 0;
  const bool fits =
      !manyTokens && (wishes.decode == "lut4"      ? bits == 2 || (bits == 3 && !isTrellis)
                      : wishes.decode == "lut2"    ? bits <= 3 || isTrellis
                      : wishes.decode == "lut2x32" ? isTrellis && product.codec.getLevelCount() << bits <= 512
                                                   : false);
  if (fits)
    variant.decode = wishes.decode;
  else if ((variant.multiply == "hmma" || manyTokens) && (isTrellis || bits <= 3))
    // hmma: its entries are operands as they are. Many tokens: shared memory is for tiles, and decoding hardly counts.
    variant.decode = "lut2";
  const int64_t groups = llvm::divideCeil(product.strips, variant.strips);
  const int64_t blocks = llvm::divideCeil(product.columns, 128);
  variant.splits = wishes.splits ? std::min(wishes.splits, blocks) : splitsFor(groups, blocks / kBlocksPerItem);
  return variant;
}

int64_t chooseAttentionSplits(int64_t tokens, int64_t kvHeads, const GpuWishes &wishes) {
  return wishes.splits ? wishes.splits : splitsFor(tokens * kvHeads, kMaxSplits);
}

} // namespace qlr
