// Attention of one token and one head over the cache: fp32, sixteen positions at a time, running maximum (online
// softmax).
#include "codegen/host/StageEmitter.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

#include <cmath>
#include <limits>

using namespace mlir;

namespace qlr {

LogicalResult StageEmitter::emitAttention(AttentionOp op, Value token, Value head) {
  CacheType cache = op.getCache().getType();
  const int64_t headDim = cache.getHeadDim(), kvHeads = cache.getKvHeads();
  const bool isHalf = cache.getElementType().isBF16();
  const int64_t bytes = isHalf ? 2 : 4;
  constexpr int64_t kPositions = 16;

  FailureOr<SmallVector<Value>> query = headVectors(op.getQ(), token, head, headDim, kLanes);
  if (failed(query))
    return failure();
  const int64_t count = query->size(), width = headDim / count;
  const float scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(headDim)));
  for (Value &q : *query)
    q = arith::MulFOp::create(e.b, q, e.splatF32(scale, width));

  Value kvHead = e.div(head, op.getHeads() / kvHeads);
  Value keys = e.at(pointer(op.getCache()), e.mul(kvHead, headDim * bytes));
  Value values = e.at(keys, kvHeads * headDim * bytes);
  const int64_t rowBytes = 2 * kvHeads * headDim * bytes;
  auto loadRow = [&](Value base, Value row, int64_t part) -> Value {
    Value address = e.at(base, e.add(e.mul(row, rowBytes), part * width * bytes));
    if (!isHalf)
      return e.load(e.vec(width, e.f32()), address, 4);
    Value bits = arith::ExtUIOp::create(e.b, e.vec(width, e.i32()), e.load(e.vec(width, e.i16()), address, 2));
    return e.bitcast(arith::ShLIOp::create(e.b, bits, e.splatI32(16, width)), e.vec(width, e.f32()));
  };

  Value last = e.add(position(op.getPosition()), token);
  SmallVector<Value> init = {e.cf32(-std::numeric_limits<float>::infinity()), e.cf32(0)};
  for (int64_t i = 0; i < count; ++i)
    init.push_back(e.splatF32(0, width));
  SmallVector<Value> state = e.loop(e.c64(0), e.add(last, 1), kPositions, init, [&](Value first, ValueRange carried) {
    SmallVector<Value> rows;
    auto type = e.vec(kPositions, e.f32());
    Value scores = e.splatF32(0, kPositions);
    for (int64_t j = 0; j < kPositions; ++j) {
      // Positions beyond the last one read it again and weigh nothing.
      rows.push_back(e.min(e.add(first, j), last));
      Value sum;
      for (int64_t i = 0; i < count; ++i) {
        Value key = loadRow(keys, rows.back(), i);
        sum = sum ? e.fma((*query)[i], key, sum) : arith::MulFOp::create(e.b, (*query)[i], key).getResult();
      }
      scores = vector::InsertOp::create(e.b, e.sumLanes(sum), scores, ArrayRef<int64_t>{j});
    }
    SmallVector<int32_t> lanes = llvm::to_vector(llvm::seq<int32_t>(0, kPositions));
    Value left = arith::TruncIOp::create(e.b, e.i32(), arith::SubIOp::create(e.b, last, first));
    Value beyond =
        arith::CmpIOp::create(e.b, arith::CmpIPredicate::sgt, e.constI32(lanes), e.broadcast(left, e.vecI32()));
    Value masked = e.splatF32(-std::numeric_limits<float>::infinity(), kPositions);
    scores = arith::SelectOp::create(e.b, beyond, masked, scores);
    Value highest = e.maxLanes(scores);
    highest = arith::MaxNumFOp::create(e.b, highest, carried[0]);
    Value weights = e.exp(arith::SubFOp::create(e.b, scores, e.broadcast(highest, type)));
    weights = arith::SelectOp::create(e.b, beyond, e.splatF32(0, kPositions), weights);
    // What was summed so far, relative to the new maximum (0 in the first round, where it was -inf).
    Value change = e.exp(e.broadcast(arith::SubFOp::create(e.b, carried[0], highest), type));
    Value factor = e.extract(change, 0);
    SmallVector<Value> next = {highest};
    next.push_back(e.fma(carried[1], factor, e.sumLanes(weights)));
    for (int64_t i = 0; i < count; ++i) {
      Value sum = arith::MulFOp::create(e.b, carried[2 + i], e.broadcast(factor, e.vec(width, e.f32())));
      for (int64_t j = 0; j < kPositions; ++j) {
        Value weight = e.broadcast(e.extract(weights, j), e.vec(width, e.f32()));
        sum = e.fma(weight, loadRow(values, rows[j], i), sum);
      }
      next.push_back(sum);
    }
    return next;
  });
  Value inverse = arith::DivFOp::create(e.b, e.cf32(1), state[1]);
  for (int64_t i = 0; i < count; ++i) {
    Value column = e.add(e.mul(head, headDim), i * width);
    Value v = arith::MulFOp::create(e.b, state[2 + i], e.broadcast(inverse, e.vec(width, e.f32())));
    e.store(v, elementAddress(op.getResult(), token, column), 4);
  }
  return success();
}

} // namespace qlr
