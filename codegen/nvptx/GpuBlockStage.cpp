// Stages over blocks of 128 columns: rotation and quantization with the elementwise ops before it. Every warp does one
// (token, block); lane l holds columns l, l + 32, l + 64 and l + 96, so that a warp's loads and stores lie side by
// side.
#include "codegen/nvptx/GpuStage.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

#include <cmath>

using namespace mlir;

namespace qlr {
namespace {

constexpr int64_t kBlockColumns = 128;
constexpr int64_t kPerLane = kBlockColumns / kWarp;

/// x <- H x / sqrt(h) in blocks of h columns; Sylvester's matrix by butterflies.
void hadamard(GpuEmitter &e, SmallVector<Value> &x, int64_t h) {
  for (int64_t stride = 1; stride < h; stride *= 2) {
    if (stride >= kWarp) {
      const int64_t apart = stride / kWarp;
      for (int64_t i = 0; i < kPerLane; ++i) {
        if (i / apart % 2)
          continue;
        Value a = x[i], b = x[i + apart];
        x[i] = e.addf(a, b);
        x[i + apart] = e.subf(a, b);
      }
      continue;
    }
    // Lane: lane + partner for the lower, partner - lane for the upper one.
    Value sign = e.select(e.eq(e.andi(e.lane(), stride), 0), e.cf32(1), e.cf32(-1));
    for (Value &v : x)
      v = e.fma(v, sign, e.shuffleXor(v, stride));
  }
  Value scale = e.cf32(1.0 / std::sqrt(static_cast<double>(h)));
  for (Value &v : x)
    v = e.mulf(v, scale);
}

std::pair<int64_t, int64_t> shapeOf(Type type) {
  if (auto act = dyn_cast<ActType>(type))
    return {act.getTokens(), act.getColumns()};
  auto tensor = cast<RankedTensorType>(type);
  return {tensor.getDimSize(0), tensor.getDimSize(1)};
}

} // namespace

LogicalResult GpuStage::emitBlocks(Value item) {
  auto yielded = stage.getYield().getValues();
  const auto shape = shapeOf(yielded.front().getType());
  if (!llvm::all_of(yielded.getTypes(), [&](Type type) { return shapeOf(type) == shape; }))
    return stage.emitOpError("yields values of different shapes, which a GPU kernel has only in separate stages");
  const auto [tokens, columns] = shape;
  const int64_t blocks = (columns + kBlockColumns - 1) / kBlockColumns, rest = columns % kBlockColumns;
  LogicalResult result = success();
  Value place = e.add(e.mul(item, e.warps()), e.warp());
  auto emitPlace = [&] {
    Value token = e.div(place, blocks), block = blocks == 1 ? e.c32(0) : e.rem(place, blocks);
    for (Value value : yielded) {
      if (auto rotate = dyn_cast_or_null<RotateOp>(value.getDefiningOp())) {
        if (failed(emitRotate(rotate, token, block)))
          result = failure();
        continue;
      }
      for (int64_t i = 0; i < kPerLane; ++i) {
        Value column = e.add(e.mul(block, kBlockColumns), e.add(e.lane(), i * kWarp));
        auto copy = [&] {
          FailureOr<Value> v = pull(value, token, column);
          if (failed(v))
            result = failure();
          else
            e.store(*v, elementAddress(value, token, column), 4);
        };
        if (rest)
          e.when(e.ult(column, columns), copy);
        else
          copy();
      }
    }
  };
  // Warps beyond the last place have nothing to do.
  if (tokens * blocks % e.warps())
    e.when(e.ult(place, tokens * blocks), emitPlace);
  else
    emitPlace();
  return result;
}

LogicalResult GpuStage::emitRotate(RotateOp op, Value token, Value block) {
  auto type = cast<ActType>(op.getType());
  const ActLayout layout = actLayout(type);
  const int64_t columns = type.getColumns();
  Value base = pointer(op.getResult());
  Value firstColumn = e.add(e.mul(block, kBlockColumns), e.lane());
  SmallVector<Value> x;
  for (int64_t i = 0; i < kPerLane; ++i) {
    Value column = e.add(firstColumn, i * kWarp);
    // Lanes beyond the last column read it again; they hold zeros.
    Value readable = columns % kBlockColumns ? e.min(column, columns - 1) : column;
    FailureOr<Value> v = pull(op.getX(), token, readable);
    if (failed(v))
      return failure();
    Value turned = op.getSigns() ? e.mulf(*v, loadVector(op.getSigns(), readable)) : *v;
    x.push_back(columns % kBlockColumns ? e.select(e.ult(column, columns), turned, e.cf32(0)) : turned);
  }
  if (int64_t h = type.getRotation(); h > 1)
    hadamard(e, x, h);

  // max |x| that a NaN passes through: a broken activation reaches the logits, where it is reported.
  Value largest = e.absf(x[0]);
  for (Value v : ArrayRef<Value>(x).drop_front())
    largest = e.maxfNan(largest, e.absf(v));
  largest = e.warpMaxNan(largest);
  Value scale = e.divf(largest, e.cf32(32639.0f));
  Value isZero = arith::CmpFOp::create(e.b, arith::CmpFPredicate::OEQ, scale, e.cf32(0));
  Value divisor = e.select(isZero, e.cf32(1), scale);
  e.when(e.eq(e.lane(), 0),
         [&] { e.store(scale, e.at(e.at(base, layout.scale), e.add(e.mul(token, layout.blocks), block), 4), 4); });
  // The whole padded block is written, so that padding columns meet zero activations. Nobody reads the sums: signed
  // bytes meet signed bytes on a GPU.
  Value row = e.add(e.mul(token, layout.paddedColumns), firstColumn);
  for (int64_t i = 0; i < kPerLane; ++i) {
    Value x16 = e.fptosi(e.roundEven(e.divf(x[i], divisor)));
    Value hi = e.sar(e.add(x16, 128), 8), lo = e.sub(x16, e.shl(hi, 8));
    Value at = e.add(row, i * kWarp);
    e.store(arith::TruncIOp::create(e.b, e.i8(), hi), e.at(e.at(base, layout.hi), at), 1);
    e.store(arith::TruncIOp::create(e.b, e.i8(), lo), e.at(e.at(base, layout.lo), at), 1);
  }
  return success();
}

} // namespace qlr
