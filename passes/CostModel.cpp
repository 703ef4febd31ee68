// The cost model: a table of variants, each with the shapes it is for.
#include "passes/CostModel.h"

namespace qlr {

namespace {

struct Row {
  Variant variant;
  int64_t minStrips;  ///< fewer would leave threads without an item at the end
  int64_t minColumns; ///< below, an item is too short to pay for its own prologue
  int64_t minTokens, maxTokens;
};

/// The first row that fits, from single kernels timed on AVX-512. One token: two strips share the activations
/// they load, but need enough items that 16 threads finish together (8 items each: 1/8 idle at worst). Several tokens:
/// four strips by four tokens fill the registers with sums, every loaded activation meets four strips and every weight
/// four tokens.
constexpr Row kRows[] = {
    {{.strips = 2, .accumulators = 4, .tokens = 1}, 256, 256, 1, 1},
    {{.strips = 1, .accumulators = 4, .tokens = 1}, 0, 0, 1, 1},
    {{.strips = 4, .accumulators = 1, .tokens = 4}, 0, 0, 2, INT64_MAX},
};

} // namespace

Variant chooseVariant(const Product &product) {
  for (const Row &row : kRows)
    if (product.strips >= row.minStrips && product.columns >= row.minColumns && product.tokens >= row.minTokens &&
        product.tokens <= row.maxTokens)
      // Plain rows are read one strip at a time.
      return product.codec.isPlainRows() ? Variant{1, row.variant.accumulators, row.variant.tokens} : row.variant;
  llvm_unreachable("the last rows take every shape");
}

} // namespace qlr
