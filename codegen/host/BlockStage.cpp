// Stages over blocks of 128 columns: rotation and quantization with the elementwise ops before it.
#include "codegen/host/StageEmitter.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"

#include <cmath>

using namespace mlir;

namespace qlr {
namespace {

/// x <- H x / sqrt(h) in blocks of h lanes over the concatenation of `x`; Sylvester's matrix by butterflies.
void hadamard(HostEmitter &e, SmallVector<Value> &x, int64_t h) {
  auto type = e.vecF32();
  for (int64_t stride = 1; stride < h; stride *= 2) {
    if (stride >= kLanes) {
      const int64_t apart = stride / kLanes;
      for (int64_t i = 0; i < static_cast<int64_t>(x.size()); ++i) {
        if (i / apart % 2)
          continue;
        Value a = x[i], b = x[i + apart];
        x[i] = arith::AddFOp::create(e.b, a, b);
        x[i + apart] = arith::SubFOp::create(e.b, a, b);
      }
      continue;
    }
    SmallVector<int64_t> partner;
    SmallVector<float> sign;
    for (int64_t lane = 0; lane < kLanes; ++lane) {
      partner.push_back(lane ^ stride);
      sign.push_back(lane & stride ? -1.0f : 1.0f);
    }
    Value signs = arith::ConstantOp::create(e.b, DenseElementsAttr::get(type, ArrayRef<float>(sign)));
    // lane: partner + lane for the lower, partner - lane for the upper one.
    for (Value &v : x)
      v = e.fma(v, signs, e.shuffle(v, v, partner));
  }
  Value scale = e.splatF32(static_cast<float>(1.0 / std::sqrt(static_cast<double>(h))));
  for (Value &v : x)
    v = arith::MulFOp::create(e.b, v, scale);
}

/// Lanes from `count` on become zero.
Value keepLanes(HostEmitter &e, Value v, int64_t count) {
  if (count >= kLanes)
    return v;
  SmallVector<bool> keep;
  for (int64_t lane = 0; lane < kLanes; ++lane)
    keep.push_back(lane < count);
  Value mask = arith::ConstantOp::create(e.b, DenseElementsAttr::get(e.vec(kLanes, e.b.getI1Type()), keep));
  return arith::SelectOp::create(e.b, mask, v, e.splatF32(0));
}

} // namespace

LogicalResult StageEmitter::emitBlocks(Value item) {
  LogicalResult result = success();
  auto shape = [](Type type) -> std::pair<int64_t, int64_t> {
    if (auto act = dyn_cast<ActType>(type))
      return {act.getTokens(), act.getColumns()};
    auto tensor = cast<RankedTensorType>(type);
    return {tensor.getDimSize(0), tensor.getDimSize(1)};
  };
  const auto [tokens, columns] = shape(stage.getYield().getValues().front().getType());
  const int64_t blocks = (columns + 127) / 128, rest = columns % 128;
  Value token = e.div(item, blocks), block = e.rem(item, blocks);

  auto emitBlock = [&](int64_t width) {
    current.clear();
    for (Value value : stage.getYield().getValues()) {
      if (shape(value.getType()) != std::make_pair(tokens, columns)) {
        result = stage.emitOpError("yields values of different shapes, which the host lowers only in separate stages");
        return;
      }
      Operation *op = value.getDefiningOp();
      if (auto rotate = dyn_cast_or_null<RotateOp>(op)) {
        if (failed(emitRotate(rotate, token, block, width)))
          result = failure();
        continue;
      }
      for (int64_t at = 0; at < width; at += kLanes) {
        Value column = e.add(e.mul(block, 128), at);
        FailureOr<Value> v = pull(value, token, column, kLanes);
        if (failed(v)) {
          result = failure();
          return;
        }
        e.store(*v, elementAddress(value, token, column), 64);
      }
    }
  };
  if (!rest) {
    emitBlock(128);
    return result;
  }
  Value isLast = arith::CmpIOp::create(e.b, arith::CmpIPredicate::eq, block, e.c64(blocks - 1));
  e.when(isLast, [&] { emitBlock(rest); });
  if (blocks > 1) {
    Value isWhole = arith::CmpIOp::create(e.b, arith::CmpIPredicate::ne, block, e.c64(blocks - 1));
    e.when(isWhole, [&] { emitBlock(128); });
  }
  return result;
}

LogicalResult StageEmitter::emitRotate(RotateOp op, Value token, Value block, int64_t columns) {
  ActBuffer act(cast<ActType>(op.getType()), pointer(op.getResult()));
  Value firstColumn = e.mul(block, 128);
  SmallVector<Value> x;
  for (int64_t at = 0; at < columns; at += kLanes) {
    Value column = e.add(firstColumn, at);
    FailureOr<Value> v = pull(op.getX(), token, column, kLanes);
    if (failed(v))
      return failure();
    Value turned = *v;
    if (op.getSigns())
      turned =
          arith::MulFOp::create(e.b, turned, e.load(e.vecF32(), e.at(pointer(op.getSigns()), e.mul(column, 4)), 4));
    x.push_back(keepLanes(e, turned, columns - at));
  }
  if (int64_t h = cast<ActType>(op.getType()).getRotation(); h > 1)
    hadamard(e, x, h);

  // max |x| that a NaN passes through: a broken activation reaches the logits, where it is reported.
  Value largest;
  for (Value v : x) {
    Value magnitude = math::AbsFOp::create(e.b, v);
    largest = largest ? arith::MaximumFOp::create(e.b, largest, magnitude).getResult() : magnitude;
  }
  for (int64_t n = kLanes; n > 1; n /= 2)
    largest = arith::MaximumFOp::create(e.b, e.slice(largest, 0, n / 2), e.slice(largest, n / 2, n / 2));
  Value scale = arith::DivFOp::create(e.b, e.extract(largest, 0), e.cf32(32639.0f));
  Value isZero = arith::CmpFOp::create(e.b, arith::CmpFPredicate::OEQ, scale, e.cf32(0));
  Value divisor = e.broadcast(arith::SelectOp::create(e.b, isZero, e.cf32(1), scale), e.vecF32());
  Value blockIndex = e.add(e.mul(token, act.layout.blocks), block);
  e.store(scale, e.at(act.base, e.add(e.mul(blockIndex, 4), act.layout.scale)), 4);

  // The whole padded block is written, so that padding columns meet zero activations.
  auto bytes = e.vec(kLanes, e.i8());
  Value row = e.add(e.mul(token, act.layout.paddedColumns), firstColumn);
  Value zero8 = e.constI8(SmallVector<int8_t>(kLanes, 0));
  const int64_t vectorsPerSum = act.sumColumns / kLanes;
  Value sumHi, sumLo;
  for (int64_t i = 0; i < 8; ++i) {
    Value hi8 = zero8, lo8 = zero8, hi = e.splatI32(0), lo = e.splatI32(0);
    if (i < static_cast<int64_t>(x.size())) {
      Value scaled = math::RoundEvenOp::create(e.b, arith::DivFOp::create(e.b, x[i], divisor));
      Value x16 = arith::FPToSIOp::create(e.b, e.vecI32(), scaled);
      hi = arith::ShRSIOp::create(e.b, arith::AddIOp::create(e.b, x16, e.splatI32(128)), e.splatI32(8));
      lo = arith::SubIOp::create(e.b, x16, arith::ShLIOp::create(e.b, hi, e.splatI32(8)));
      hi8 = arith::TruncIOp::create(e.b, bytes, hi);
      lo8 = arith::TruncIOp::create(e.b, bytes, lo);
    }
    e.store(hi8, e.at(act.base, e.add(row, act.layout.hi + i * kLanes)), 16);
    e.store(lo8, e.at(act.base, e.add(row, act.layout.lo + i * kLanes)), 16);
    sumHi = i % vectorsPerSum ? arith::AddIOp::create(e.b, sumHi, hi).getResult() : hi;
    sumLo = i % vectorsPerSum ? arith::AddIOp::create(e.b, sumLo, lo).getResult() : lo;
    if ((i + 1) % vectorsPerSum)
      continue;
    Value index = e.add(e.add(e.mul(token, act.layout.sums), e.mul(block, 128 / act.sumColumns)), i / vectorsPerSum);
    e.store(e.sumLanes(sumHi), e.at(act.base, e.add(e.mul(index, 4), act.layout.sumHi)), 4);
    e.store(e.sumLanes(sumLo), e.at(act.base, e.add(e.mul(index, 4), act.layout.sumLo)), 4);
  }
  return success();
}

} // namespace qlr
