// Stages over heads: rotary position embedding and the cache's new rows.
#include "codegen/host/StageEmitter.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

#include <cmath>

using namespace mlir;

namespace qlr {

LogicalResult StageEmitter::emitHeads(Value item) {
  LogicalResult result = success();
  // Ops with fewer heads than the stage has leave the other items to the rest.
  auto forHead = [&](int64_t tokens, int64_t heads, llvm::function_ref<LogicalResult(Value, Value)> body) {
    const int64_t perToken = stage.getItems() / tokens;
    Value token = e.div(item, perToken), head = e.rem(item, perToken);
    auto run = [&] {
      if (failed(body(token, head)))
        result = failure();
    };
    if (heads == perToken)
      return run();
    e.when(arith::CmpIOp::create(e.b, arith::CmpIPredicate::ult, head, e.c64(heads)), run);
  };
  auto tokensOf = [](Value matrix) { return cast<RankedTensorType>(matrix.getType()).getDimSize(0); };

  for (Operation &op : stage.getBody().front()) {
    if (auto append = dyn_cast<CacheAppendOp>(op))
      forHead(tokensOf(append.getK()), append.getCache().getType().getKvHeads(),
              [&](Value token, Value head) { return emitAppend(append, token, head); });
    if (auto attention = dyn_cast<AttentionOp>(op))
      forHead(tokensOf(attention.getQ()), attention.getHeads(),
              [&](Value token, Value head) { return emitAttention(attention, token, head); });
    auto rope = dyn_cast<RopeOp>(op);
    if (!rope || !llvm::is_contained(stage.getYield().getValues(), rope.getResult()))
      continue;
    forHead(tokensOf(rope.getX()), rope.getHeads(), [&](Value token, Value head) -> LogicalResult {
      const int64_t headDim = rope.getHeadDim();
      FailureOr<SmallVector<Value>> vectors = headVectors(rope.getResult(), token, head, headDim, kLanes);
      if (failed(vectors))
        return failure();
      const int64_t width = headDim / vectors->size();
      for (auto [i, v] : llvm::enumerate(*vectors))
        e.store(v, elementAddress(rope.getResult(), token, e.add(e.mul(head, headDim), width * i)), 4);
      return success();
    });
  }
  return result;
}

/// The columns of one head in vectors of equal width: the largest power of two up to `width` that divides the head
/// (half the head under a rope, whose halves meet).
FailureOr<SmallVector<Value>> StageEmitter::headVectors(Value matrix, Value token, Value head, int64_t headDim,
                                                        int64_t width) {
  auto fit = [](int64_t width, int64_t size) {
    while (size % width)
      width /= 2;
    return width;
  };
  auto rope = dyn_cast_or_null<RopeOp>(matrix.getDefiningOp());
  if (!rope || rope->getParentOp() != stage.getOperation()) {
    width = fit(width, headDim);
    SmallVector<Value> vectors;
    for (int64_t at = 0; at < headDim; at += width) {
      FailureOr<Value> v = pull(matrix, token, e.add(e.mul(head, headDim), at), width);
      if (failed(v))
        return failure();
      vectors.push_back(*v);
    }
    return vectors;
  }

  const int64_t half = headDim / 2;
  width = fit(width, half);
  FailureOr<SmallVector<Value>> input = headVectors(rope.getX(), token, head, headDim, width);
  if (failed(input))
    return failure();
  SmallVector<Value> result(input->size());
  Value place = e.add(position(rope.getPosition()), token);
  auto wide = e.vec(width, e.b.getF64Type());
  Value places = e.broadcast(arith::SIToFPOp::create(e.b, e.b.getF64Type(), place), wide);
  const int64_t halves = input->size() / 2;
  for (int64_t i = 0; i < halves; ++i) {
    // Angles in turns and in fp64: a position of 10^5 keeps nine digits of its angle.
    SmallVector<double> turnsPerPosition;
    for (int64_t lane = 0; lane < width; ++lane)
      turnsPerPosition.push_back(std::pow(rope.getTheta().convertToDouble(), -2.0 * (i * width + lane) / headDim) /
                                 (2 * M_PI));
    Value rate = arith::ConstantOp::create(e.b, DenseElementsAttr::get(wide, ArrayRef<double>(turnsPerPosition)));
    auto [sine64, cosine64] = e.sinCosTurns(arith::MulFOp::create(e.b, places, rate));
    auto narrow = e.vec(width, e.f32());
    Value sine = arith::TruncFOp::create(e.b, narrow, sine64), cosine = arith::TruncFOp::create(e.b, narrow, cosine64);
    Value low = (*input)[i], high = (*input)[i + halves];
    result[i] = e.fma(low, cosine, arith::NegFOp::create(e.b, arith::MulFOp::create(e.b, high, sine)));
    result[i + halves] = e.fma(high, cosine, arith::MulFOp::create(e.b, low, sine));
  }
  return result;
}

LogicalResult StageEmitter::emitAppend(CacheAppendOp op, Value token, Value head) {
  CacheType cache = op.getCache().getType();
  const int64_t headDim = cache.getHeadDim(), heads = cache.getKvHeads();
  const int64_t bytes = cache.getElementType().getIntOrFloatBitWidth() / 8;
  // [position][key | value][head][dimension]
  Value place = e.add(position(op.getPosition()), token);
  Value row = e.at(pointer(op.getCache()), e.mul(place, 2 * heads * headDim * bytes));
  for (int64_t part = 0; part < 2; ++part) {
    FailureOr<SmallVector<Value>> vectors = headVectors(part ? op.getV() : op.getK(), token, head, headDim, kLanes);
    if (failed(vectors))
      return failure();
    const int64_t width = headDim / vectors->size();
    for (auto [i, v] : llvm::enumerate(*vectors)) {
      Value offset = e.mul(e.add(e.mul(head, headDim), part * heads * headDim + width * i), bytes);
      if (cache.getElementType().isBF16())
        v = toBf16(v);
      e.store(v, e.at(row, offset), bytes);
    }
  }
  return success();
}

/// Rounds f32 lanes to the nearest bf16, ties to even; lanes are returned as i16. A NaN stays one.
Value StageEmitter::toBf16(Value v) {
  const int64_t width = cast<VectorType>(v.getType()).getNumElements();
  auto splat = [&](int64_t c) { return e.splatI32(c, width); };
  Value bits = e.bitcast(v, e.vec(width, e.i32()));
  Value odd = arith::AndIOp::create(e.b, arith::ShRUIOp::create(e.b, bits, splat(16)), splat(1));
  Value rounded = arith::AddIOp::create(e.b, bits, arith::AddIOp::create(e.b, odd, splat(0x7fff)));
  Value isNan = arith::CmpFOp::create(e.b, arith::CmpFPredicate::UNO, v, v);
  rounded = arith::SelectOp::create(e.b, isNan, splat(0x7fc00000), rounded);
  return arith::TruncIOp::create(e.b, e.vec(width, e.i16()), arith::ShRUIOp::create(e.b, rounded, splat(16)));
}

} // namespace qlr
