// Products with plain rows of bf16 or f32: four rows and up to four tokens at a time.
#include "codegen/host/StageEmitter.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;

namespace qlr {
namespace {

/// `width` weights at `address` as f32.
Value loadWeights(HostEmitter &e, Type element, Value address, int64_t width) {
  if (element.isF32())
    return e.load(e.vec(width, e.f32()), address, 4);
  Value bits = arith::ExtUIOp::create(e.b, e.vec(width, e.i32()), e.load(e.vec(width, e.i16()), address, 2));
  return e.bitcast(arith::ShLIOp::create(e.b, bits, e.splatI32(16, width)), e.vec(width, e.f32()));
}

} // namespace

void StageEmitter::emitFloatProducts(MatmulOp op, Value strip, Value out) {
  WeightType type = op.getWeight().getType();
  Type element = cast<FloatCodecAttr>(type.getQ()).getElementType();
  const int64_t columns = type.getColumns(), tokens = cast<RankedTensorType>(op.getType()).getDimSize(0);
  const int64_t elementBytes = element.getIntOrFloatBitWidth() / 8, rowBytes = columns * elementBytes;
  const int64_t whole = columns / kLanes * kLanes, rest = columns % kLanes;
  Value codes = pointer(op.getWeight());
  constexpr int64_t kRows = 4;

  auto product = [&](Value firstRow, Value rowInStrip, Value firstToken, int64_t count) {
    SmallVector<Value> rows, x;
    for (int64_t r = 0; r < kRows; ++r) {
      // Rows beyond the last repeat it; their results are padding.
      Value row = e.min(e.add(firstRow, r), e.c64(type.getRows() - 1));
      rows.push_back(e.at(codes, e.mul(row, rowBytes)));
    }
    for (int64_t t = 0; t < count; ++t)
      x.push_back(elementAddress(op.getX(), e.add(firstToken, t), e.c64(0)));
    auto step = [&](Value column, int64_t width, SmallVector<Value> acc) {
      SmallVector<Value> w;
      for (int64_t r = 0; r < kRows; ++r)
        w.push_back(loadWeights(e, element, e.at(rows[r], e.mul(column, elementBytes)), width));
      for (int64_t t = 0; t < count; ++t) {
        Value v = e.load(e.vec(width, e.f32()), e.at(x[t], e.mul(column, 4)), 4);
        for (int64_t r = 0; r < kRows; ++r)
          acc[r * count + t] = e.fma(w[r], v, acc[r * count + t]);
      }
      return acc;
    };
    SmallVector<Value> acc(kRows * count, e.splatF32(0));
    if (whole)
      acc = e.loop(e.c64(0), e.c64(whole), kLanes, acc,
                   [&](Value column, ValueRange carried) { return step(column, kLanes, llvm::to_vector(carried)); });
    SmallVector<Value> tail;
    if (rest)
      tail = step(e.c64(whole), rest, SmallVector<Value>(kRows * count, e.splatF32(0, rest)));
    for (int64_t r = 0; r < kRows; ++r)
      for (int64_t t = 0; t < count; ++t) {
        Value sum = e.sumLanes(acc[r * count + t]);
        if (rest) {
          // Widened with zeros so that the sum halves evenly.
          SmallVector<int64_t> lanes;
          for (int64_t i = 0; i < kLanes; ++i)
            lanes.push_back(i < rest ? i : rest);
          Value wide = e.shuffle(tail[r * count + t], e.splatF32(0, rest), lanes);
          sum = arith::AddFOp::create(e.b, sum, e.sumLanes(wide));
        }
        Value index = e.add(e.mul(e.add(firstToken, t), kLanes), e.add(rowInStrip, r));
        e.store(sum, e.at(out, e.mul(index, 4)), 4);
      }
  };
  e.loop(e.c64(0), e.c64(kLanes), kRows, [&](Value row) {
    Value firstRow = e.add(e.mul(strip, kLanes), row);
    const int64_t group = std::min<int64_t>(tokens, 4), wholeTokens = tokens / group * group;
    e.loop(e.c64(0), e.c64(wholeTokens), group, [&](Value token) { product(firstRow, row, token, group); });
    if (tokens > wholeTokens)
      product(firstRow, row, e.c64(wholeTokens), tokens - wholeTokens);
  });
}

} // namespace qlr
