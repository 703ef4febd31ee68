// Stages over tokens: embedding rows, root mean squares, the last token.
#include "codegen/host/StageEmitter.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;

namespace qlr {

LogicalResult StageEmitter::emitTokens(Value token) {
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
  return success();
}

/// Copies (or computes) a whole row of an elementwise value or a view.
LogicalResult StageEmitter::emitRow(Value matrix, Value token) {
  const int64_t columns = cast<RankedTensorType>(matrix.getType()).getDimSize(1);
  LogicalResult result = success();
  e.loop(e.c64(0), e.c64(columns), kLanes, [&](Value column) {
    FailureOr<Value> v = pull(matrix, token, column, kLanes);
    if (failed(v))
      result = failure();
    else
      e.store(*v, elementAddress(matrix, token, column), 64);
  });
  return result;
}

LogicalResult StageEmitter::emitStat(RmsStatOp op, Value token) {
  const int64_t columns = cast<RankedTensorType>(op.getX().getType()).getDimSize(1);
  const int64_t whole = columns / kLanes * kLanes, rest = columns % kLanes;
  LogicalResult result = success();
  SmallVector<Value> acc = {e.splatF32(0)};
  acc = e.loop(e.c64(0), e.c64(whole), kLanes, acc, [&](Value column, ValueRange carried) -> SmallVector<Value> {
    FailureOr<Value> v = pull(op.getX(), token, column, kLanes);
    if (failed(v)) {
      result = failure();
      return {carried[0]};
    }
    return {e.fma(*v, *v, carried[0])};
  });
  Value sum = e.sumLanes(acc[0]);
  for (int64_t i = 0; i < rest; ++i) {
    FailureOr<Value> v = pull(op.getX(), token, e.c64(whole + i), 1);
    if (failed(v))
      return failure();
    Value x = e.extract(*v, 0);
    sum = arith::AddFOp::create(e.b, sum, arith::MulFOp::create(e.b, x, x));
  }
  Value mean = arith::DivFOp::create(e.b, sum, e.cf32(columns));
  mean = arith::AddFOp::create(e.b, mean, e.cf32(op.getEps().convertToDouble()));
  Value stat = arith::DivFOp::create(e.b, e.cf32(1), math::SqrtOp::create(e.b, mean));
  e.store(stat, e.at(pointer(op.getResult()), e.mul(token, 4)), 4);
  return result;
}

LogicalResult StageEmitter::emitEmbed(EmbedOp op, Value token) {
  WeightType type = op.getWeight().getType();
  const int64_t columns = type.getColumns();
  // Ids are checked where they enter; the clamp keeps a bad one inside the table.
  Value id = e.load(e.i32(), e.at(pointer(op.getIds()), e.mul(token, 4)), 4);
  Value row = e.min(arith::ExtUIOp::create(e.b, e.i64(), id), e.c64(type.getRows() - 1));
  if (type.takesFloat()) {
    Type element = cast<FloatCodecAttr>(type.getQ()).getElementType();
    const int64_t bytes = element.getIntOrFloatBitWidth() / 8;
    Value source = e.at(pointer(op.getWeight()), e.mul(row, columns * bytes));
    e.loop(columns, [&](Value column) {
      Value address = e.at(source, e.mul(column, bytes));
      Value value;
      if (element.isF32()) {
        value = e.load(e.f32(), address, 4);
      } else {
        Value bits = arith::ExtUIOp::create(e.b, e.i32(), e.load(e.i16(), address, 2));
        value = arith::BitcastOp::create(e.b, e.f32(), arith::ShLIOp::create(e.b, bits, e.c32(16)));
      }
      e.store(value, elementAddress(op.getResult(), token, column), 4);
    });
    return success();
  }
  TileMatrix matrix = tileMatrix(op.getWeight(), type.getRows(), columns, type.getQ(), 0);
  const auto quad = e.vec(4, e.f32());
  Value strip = e.div(row, 16), rowInStrip = e.rem(row, 16);
  Value codes = e.at(matrix.codes, e.mul(strip, matrix.stripBytes()));
  Value lanes = e.stack(64), unit = matrix.decoder->unit(e);
  const int64_t factor = matrix.decoder->factor(e.level), zero = matrix.decoder->zero(e.level);
  e.loop(matrix.columnTiles(), [&](Value tile) {
    e.store(matrix.decoder->decode(e, e.at(codes, e.mul(tile, matrix.decoder->tileBytes)), 1)[0], lanes, 64);
    Value bytes = e.load(e.vec(4, e.i8()), e.at(lanes, e.mul(rowInStrip, 4)), 4);
    auto words = e.vec(4, e.i32());
    Value value = e.level == CpuLevel::Avx512 ? arith::ExtUIOp::create(e.b, words, bytes).getResult()
                                              : arith::ExtSIOp::create(e.b, words, bytes).getResult();
    value = arith::SubIOp::create(e.b, arith::MulIOp::create(e.b, value, e.splatI32(factor, 4)), e.splatI32(zero, 4));
    Value group = matrix.group ? e.div(e.mul(tile, 4), matrix.group) : e.c64(0);
    Value index = e.add(e.mul(e.add(e.mul(strip, matrix.groups()), group), 16), rowInStrip);
    Value half = e.load(e.b.getF16Type(), e.at(matrix.scales, e.mul(index, 2)), 2);
    Value scale = arith::MulFOp::create(e.b, arith::ExtFOp::create(e.b, e.f32(), half), unit);
    value = arith::MulFOp::create(e.b, arith::SIToFPOp::create(e.b, quad, value), e.broadcast(scale, quad));
    e.store(value, elementAddress(op.getResult(), token, e.mul(tile, 4)), 16);
  });
  return success();
}

} // namespace qlr
