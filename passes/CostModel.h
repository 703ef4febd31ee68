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

} // namespace qlr

#endif // QLR_PASSES_COSTMODEL_H
