// Attention of one token over the cache, for all query heads of a kv head at once, so that keys and values are read
// once: fp32, running maximum (online softmax). The positions may be split among several items.
//
// A warp takes 32 positions at a time: for the scores a lane is a position, for the sums a lane is some dimensions.
// Warps of a block and, behind them, splits are combined in order, so results do not depend on who comes when.
#include "codegen/nvptx/GpuStage.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

#include "llvm/Support/MathExtras.h"

#include <cmath>

using namespace mlir;

namespace qlr {
namespace {

/// Query heads at a time, and their sums that a lane holds in registers.
constexpr int64_t kHeadsAtOnce = 8, kSumsAtOnce = 32;
/// Shared memory for the exchange between warps: more heads at a time than this holds do not pay.
constexpr int64_t kExchangeBytes = 16384;
/// In place of -infinity: the difference of two of them is a number, and e^(it - a score) is as small as fp32 has it.
constexpr double kNoMaximum = -1.0e30;
/// Floats before the sums of a partial result: maximum, then sum of weights.
constexpr int64_t kSumsAt = 2;

/// What has been read so far, for one query head.
struct Running {
  Value maximum, weight;     // weight: the lane's part of the sum
  SmallVector<Value> values; // the lane's dimensions
};

class Attention {
public:
  /// `cache`: address of the kv head's key of position 0. `heads` query heads of it.
  Attention(GpuEmitter &e, CacheType type, Value cache, int64_t heads)
      : e(e), cache(cache), heads(heads), headDim(type.getHeadDim()), isHalf(type.getElementType().isBF16()),
        bytes(isHalf ? 2 : 4), rowBytes(2 * type.getKvHeads() * headDim * bytes),
        valueOffset(type.getKvHeads() * headDim * bytes) {
    // Loads of 16 bytes where the head's size allows.
    keyWidth = isHalf ? 8 : 4;
    while (headDim % keyWidth)
      keyWidth /= 2;
    // A value's row by all lanes at once, in equal parts.
    valueWidth = headDim % 256 == 0 && isHalf ? 8 : headDim % 128 == 0 ? 4 : 2;
    units = headDim / valueWidth;
    rounds = llvm::divideCeil(units, kWarp);
    queryStride = llvm::alignTo(headDim, 4);
    query = e.shared(heads * queryStride * 4);
    const int64_t perHead = e.warps() * stateFloats() * 4;
    atOnce = std::clamp<int64_t>(kExchangeBytes / perHead, 1, heads);
    exchange = e.shared(atOnce * perHead);
  }

  /// Where element `element` of query head `head` (i32) goes, before `run`.
  Value queryPlace(Value head, Value element) { return e.at(query, e.add(e.mul(head, queryStride), element), 4); }

  /// Positions [begin, end) by the warps of the block, then for every query head and dimension
  /// `store(head, dimension, maximum, weight, sum)`, by one thread each.
  void run(Value begin, Value end, llvm::function_ref<void(Value, Value, Value, Value, Value)> store) {
    SmallVector<Value> init;
    for (int64_t h = 0; h < heads; ++h) {
      init.push_back(e.cf32(kNoMaximum));
      init.append(1 + rounds * valueWidth, e.cf32(0));
    }
    Value first = e.add(begin, e.mul(e.warp(), kWarp));
    SmallVector<Value> state = e.loop(first, end, e.c32(e.warps() * kWarp), init, [&](Value first, ValueRange carried) {
      return addPositions(first, end, carried);
    });
    combine(unpack(state), store);
  }

private:
  int64_t stateFloats() const { return headDim + kSumsAt; }

  SmallVector<Running> unpack(ValueRange flat) {
    SmallVector<Running> running(heads);
    for (Running &r : running) {
      r.maximum = flat[0];
      r.weight = flat[1];
      r.values = SmallVector<Value>(flat.slice(2, rounds * valueWidth));
      flat = flat.drop_front(2 + rounds * valueWidth);
    }
    return running;
  }
  static SmallVector<Value> pack(ArrayRef<Running> running) {
    SmallVector<Value> flat;
    for (const Running &r : running) {
      flat.push_back(r.maximum);
      flat.push_back(r.weight);
      llvm::append_range(flat, r.values);
    }
    return flat;
  }

  /// `count` neighbouring elements of the cache as f32.
  SmallVector<Value> loadCache(Value address, int64_t count) {
    SmallVector<Value> result;
    if (!isHalf) {
      for (int64_t i = 0; i < count; i += 4)
        llvm::append_range(result, e.loadMany(e.f32(), e.at(address, 4 * i), std::min<int64_t>(count, 4)));
      return result;
    }
    for (Value pair : e.loadMany(e.i32(), address, count / 2)) {
      result.push_back(e.bitcast(e.shl(pair, 16), e.f32()));
      result.push_back(e.bitcast(e.andi(pair, 0xffff0000), e.f32()));
    }
    return result;
  }

  /// The 32 positions from `first` on, those from `end` on left out.
  SmallVector<Value> addPositions(Value first, Value end, ValueRange carried) {
    SmallVector<Running> running = unpack(carried);
    Value last = e.add(end, -1);
    // Lanes beyond the last position read it again and weigh nothing.
    Value own = e.add(first, e.lane());
    Value isThere = e.ult(own, end);
    SmallVector<Value> weights = scores(e.min(own, last));
    for (auto [weight, r] : llvm::zip(weights, running)) {
      Value score = e.select(isThere, weight, e.cf32(kNoMaximum));
      Value highest = e.maxf(e.warpMax(score), r.maximum);
      weight = e.select(isThere, e.exp(e.subf(score, highest)), e.cf32(0));
      // What was summed so far, relative to the new maximum.
      Value factor = e.exp(e.subf(r.maximum, highest));
      r.maximum = highest;
      r.weight = e.fma(r.weight, factor, weight);
      for (Value &v : r.values)
        v = e.mulf(v, factor);
    }
    // The loads of several positions are under way together.
    const int64_t together = isHalf ? 4 : 2;
    Value values = e.at(cache, valueOffset);
    Value count = e.min(e.sub(end, first), kWarp);
    SmallVector<Value> flat =
        e.loop(e.c32(0), count, e.c32(together), pack(running), [&](Value j, ValueRange carried) -> SmallVector<Value> {
          SmallVector<Running> running = unpack(carried);
          SmallVector<SmallVector<Value>> rows;
          for (int64_t t = 0; t < together; ++t)
            rows.push_back(loadValues(e.at(values, e.min(e.add(e.add(first, j), t), last), rowBytes)));
          for (int64_t t = 0; t < together; ++t)
            for (auto [weight, r] : llvm::zip(weights, running)) {
              Value w = e.shuffleIdx(weight, e.add(j, t));
              for (auto [sum, v] : llvm::zip(r.values, rows[t]))
                sum = e.fma(w, v, sum);
            }
          return pack(running);
        });
    return flat;
  }

  /// q . k of the lane's position, for every query head.
  SmallVector<Value> scores(Value position) {
    Value key = e.at(cache, position, rowBytes);
    SmallVector<Value> sums(heads, e.cf32(0));
    return e.loop(e.c32(0), e.c32(headDim), e.c32(keyWidth), sums, [&](Value at, ValueRange carried) {
      SmallVector<Value> k = loadCache(e.at(key, at, bytes), keyWidth);
      const int64_t width = std::min<int64_t>(keyWidth, 4);
      SmallVector<Value> sums = llvm::to_vector(carried);
      for (auto [h, sum] : llvm::enumerate(sums))
        for (int64_t i = 0; i < keyWidth; i += width) {
          Value place = e.at(e.at(query, at, 4), 4 * (static_cast<int64_t>(h) * queryStride + i));
          for (auto [q, kk] : llvm::zip(e.loadMany(e.f32(), place, width), ArrayRef<Value>(k).slice(i, width)))
            sum = e.fma(q, kk, sum);
        }
      return sums;
    });
  }

  /// The lane's dimensions of one value row.
  SmallVector<Value> loadValues(Value row) {
    SmallVector<Value> result;
    for (int64_t round = 0; round < rounds; ++round)
      llvm::append_range(result, loadCache(e.at(row, unit(round), valueWidth * bytes), valueWidth));
    return result;
  }
  /// The part of a row that is the lane's in `round`. Lanes beyond the last part read it again and keep it to
  /// themselves.
  Value unit(int64_t round) {
    Value unit = e.add(e.lane(), round * kWarp);
    return (round + 1) * kWarp > units ? e.min(unit, units - 1) : unit;
  }

  void combine(SmallVector<Running> running, llvm::function_ref<void(Value, Value, Value, Value, Value)> store) {
    for (int64_t first = 0; first < heads; first += atOnce) {
      const int64_t count = std::min(atOnce, heads - first);
      if (first)
        e.barrier(); // what the heads before have written is read
      for (int64_t h = 0; h < count; ++h)
        write(h, running[first + h]);
      e.barrier();
      e.forThreads(count * headDim, [&](Value i) {
        Value head = count == 1 ? e.c32(0) : e.div(i, headDim), dimension = count == 1 ? i : e.rem(i, headDim);
        // [head][warp]
        Value states = e.at(exchange, head, e.warps() * stateFloats() * 4);
        SmallVector<Value> parts;
        for (int64_t warp = 0; warp < e.warps(); ++warp)
          parts.push_back(e.at(states, warp * stateFloats() * 4));
        auto [maximum, weight, sum] = mergeStates(e, parts, dimension);
        store(e.add(head, first), dimension, maximum, weight, sum);
      });
    }
  }

  void write(int64_t place, const Running &r) {
    Value state = e.at(e.at(exchange, e.warp(), stateFloats() * 4), place * e.warps() * stateFloats() * 4);
    Value weight = e.warpSum(r.weight);
    e.when(e.eq(e.lane(), 0), [&] {
      e.store(r.maximum, state, 4);
      e.store(weight, e.at(state, 4), 4);
    });
    for (int64_t round = 0; round < rounds; ++round) {
      auto writeUnit = [&] {
        for (int64_t i = 0; i < valueWidth; i += 2)
          e.storeMany({r.values[round * valueWidth + i], r.values[round * valueWidth + i + 1]},
                      e.at(e.at(state, unit(round), 4 * valueWidth), 4 * (kSumsAt + i)));
      };
      if ((round + 1) * kWarp > units)
        e.when(e.ult(e.lane(), units - round * kWarp), writeUnit);
      else
        writeUnit();
    }
  }

public:
  /// Maximum, sum of weights and sum of dimension `dimension` of partial states put together in their order.
  static std::tuple<Value, Value, Value> mergeStates(GpuEmitter &e, ArrayRef<Value> states, Value dimension) {
    Value maximum, weight, sum;
    SmallVector<Value> maxima;
    for (Value state : states) {
      maxima.push_back(e.loadF32(state));
      maximum = maximum ? e.maxf(maximum, maxima.back()) : maxima.back();
    }
    for (auto [state, own] : llvm::zip(states, maxima)) {
      Value factor = e.exp(e.subf(own, maximum));
      Value ownWeight = e.mulf(e.loadF32(e.at(state, 4)), factor);
      Value ownSum = e.mulf(e.loadF32(e.at(e.at(state, 4 * kSumsAt), dimension, 4)), factor);
      weight = weight ? e.addf(weight, ownWeight) : ownWeight;
      sum = sum ? e.addf(sum, ownSum) : ownSum;
    }
    return {maximum, weight, sum};
  }

private:
  GpuEmitter &e;
  Value cache, query, exchange;
  const int64_t heads, headDim;
  const bool isHalf;
  const int64_t bytes, rowBytes, valueOffset;
  int64_t keyWidth, valueWidth, units, rounds, queryStride, atOnce;
};

} // namespace

LogicalResult GpuStage::emitAttention(AttentionOp op, Value item) {
  CacheType type = op.getCache().getType();
  const int64_t headDim = type.getHeadDim(), kvHeads = type.getKvHeads(), heads = op.getHeads();
  const int64_t group = heads / kvHeads, splits = stage.getVariantValue("splits", 1);
  if (headDim % 2)
    return op.emitOpError("has an odd head dimension, which GPU kernels do not take");
  const int64_t bytes = type.getElementType().isBF16() ? 2 : 4;
  Value result = e.div(item, splits), split = splits > 1 ? e.rem(item, splits) : e.c32(0);
  Value token = e.div(result, kvHeads), kvHead = kvHeads > 1 ? e.rem(result, kvHeads) : e.c32(0);
  Value firstHead = e.mul(kvHead, group);
  // Equal parts of the positions, in whole turns of a warp; the last ones may be empty.
  Value count = e.add(e.add(position(op.getPosition()), token), 1);
  Value begin = e.c32(0), end = count;
  if (splits > 1) {
    Value part = e.mul(e.div(e.add(count, splits * kWarp - 1), splits * kWarp), kWarp);
    begin = e.min(e.mul(split, part), count);
    end = e.min(e.add(begin, part), count);
  }
  Value cache = e.at(pointer(op.getCache()), kvHead, headDim * bytes);
  auto outputPlace = [&](Value head, Value dimension) {
    return elementAddress(op.getResult(), token, e.add(e.mul(e.add(firstHead, head), headDim), dimension));
  };
  // Partial results: f32 [token][head][split][maximum, sum of weights, head_dim sums].
  const int64_t stateBytes = (headDim + kSumsAt) * 4;
  auto partialPlace = [&](Value head) {
    Value row = e.add(e.mul(token, heads), e.add(firstHead, head));
    return e.at(sync.partialMemory(), e.zext64(row), splits * stateBytes);
  };
  const double scale = 1.0 / std::sqrt(static_cast<double>(headDim));
  LogicalResult status = success();
  const int64_t mark = e.sharedMark();
  // Groups of query heads of nearly equal size, as many as registers hold.
  const int64_t laneSums = llvm::divideCeil(headDim, kWarp);
  const int64_t most = std::clamp<int64_t>(kSumsAtOnce / laneSums, 1, kHeadsAtOnce);
  const int64_t turns = llvm::divideCeil(group, most), perTurn = llvm::divideCeil(group, turns);
  for (int64_t first = 0; first < group; first += perTurn) {
    if (first)
      e.barrier(); // the shared memory of the heads before is free
    const int64_t own = std::min(perTurn, group - first);
    e.sharedRelease(mark);
    Attention attention(e, type, cache, own);
    e.forThreads(own * (headDim / 2), [&](Value i) {
      Value head = e.div(i, headDim / 2), element = e.rem(i, headDim / 2);
      auto pair = headPair(op.getQ(), token, e.add(firstHead, e.add(head, first)), headDim, element);
      if (failed(pair)) {
        status = failure();
        return;
      }
      e.store(e.mulf(pair->first, e.cf32(scale)), attention.queryPlace(head, element), 4);
      e.store(e.mulf(pair->second, e.cf32(scale)), attention.queryPlace(head, e.add(element, headDim / 2)), 4);
    });
    e.barrier();
    attention.run(begin, end, [&](Value head, Value dimension, Value maximum, Value weight, Value sum) {
      head = e.add(head, first);
      if (splits == 1) {
        e.store(e.mulf(sum, e.divf(e.cf32(1), weight)), outputPlace(head, dimension), 4);
        return;
      }
      Value state = e.at(partialPlace(head), split, stateBytes);
      e.store(sum, e.at(e.at(state, 4 * kSumsAt), dimension, 4), 4);
      e.when(e.eq(dimension, 0), [&] {
        e.store(maximum, state, 4);
        e.store(weight, e.at(state, 4), 4);
      });
    });
  }
  e.sharedRelease(mark);
  if (splits == 1)
    return status;
  e.when(sync.arriveLast(result, splits), [&] {
    e.forThreads(group * headDim, [&](Value i) {
      Value head = e.div(i, headDim), dimension = e.rem(i, headDim);
      Value partial = partialPlace(head);
      SmallVector<Value> states;
      for (int64_t s = 0; s < splits; ++s)
        states.push_back(e.at(partial, s * stateBytes));
      auto [maximum, weight, sum] = Attention::mergeStates(e, states, dimension);
      e.store(e.mulf(sum, e.divf(e.cf32(1), weight)), outputPlace(head, dimension), 4);
    });
  });
  return status;
}

} // namespace qlr
