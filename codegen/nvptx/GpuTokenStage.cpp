// Stages over tokens: embedding rows, root mean squares, the last token. The whole block does one token.
#include "codegen/nvptx/GpuStage.h"

#include "codegen/nvptx/GpuProduct.h"

using namespace mlir;

namespace qlr {

LogicalResult GpuStage::emitTokens(Value token) {
  const int64_t mark = e.sharedMark();
  for (Value value : stage.getYield().getValues()) {
    Operation *op = value.getDefiningOp();
    LogicalResult result = success();
    if (auto embed = dyn_cast_or_null<EmbedOp>(op))
      result = emitEmbed(embed, token);
    else if (auto stat = dyn_cast_or_null<RmsStatOp>(op))
      result = emitStat(stat, token);
    else
      result = emitRow(value, token);
    if (failed(result))
      return failure();
  }
  e.sharedRelease(mark);
  return success();
}

/// Copies (or computes) a whole row of an elementwise value or a view.
LogicalResult GpuStage::emitRow(Value matrix, Value token) {
  LogicalResult result = success();
  e.forThreads(cast<RankedTensorType>(matrix.getType()).getDimSize(1), [&](Value column) {
    FailureOr<Value> v = pull(matrix, token, column);
    if (failed(v))
      result = failure();
    else
      e.store(*v, elementAddress(matrix, token, column), 4);
  });
  return result;
}

LogicalResult GpuStage::emitStat(RmsStatOp op, Value token) {
  const int64_t columns = cast<RankedTensorType>(op.getX().getType()).getDimSize(1);
  const int64_t whole = columns / e.threads, rest = columns % e.threads;
  LogicalResult result = success();
  auto square = [&](Value column, Value sum) -> Value {
    FailureOr<Value> v = pull(op.getX(), token, column);
    if (failed(v)) {
      result = failure();
      return sum;
    }
    return e.fma(*v, *v, sum);
  };
  // The order of the additions depends on nothing but the number of columns.
  Value sum = e.cf32(0);
  if (whole)
    sum = e.loop(e.c32(0), e.c32(whole), e.c32(1), sum, [&](Value round, ValueRange carried) -> SmallVector<Value> {
      return {square(e.add(e.mul(round, e.threads), e.tid()), carried[0])};
    })[0];
  if (rest) {
    // Threads without a column read the last one again and keep their sum.
    Value column = e.min(e.add(e.tid(), whole * e.threads), columns - 1);
    sum = e.select(e.ult(e.tid(), rest), square(column, sum), sum);
  }
  Value parts = e.shared(4 * e.warps());
  sum = e.warpSum(sum);
  e.when(e.eq(e.lane(), 0), [&] { e.store(sum, e.at(parts, e.warp(), 4), 4); });
  e.barrier();
  e.when(e.eq(e.tid(), 0), [&] {
    Value total;
    for (int64_t warp = 0; warp < e.warps(); ++warp) {
      Value part = e.loadF32(e.at(parts, 4 * warp));
      total = total ? e.addf(total, part) : part;
    }
    Value mean = e.addf(e.divf(total, e.cf32(columns)), e.cf32(op.getEps().convertToDouble()));
    e.store(e.divf(e.cf32(1), e.sqrtf(mean)), e.at(pointer(op.getResult()), token, 4), 4);
  });
  return result;
}

LogicalResult GpuStage::emitEmbed(EmbedOp op, Value token) {
  WeightType type = op.getWeight().getType();
  const int64_t columns = type.getColumns();
  // Ids are checked where they enter; the clamp keeps a bad one inside the table.
  Value id = e.loadI32(e.at(pointer(op.getIds()), token, 4));
  Value row = e.min(id, type.getRows() - 1);
  if (type.takesFloat()) {
    Type element = cast<FloatCodecAttr>(type.getQ()).getElementType();
    const int64_t bytes = element.getIntOrFloatBitWidth() / 8;
    Value source = e.at(pointer(op.getWeight()), row, columns * bytes);
    e.forThreads(columns, [&](Value column) {
      Value address = e.at(source, column, bytes);
      Value value =
          element.isF32() ? e.loadConst(e.f32(), address, 4) : e.bf16ToFloat(e.loadConst(e.i16(), address, 2));
      e.store(value, elementAddress(op.getResult(), token, column), 4);
    });
    return success();
  }
  // A thread takes a tile, of which it decodes the four weights of the row.
  CodecAttrInterface codec = type.getQ();
  std::shared_ptr<GpuTileDecoder> decoder = cast<GpuCodecInterface>(codec).createGpuTileDecoder("");
  if (codec.getLevelCount())
    decoder->levels = pointer(op.getWeight(), 2);
  GpuMatrix matrix{type.getRows(),
                   columns,
                   codec.getGroup(),
                   codec.getActivationBits(),
                   decoder,
                   pointer(op.getWeight()),
                   pointer(op.getWeight(), 1)};
  Value strip = e.shr(row, 4), rowInStrip = e.andi(row, 15);
  Value codes = e.at(matrix.codes, strip, matrix.stripBytes());
  e.forThreads(matrix.columnTiles(), [&](Value tile) {
    std::array<Value, 4> weights = decoder->row(e, e.at(codes, tile, decoder->tileBytes()), rowInStrip);
    Value group = matrix.group ? e.div(tile, matrix.group / 4) : e.c32(0);
    Value scale = rowScale(e, matrix, strip, rowInStrip, group);
    SmallVector<Value> values;
    for (Value weight : weights)
      values.push_back(e.mulf(e.sitofp(weight), scale));
    // Rows have room for whole tiles.
    e.storeMany(values, elementAddress(op.getResult(), token, e.mul(tile, 4)));
  });
  return success();
}

} // namespace qlr
