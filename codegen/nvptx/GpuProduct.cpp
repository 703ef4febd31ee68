// Choice between the inner loops, the exchange between warps, and what they share.
#include "codegen/nvptx/GpuProduct.h"

using namespace mlir;

namespace qlr {

std::optional<Multiply> parseMultiply(llvm::StringRef name) {
  if (name == "dp4a")
    return Multiply::Dp4a;
  if (name == "imma")
    return Multiply::Imma;
  if (name == "hmma")
    return Multiply::Hmma;
  return std::nullopt;
}

Value rowScale(GpuEmitter &e, const GpuMatrix &matrix, Value strip, Value row, Value group) {
  Value index = e.add(e.mul(e.add(e.mul(strip, matrix.groups()), group), 16), row);
  Value half = e.loadConst(e.i16(), e.at(matrix.scales, index, 2), 2);
  return e.mulf(e.halfToFloat(half), matrix.decoder->unit(e));
}

int64_t productBytes(const GpuMatrix &matrix, const GpuVariant &variant, int64_t tokens) {
  const int64_t result = tokens * 16 * variant.strips * 4;
  return tokens > 8 ? std::max(result, blockMmaBytes(matrix, tokens)) : result;
}

void emitProduct(GpuEmitter &e, const GpuMatrix &matrix, const GpuAct &act, Value firstStrip, const BlockRange &range,
                 const GpuVariant &variant, Value out) {
  if (act.tokens > 8)
    return emitBlockMma(e, matrix, act, firstStrip, range, out);
  if (variant.multiply == Multiply::Dp4a)
    return emitDp4a(e, matrix, act, firstStrip, range, out);
  emitWarpMma(e, matrix, act, firstStrip, range, variant.multiply, out);
}

} // namespace qlr
