// What qlr-select-variants chooses where nothing was measured.
#ifndef QLR_PASSES_COSTMODEL_H
#define QLR_PASSES_COSTMODEL_H

#include "dialect/Qlr.h"

namespace qlr {

/// How a product over strips is cut.
struct Variant {
  int64_t strips;       ///< of 16 rows, in one item
  int64_t accumulators; ///< independent sums of a strip
  int64_t tokens;       ///< at a time
};

/// The product of one stage: a matrix of `strips` strips with `columns` columns meets `tokens` tokens.
struct Product {
  CodecAttrInterface codec;
  int64_t strips, columns, tokens;
};

Variant chooseVariant(const Product &product);

/// How a product is done on a GPU.
struct GpuVariant {
  std::string multiply; ///< dp4a, imma, hmma; empty for plain rows
  std::string decode;   ///< empty: the codec's own choice
  int64_t strips;       ///< of an item
  int64_t splits;       ///< items along the columns that share a result
};

/// What the user wants of GPU variants; empty and 0 leave it to the model.
struct GpuWishes {
  std::string multiply, decode;
  int64_t splits = 0;
};

GpuVariant chooseGpuVariant(const Product &product, const GpuWishes &wishes);

/// Items along the positions that share an attention head's result.
int64_t chooseAttentionSplits(int64_t tokens, int64_t kvHeads, const GpuWishes &wishes);

} // namespace qlr

#endif // QLR_PASSES_COSTMODEL_H
