// Stages over heads: rotary position embedding and the cache's new rows. Every warp does one (token, head); a lane
// takes pairs of elements half a head apart, which a rotary embedding turns together.
#include "codegen/nvptx/GpuStage.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

#include <cmath>

using namespace mlir;

namespace qlr {

static int64_t tokensOf(Value matrix) { return cast<RankedTensorType>(matrix.getType()).getDimSize(0); }

LogicalResult GpuStage::emitHeads(Value item) {
  for (Operation &op : stage.getBody().front())
    if (auto attention = dyn_cast<AttentionOp>(op))
      return emitAttention(attention, item);

  LogicalResult result = success();
  Value place = e.add(e.mul(item, e.warps()), e.warp());
  // Ops with fewer heads than the stage has leave the other places to the rest.
  auto forHead = [&](int64_t tokens, int64_t heads, llvm::function_ref<LogicalResult(Value, Value)> body) {
    const int64_t perToken = stage.getItems() / tokens;
    Value token = e.div(place, perToken), head = perToken == 1 ? e.c32(0) : e.rem(place, perToken);
    auto run = [&] {
      if (failed(body(token, head)))
        result = failure();
    };
    if (heads == perToken)
      return run();
    e.when(e.ult(head, heads), run);
  };
  auto emitPlace = [&] {
    for (Operation &op : stage.getBody().front()) {
      if (auto append = dyn_cast<CacheAppendOp>(op))
        forHead(tokensOf(append.getK()), append.getCache().getType().getKvHeads(),
                [&](Value token, Value head) { return emitAppend(append, token, head); });
      auto rope = dyn_cast<RopeOp>(op);
      if (!rope || !llvm::is_contained(stage.getYield().getValues(), rope.getResult()))
        continue;
      forHead(tokensOf(rope.getX()), rope.getHeads(),
              [&](Value token, Value head) { return emitRope(rope, token, head); });
    }
  };
  // Warps beyond the last place have nothing to do.
  if (stage.getItems() % e.warps())
    e.when(e.ult(place, stage.getItems()), emitPlace);
  else
    emitPlace();
  return result;
}

/// Calls `body` for the lane's pairs of a head.
void GpuStage::forPairs(int64_t headDim, llvm::function_ref<void(Value element)> body) {
  const int64_t pairs = headDim / 2;
  for (int64_t first = 0; first < pairs; first += kWarp) {
    Value element = e.add(e.lane(), first);
    if (first + kWarp <= pairs)
      body(element);
    else
      e.when(e.ult(element, pairs), [&] { body(element); });
  }
}

LogicalResult GpuStage::emitRope(RopeOp op, Value token, Value head) {
  const int64_t headDim = op.getHeadDim();
  LogicalResult result = success();
  forPairs(headDim, [&](Value element) {
    FailureOr<std::pair<Value, Value>> pair = headPair(op.getResult(), token, head, headDim, element);
    if (failed(pair)) {
      result = failure();
      return;
    }
    Value column = e.add(e.mul(head, headDim), element);
    e.store(pair->first, elementAddress(op.getResult(), token, column), 4);
    e.store(pair->second, elementAddress(op.getResult(), token, e.add(column, headDim / 2)), 4);
  });
  return result;
}

FailureOr<std::pair<Value, Value>> GpuStage::headPair(Value matrix, Value token, Value head, int64_t headDim,
                                                      Value element) {
  const int64_t half = headDim / 2;
  auto rope = dyn_cast_or_null<RopeOp>(matrix.getDefiningOp());
  if (!isInStage(rope)) {
    Value column = e.add(e.mul(head, headDim), element);
    FailureOr<Value> low = pull(matrix, token, column), high = pull(matrix, token, e.add(column, half));
    if (failed(low) || failed(high))
      return failure();
    return std::pair(*low, *high);
  }
  FailureOr<std::pair<Value, Value>> input = headPair(rope.getX(), token, head, headDim, element);
  if (failed(input))
    return failure();
  // Angles in turns and in fp64: a position of 10^5 keeps nine digits of its angle.
  SmallVector<double> turnsPerPosition;
  for (int64_t i = 0; i < half; ++i)
    turnsPerPosition.push_back(std::pow(rope.getTheta().convertToDouble(), -2.0 * i / headDim) / (2 * M_PI));
  Value rate = e.loadConst(e.f64(), e.at(e.constantTable(turnsPerPosition), element, 8), 8);
  Value place = e.add(position(rope.getPosition()), token);
  Value places = arith::SIToFPOp::create(e.b, e.f64(), place);
  auto [sine, cosine] = e.sinCosTurns(arith::MulFOp::create(e.b, places, rate));
  auto [low, high] = *input;
  Value negated = arith::NegFOp::create(e.b, e.mulf(high, sine));
  return std::pair(e.fma(low, cosine, negated), e.fma(high, cosine, e.mulf(low, sine)));
}

LogicalResult GpuStage::emitAppend(CacheAppendOp op, Value token, Value head) {
  CacheType cache = op.getCache().getType();
  const int64_t headDim = cache.getHeadDim(), heads = cache.getKvHeads();
  if (headDim % 2)
    return op.emitOpError("has an odd head dimension, which GPU kernels do not take");
  const bool isHalf = cache.getElementType().isBF16();
  const int64_t bytes = isHalf ? 2 : 4;
  // [position][key | value][head][dimension]
  Value place = e.add(position(op.getPosition()), token);
  Value row = e.at(pointer(op.getCache()), place, 2 * heads * headDim * bytes);
  LogicalResult result = success();
  for (int64_t part = 0; part < 2; ++part)
    forPairs(headDim, [&](Value element) {
      FailureOr<std::pair<Value, Value>> pair = headPair(part ? op.getV() : op.getK(), token, head, headDim, element);
      if (failed(pair)) {
        result = failure();
        return;
      }
      Value at = e.add(e.add(e.mul(head, headDim), element), part * heads * headDim);
      for (auto [offset, v] : {std::pair(int64_t(0), pair->first), std::pair(headDim / 2, pair->second)})
        e.store(isHalf ? e.floatToBf16(v) : v, e.at(row, e.add(at, offset), bytes), bytes);
    });
  return result;
}

} // namespace qlr
